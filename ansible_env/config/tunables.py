"""Tunable parameters, in the format and with the rules of mlos_bench 0.6.2.

A tunable has a type, a default, and either a range (int, float) or a list of values (categorical). Tunables with the
same cost of change form a group. These classes hold definitions only; values are separate mappings, so that no trial
affects the next one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from ansible_env.config.documents import key_text
from ansible_env.config.faults import Fault
from ansible_env.config.text import kind_of, nearest
from ansible_env.config.tunable_rules import definition_faults, group_faults
from ansible_env.errors import ConfigError, ParameterError, Problem

TunableValue = int | float | str


@runtime_checkable
class ParamValues(Protocol):
    """The part of an `mlos_bench.tunables.TunableGroups` that holds values."""

    def get_param_values(self) -> dict[str, Any]:
        """Return the current value of every tunable."""
        ...


@dataclass(frozen=True, slots=True)
class Tunable:
    """One tunable parameter."""

    name: str
    type: Literal["int", "float", "categorical"]
    default: TunableValue
    range: tuple[float, float] | None = None
    """Lowest and highest value of int and float."""
    values: tuple[str, ...] = ()
    """Values of a categorical tunable, as text."""
    special: tuple[Any, ...] = ()
    """Values outside the range that are valid."""
    definition: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """The definition as given, with the keys that only an optimizer needs (weights, log, distribution, meta)."""

    @classmethod
    def from_mapping(cls, name: str, definition: Mapping[str, Any]) -> Tunable:
        """Make a tunable from its definition.

        Raises:
            ConfigError: it lists everything that is wrong.
        """
        tunable, faults = _parse_tunable(name, definition)
        if tunable is None:
            raise ConfigError([Problem(what, key_text(where), hint=hint) for where, what, hint in faults])
        return tunable

    @property
    def expected(self) -> str:
        """Description of the valid values."""
        if self.type == "categorical":
            return "one of " + ", ".join(map(repr, self.values))
        assert self.range is not None  # noqa: S101 - from_mapping ensures it
        text = f"{'a whole number' if self.type == 'int' else 'a number'} from {self.range[0]} to {self.range[1]}"
        return f"{text}, or special: {', '.join(map(str, self.special))}" if self.special else text

    def validate(self, value: Any) -> TunableValue:
        """Return the value converted to the tunable's type.

        As in the setter of `mlos_bench/tunables/tunable.py`: whatever `int()` or `float()` accepts is a number, such as
        text from a command line or a database; a categorical value compares as `str(value)`.

        Raises:
            ParameterError: the value is not valid.
        """
        try:
            coerced = self._coerce(value)
        except (TypeError, ValueError, OverflowError):
            coerced = None
        if coerced is None or not self.accepts(coerced):
            shown = repr(value) if isinstance(value, str | int | float) else kind_of(value)
            raise ParameterError(Problem(f"{shown} is not {self.expected}", self.name))
        return coerced

    def _coerce(self, value: Any) -> TunableValue | None:
        if value is None:
            return None
        if self.type == "categorical":
            return str(value)
        if not isinstance(value, str) and not hasattr(value, "__float__"):
            return None
        number = int(value) if self.type == "int" else float(value)
        lost = self.type == "int" and not isinstance(value, str) and number != value
        return None if lost else number

    def accepts(self, value: TunableValue) -> bool:
        """Whether a value of the tunable's type is in its range, special or listed."""
        if self.type == "categorical":
            return value in self.values
        assert self.range is not None and not isinstance(value, str)  # noqa: S101
        return self.range[0] <= value <= self.range[1] or value in self.special


@dataclass(frozen=True, slots=True)
class TunableGroup:
    """Tunables with the same cost of change."""

    name: str
    cost: float
    """Cost of changing any of them, in a unit of the user's choice."""
    tunables: Mapping[str, Tunable]

    def same_as(self, other: TunableGroup) -> bool:
        """Whether both have the same cost and tunables, by name, type and default (`covariant_group.py`)."""

        def key(group: TunableGroup) -> tuple[object, ...]:
            return int(group.cost), {t.name: (t.type, t.default) for t in group.tunables.values()}

        return key(self) == key(other)


@dataclass(frozen=True)
class TunableGroups:
    """Groups of tunables by name. Immutable."""

    groups: Mapping[str, TunableGroup] = field(default_factory=dict)

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> TunableGroups:
        """Make groups from mlos_bench's format, `{group: {cost, params: {name: {type, default, …}}}}`.

        Raises:
            ConfigError: it lists everything that is wrong. Keys are relative to the data.
        """
        groups, faults = parse_groups(data)
        if faults:
            raise ConfigError([Problem(what, key_text(where), hint=hint) for where, what, hint in faults])
        return groups

    @classmethod
    def from_mlos(cls, source: Iterable[tuple[Any, Any]]) -> TunableGroups:
        """Copy the definitions of an `mlos_bench.tunables.TunableGroups`.

        It iterates over pairs of a tunable and its group (`mlos_bench/tunables/tunable_groups.py`).
        """
        groups: dict[str, dict[str, Tunable]] = {}
        costs: dict[str, float] = {}
        for theirs, group in source:
            definition = {"type": theirs.type, "default": theirs.default}
            if theirs.type == "categorical":
                definition["values"] = list(theirs.categories)
            else:
                definition["range"] = list(theirs.range)
                if theirs.special:
                    definition["special"] = list(theirs.special)
            costs[group.name] = group.cost
            groups.setdefault(group.name, {})[theirs.name] = Tunable.from_mapping(theirs.name, definition)
        return cls({name: TunableGroup(name, costs[name], tunables) for name, tunables in groups.items()})

    def __iter__(self) -> Iterator[Tunable]:
        return (tunable for group in self.groups.values() for tunable in group.tunables.values())

    def __contains__(self, name: object) -> bool:
        return any(tunable.name == name for tunable in self)

    def to_mapping(self) -> dict[str, Any]:
        """Return the groups in mlos_bench's format."""
        return {
            group.name: {"cost": group.cost, "params": {t.name: dict(t.definition) for t in group.tunables.values()}}
            for group in self.groups.values()
        }

    @property
    def tunables(self) -> dict[str, Tunable]:
        """Every tunable by name."""
        return {tunable.name: tunable for tunable in self}

    def group_of(self, name: str) -> str | None:
        """Return the name of the group of a tunable, or None."""
        return next((group.name for group in self.groups.values() if name in group.tunables), None)

    def select(self, names: Iterable[str]) -> TunableGroups:
        """Return the named groups only.

        Raises:
            ParameterError: a group does not exist.
        """
        selected: dict[str, TunableGroup] = {}
        problems = []
        for name in names:
            if name in self.groups:
                selected[name] = self.groups[name]
            else:
                hint = nearest(name, self.groups) or (f"known: {', '.join(self.groups) or 'no groups at all'}")
                problems.append(Problem(f"there is no group of tunables {name!r}", "tunable_params", hint=hint))
        if problems:
            raise ParameterError(problems)
        return TunableGroups(selected)

    def merge(self, other: TunableGroups) -> TunableGroups:
        """Return the groups of both. Of groups in both, keep this object's (`TunableGroups.merge` of mlos_bench).

        Raises:
            ParameterError: a group differs between the two, or a tunable is in two groups.
        """
        problems: list[Problem] = []
        for name, group in other.groups.items():
            if name in self.groups:
                if not group.same_as(self.groups[name]):
                    problems.append(Problem("has two different definitions", f"tunables.{name}"))
                continue
            for tunable in group.tunables:
                if owner := self.group_of(tunable):
                    what = f"the group {owner!r} has a tunable of this name as well"
                    problems.append(Problem(what, f"tunables.{name}.params.{tunable}"))
        if problems:
            raise ParameterError(problems)
        return TunableGroups({**other.groups, **self.groups})

    def defaults(self) -> dict[str, TunableValue]:
        """Return the default value of every tunable."""
        return {tunable.name: tunable.default for tunable in self}

    def assign(self, values: Mapping[str, Any] | ParamValues | None = None) -> dict[str, TunableValue]:
        """Return a value for every tunable: the given one, else its default.

        Other groups of an mlos_bench TunableGroups belong to other environments and are ignored. A mapping must name
        tunables only.

        Raises:
            ParameterError: it lists all problems.
        """
        tunables = self.tunables
        given: Mapping[str, Any] = {}
        if isinstance(values, Mapping):
            given = values
        elif values is not None:
            given = {k: v for k, v in values.get_param_values().items() if k in tunables}
        result = self.defaults()
        problems: list[Problem] = []
        for name, value in given.items():
            try:
                if name not in tunables:
                    raise ParameterError(
                        Problem("there is no tunable of this name", str(name), hint=nearest(name, tunables))
                    )
                result[name] = tunables[name].validate(value)
            except ParameterError as error:
                problems.extend(error.problems)
        if problems:
            raise ParameterError(problems)
        return result


def parse_groups(data: Mapping[str, Any]) -> tuple[TunableGroups, list[Fault]]:
    """Return the groups and everything that is wrong. The groups are usable only if nothing is."""
    faults: list[Fault] = []
    groups: dict[str, TunableGroup] = {}
    owners: dict[str, str] = {}
    for name, group in data.items():
        if name == "$schema":
            continue
        if not isinstance(name, str) or not name or name.startswith("$"):
            faults.append(((str(name),), "the name of a group must be text that does not begin with '$'", None))
            continue
        faults += [((name, *where), what, hint) for where, what, hint in group_faults(group)]
        params = group.get("params") if isinstance(group, Mapping) else None
        tunables: dict[str, Tunable] = {}
        for param, definition in (params if isinstance(params, Mapping) else {}).items():
            where = (name, "params", str(param))
            if (first := owners.setdefault(param, name)) != name:
                faults.append((where, f"the group {first!r} has a tunable of this name as well", None))
            tunable, wrong = _parse_tunable(param, definition)
            faults += [((*where, *inner), what, hint) for inner, what, hint in wrong]
            if tunable:
                tunables[param] = tunable
        if not faults:
            groups[name] = TunableGroup(name, group["cost"], tunables)
    return TunableGroups(groups), faults


def _parse_tunable(name: Any, definition: Any) -> tuple[Tunable | None, list[Fault]]:
    faults = list(definition_faults(definition))
    if not isinstance(name, str) or not name or "!" in name:
        faults.append(((), "the name of a tunable must be non-empty text without '!'", None))
    if faults:
        return None, faults
    kind, default = definition["type"], definition["default"]
    tunable = Tunable(
        name=name,
        type=kind,
        default=str(default) if kind == "categorical" else (int if kind == "int" else float)(default),
        range=(definition["range"][0], definition["range"][1]) if "range" in definition else None,
        values=tuple(map(str, definition.get("values", ()))),
        special=tuple(definition.get("special", ())),
        definition=definition,
    )
    if not tunable.accepts(tunable.default):
        return None, [(("default",), f"{default!r} is not {tunable.expected}", None)]
    return tunable, []
