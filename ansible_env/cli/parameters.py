"""Parameters from the command line: `-p name=value` and --params-file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from ansible_env.config.checks import known_names
from ansible_env.config.documents import Document, read_document
from ansible_env.config.expand import references
from ansible_env.config.model import EnvironmentConfig
from ansible_env.config.parameters import selected_groups
from ansible_env.config.text import kind_of, nearest
from ansible_env.config.tunables import Tunable, TunableValue
from ansible_env.errors import ParameterError, Problem

TUNABLE_MAP = "tunable_params_map"
_TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


@dataclass(frozen=True)
class Values:
    """The given values: those of tunables, and the other parameters."""

    tunables: dict[str, Any] = field(default_factory=dict)
    globals: dict[str, Any] = field(default_factory=dict)
    ignored: tuple[Problem, ...] = ()
    """Names in a file that this environment does not know: the file may be shared by several environments."""

    def __bool__(self) -> bool:
        return bool(self.tunables or self.globals)

    def for_trial(self, index: int, trials: int) -> tuple[int, dict[str, Any]]:
        """Return the number of the trial at an index, counted from the given `trial_id` or 1, and its globals.

        Raise ParameterError if there are several trials, and the given trial_id is not a number.
        """
        first = self.globals.get("trial_id", 1)
        if isinstance(first, str) and first.isdecimal():
            first = int(first)
        if not isinstance(first, int) or isinstance(first, bool):
            if trials > 1:
                hint = "the trials are numbered from it"
                raise ParameterError(Problem(f"{first!r} is not a whole number", "trial_id", hint=hint))
            return 1, self.globals
        return first + index, {**self.globals, "trial_id": first + index}


def given_values(config: EnvironmentConfig, params: Sequence[str], files: Sequence[Path]) -> Values:
    """Return the values for an environment. `-p` takes precedence over files, later ones over earlier ones.

    Raises:
        ConfigError: a file cannot be read.
        ParameterError: a name is not known, or a value is not of its parameter's type.
    """
    documents = [_mapping(path) for path in files]
    from_files: dict[str, Any] = {}
    for document in documents:
        from_files |= document.data
    tunable_map = from_files.get(TUNABLE_MAP)
    groups = selected_groups(config, None, tunable_map if isinstance(tunable_map, Mapping) else None)
    tunables = groups.tunables
    known = known_names(config, groups) | references(list(config.const_args.values()))
    problems: list[Problem] = []
    typed: dict[str, Any] = {}
    for text in params:
        try:
            name, value = _pair(config, text, known)
        except ParameterError as error:
            problems += error.problems
            continue
        if name in tunables:
            typed[name] = _checked(tunables[name], value, problems)
        else:
            typed[name] = _as_default(config, name, value, problems)
    if problems:
        raise ParameterError(problems)
    ignored = [problem for document in documents for problem in _unknown(document, known)]
    every = {name: value for name, value in from_files.items() if name in known or name == TUNABLE_MAP} | typed
    return Values(
        {name: value for name, value in every.items() if name in tunables},
        {name: value for name, value in every.items() if name not in tunables},
        tuple(ignored),
    )


def _mapping(path: Path) -> Document:
    document = read_document(path)
    if document.data is None:
        return Document({}, path)
    if not isinstance(document.data, Mapping):
        raise ParameterError(Problem(f"must be a mapping of names to values, not {kind_of(document.data)}", file=path))
    return document


def _unknown(document: Document, known: frozenset[str]) -> Iterator[Problem]:
    for name in document.data:
        if name not in known and name not in (TUNABLE_MAP, "$schema"):
            what = "the environment has no such parameter; ignored"
            yield Problem(what, str(name), document.path, document.line((name,)), nearest(name, known))


def _pair(config: EnvironmentConfig, text: str, known: frozenset[str]) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    name = name.strip()
    if not equals or not name:
        shown = name if name in known else text
        raise ParameterError(Problem(f"-p {shown}: must be name=value"))
    if name not in known:
        hint = nearest(name, known) or (f"known: {', '.join(sorted(known))}" if len(known) < 20 else None)
        raise ParameterError(Problem("there is no parameter of this name", f"-p {name}", hint=hint))
    if name in config.secret_params:
        hint = "use --params-file, or name its source in the environment file: secret_params"
        what = "every user of this machine can see a secret on the command line"
        raise ParameterError(Problem(what, f"-p {name}", hint=hint))
    return name, value


def _checked(tunable: Tunable, text: str, problems: list[Problem]) -> TunableValue:
    try:
        return tunable.validate(text)
    except ParameterError as error:
        problems += [replace(problem, key=f"-p {tunable.name}") for problem in error.problems]
        return tunable.default


def _as_default(config: EnvironmentConfig, name: str, text: str, problems: list[Problem]) -> Any:
    """Return a text as the type of the value that it replaces."""
    default = config.const_args.get(name)
    readers: dict[type, tuple[Callable[[str], Any], str]] = {
        bool: (_truth, "true or false"),
        int: (_number, "a number"),
        float: (float, "a number"),
        list: (_list, "a list, as '[1, 2, 3]'"),
        tuple: (_list, "a list, as '[1, 2, 3]'"),
    }
    if type(default) not in readers:
        return text
    read, expected = readers[type(default)]
    try:
        return read(text)
    except (ValueError, yaml.YAMLError):
        hint = f"its value in the environment file is {default!r}"
        problems.append(Problem(f"{text!r} is not {expected}", f"-p {name}", hint=hint))
        return text


def _truth(text: str) -> bool:
    if (value := _TRUTH.get(text.strip().lower())) is None:
        raise ValueError(text)
    return value


def _number(text: str) -> int | float:
    """Read any number where the file has a whole one: `seconds: 1` does not mean that 0.5 is wrong."""
    try:
        return int(text)
    except ValueError:
        return float(text)


def _list(text: str) -> list[Any]:
    value = yaml.safe_load(text)
    if not isinstance(value, list):
        raise ValueError(text)
    return value
