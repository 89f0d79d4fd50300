"""The types of fields of an environment file, and the messages for values that cannot be read.

Each reader returns the final value or raises, through `refuse`, everything that is wrong with it at once.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

from ansible_env.config.documents import KeyPath, TaggedValue
from ansible_env.config.faults import Fault, quote_hint, refuse, refuse_any, refuse_one
from ansible_env.config.items import item_faults
from ansible_env.config.steps import is_step, step_faults
from ansible_env.config.text import kind_of, nearest
from ansible_env.config.tunables import TunableGroups, parse_groups
from ansible_env.errors import ConfigError
from ansible_env.results.file_patterns import check_pattern

Scalar = str | int | float | bool | None
Value = Scalar | list[Scalar]
"""The value of a parameter."""
Task = dict[str, Any]
ScriptItem = str | Task
PhaseName = Literal["setup", "run", "teardown"]
PHASES: tuple[str, ...] = get_args(PhaseName)
ONCE = {"setup_once": "setup", "teardown_once": "teardown"}
"""The parts that run once on each host, and the phase that each is run as."""

_QUOTE = "quote it"


def read_list(
    value: Any, what: str, faults: Callable[[Any], Iterable[Fault]], alone: type | tuple[type, ...] = ()
) -> list[Any]:
    """Read a list of `what`; `faults` returns those of an item. An item of a type in `alone` may replace the list."""
    items = [value] if isinstance(value, alone) else value
    if not isinstance(items, list | tuple):
        refuse_one(f"must be {what}, not {kind_of(value)}", quote_hint(value))
    refuse_any(((index, *at), message, hint) for index, item in enumerate(items) for at, message, hint in faults(item))
    return list(items)


def read_mapping(value: Any, what: str, faults: Callable[[str, Any], Iterable[Fault]]) -> dict[str, Any]:
    """Read a mapping of names to values; `faults` returns those of one name and value."""
    if not isinstance(value, Mapping):
        refuse_one(f"must be a mapping of {what}, not {kind_of(value)}")

    def all_faults() -> Iterator[Fault]:
        for key, item in value.items():
            if isinstance(key, str) and key:
                yield from (((key, *where), message, hint) for where, message, hint in faults(key, item))
            else:
                what = "must not be empty" if key == "" else f"must be text, not {kind_of(key)}"
                yield (str(key),), f"a name {what}", quote_hint(key)

    refuse_any(all_faults())
    return dict(value)


# Scripts and tasks


def _script(value: Any) -> tuple[ScriptItem, ...]:
    """Read the items of a phase: shell text, or mappings, which are Ansible tasks."""
    what = "a list of shell lines and Ansible tasks"
    return tuple(copy.deepcopy(read_list(value, what, _item_faults, (str, Mapping))))


def _item_faults(item: Any) -> Iterator[Fault]:
    if isinstance(item, Mapping):
        yield from _task_faults(item)
        yield from step_faults(item) if is_step(item) else item_faults(item)
    elif not isinstance(item, str):
        hint = _QUOTE if item is None else quote_hint(item)
        yield (), f"must be a shell line (text) or an Ansible task (a mapping), not {kind_of(item)}", hint


def _tasks(value: Any) -> tuple[Task, ...]:
    return tuple(copy.deepcopy(read_list(value, "a list of Ansible tasks", _task_faults, Mapping)))


def _task_faults(task: Any) -> Iterator[Fault]:
    if not isinstance(task, Mapping):
        hint = "ansible.builtin.command: … runs a program on the controller" if isinstance(task, str) else None
        yield (), f"must be an Ansible task (a mapping), not {kind_of(task)}", hint
        return
    if not task:
        yield (), "an Ansible task must not be empty", None
    yield from _data_faults(task, ())


def _data_faults(value: Any, where: KeyPath) -> Iterator[Fault]:
    """Yield the parts of a task that are not plain data, which a playbook cannot hold."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(key, str):
                yield from _data_faults(item, (*where, key))
            else:
                yield (*where, str(key)), f"a key must be text, not {kind_of(key)}", _QUOTE
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _data_faults(item, (*where, index))
    elif value is not None and not isinstance(value, str | int | float | TaggedValue):
        yield where, f"must be plain data, not {kind_of(value)}", _QUOTE


# Names, parameters


def read_names(value: Any, faults: Callable[[str], Iterable[Fault]] = lambda name: ()) -> tuple[str, ...]:
    """Read a list of names. A single name may replace a list of one; `faults` returns further faults of a name."""
    seen: set[str] = set()

    def all_faults(item: Any) -> Iterator[Fault]:
        if not isinstance(item, str):
            yield (), f"must be a name (text), not {kind_of(item)}", quote_hint(item)
        elif not item:
            yield (), "must not be empty", None
        elif item in seen:
            yield (), f"{item!r} is listed twice", None
        else:
            seen.add(item)
            yield from faults(item)

    return tuple(read_list(value, "a list of names", all_faults, str))


def one_of(known: Sequence[str], message: str, hint: str) -> Callable[[str], Iterator[Fault]]:
    """Return a function that yields the fault of a name that is not known; `{}` in the message becomes the name."""

    def faults(name: str) -> Iterator[Fault]:
        if name not in known:
            yield (), message.format(repr(name)), nearest(name, known) or hint

    return faults


def _phases(value: Any) -> tuple[str, ...]:
    return read_names(value, one_of(PHASES, "there is no phase {}", "setup, run or teardown"))


def _const_args(value: Any) -> dict[str, Any]:
    """Read parameters: scalars or lists of scalars, as in mlos_bench's schema. Messages contain no values."""

    def faults(_: str, item: Any) -> Iterator[Fault]:
        if isinstance(item, list | tuple):
            for index, part in enumerate(item):
                if part is not None and not isinstance(part, str | int | float):
                    yield (index,), f"must be text, a number, true/false or null, not {kind_of(part)}", None
        elif item is not None and not isinstance(item, str | int | float):
            what = f"must be text, a number, true/false, null, or a list of those, not {kind_of(item)}"
            yield (), what, None if isinstance(item, Mapping | TaggedValue) else _QUOTE

    values = read_mapping(value, "names to values", faults)
    return {key: list(item) if isinstance(item, list | tuple) else item for key, item in values.items()}


def _renames(value: Any) -> dict[str, str]:
    def faults(_: str, item: Any) -> Iterator[Fault]:
        if not isinstance(item, str):
            yield (), f"must be the name of a parameter, not {kind_of(item)}", quote_hint(item)

    return read_mapping(value, "environment variables to parameters", faults)


def _host_params(value: Any) -> dict[str, str]:
    def faults(_: str, item: Any) -> Iterator[Fault]:
        if not isinstance(item, str) or not item.isidentifier() or not item.isascii():
            hint = "a name, not a template" if isinstance(item, str) and "{{" in item else None
            yield (), "must be the name of a host variable", hint

    return read_mapping(value, "parameters to host variables", faults)


class SecretSource(BaseModel):
    """Where the controller reads the value of a secret."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    env: str | None = Field(default=None, min_length=1, description="Environment variable on the controller.")
    file: str | None = Field(
        default=None, min_length=1, description="File on the controller, relative to the environment file; `~` works."
    )

    @model_validator(mode="after")
    def _one_source(self) -> SecretSource:
        if (self.env is None) == (self.file is None):
            refuse_one("must have either 'env' or 'file', or be null if the value is given as a parameter")
        return self


def _secrets(value: Any) -> Any:
    if isinstance(value, Mapping):
        return value
    return dict.fromkeys(read_names(value))


def _groups(value: Any) -> TunableGroups:
    if isinstance(value, TunableGroups):
        return value
    if not isinstance(value, Mapping):
        refuse_one(f"must be a mapping of groups, not {kind_of(value)}")
    groups, faults = parse_groups(value)
    if faults:
        refuse(faults)
    return groups


# The types of the model's fields

_NAME_LIST: dict[str, Any] = {"type": "array", "items": {"type": "string", "minLength": 1}, "uniqueItems": True}
_TASK: dict[str, Any] = {"type": "object", "minProperties": 1}
_PHASE_LIST = _NAME_LIST | {"items": {"enum": list(PHASES)}}
_SCALAR_TYPES = ["string", "number", "boolean", "null"]


def _or_one(items: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [items["items"], items]})


def mapping_schema(values: dict[str, Any], **more: Any) -> WithJsonSchema:
    """Return the schema of a mapping with such values."""
    return WithJsonSchema({"type": "object", "additionalProperties": values, **more})


_ITEM: dict[str, Any] = {"anyOf": [{"type": "string"}, _TASK]}
_PARAMETER: dict[str, Any] = {"type": [*_SCALAR_TYPES, "array"], "items": {"type": _SCALAR_TYPES}}
_HOST_VARIABLE = {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}
_ENV_NAME = {"pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$"}

Script = Annotated[tuple[ScriptItem, ...], BeforeValidator(_script), _or_one({"type": "array", "items": _ITEM})]
Tasks = Annotated[tuple[Task, ...], BeforeValidator(_tasks), _or_one({"type": "array", "items": _TASK})]
Names = Annotated[tuple[str, ...], BeforeValidator(lambda value: read_names(value)), _or_one(_NAME_LIST)]
PhaseNames = Annotated[tuple[PhaseName, ...], BeforeValidator(_phases), _or_one(_PHASE_LIST)]
ConstArgs = Annotated[dict[str, Any], BeforeValidator(_const_args), mapping_schema(_PARAMETER)]
HostParams = Annotated[dict[str, str], BeforeValidator(_host_params), mapping_schema(_HOST_VARIABLE)]
Renames = Annotated[
    dict[str, str], BeforeValidator(_renames), mapping_schema({"type": "string"}, propertyNames=_ENV_NAME)
]
Secrets = Annotated[
    dict[str, SecretSource | None],
    BeforeValidator(_secrets, json_schema_input_type=list[str] | dict[str, SecretSource | None]),
]
GroupsField = Annotated[
    InstanceOf[TunableGroups],
    BeforeValidator(_groups),
    PlainSerializer(TunableGroups.to_mapping),
    WithJsonSchema({"type": "object"}),
]


def _patterns(value: Any) -> tuple[str, ...]:
    return read_names(value, lambda text: _pattern_faults(text, "collect"))


def _pattern_faults(text: str, key: str) -> Iterator[Fault]:
    try:
        check_pattern(text, key)
    except ConfigError as error:
        yield (), error.problems[0].message, error.problems[0].hint


def _file_name(value: Any) -> Any:
    refuse_any(_pattern_faults(value, "results_file") if value is not None else ())
    return value


FilePatterns = Annotated[tuple[str, ...], BeforeValidator(_patterns), _or_one(_NAME_LIST)]
FileName = Annotated[str, BeforeValidator(_file_name), WithJsonSchema({"type": "string", "minLength": 1})]
NonEmpty = Annotated[str, Field(min_length=1)]
