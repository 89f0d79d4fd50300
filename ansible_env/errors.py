"""Every error that the library raises.

AnsibleEnvError
├── ConfigError               a file, parameter or pattern is wrong; nothing has touched a host   (ValueError)
│   ├── ParameterError        a missing argument, a tunable outside its range, a bad env value
│   ├── MetricsPatternError   results_stdout_pattern is not a pattern that can give metrics
│   └── InventoryError        the inventory cannot be read, or no host matches
├── LifecycleError            a method was called out of order, as mlos_bench asserts      (RuntimeError)
├── EngineError               Ansible itself could not be started or driven
├── StoreError                the store of results cannot be opened, read or written
├── RepeatedFailureError      too many trials in a row failed alike
├── MetricsTimeoutError       a results pattern exceeded its time limit                    (TimeoutError)
└── PhaseError                raise_for_status() on a result that is not a success; has .result
    ├── PhaseFailed
    │   └── HostsUnreachable
    ├── PhaseTimedOut                                                                  (TimeoutError)
    └── PhaseCanceled

PhaseError and its subclasses are in `ansible_env.results.phase_result`, beside the result that they carry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem with an input: its place, a message and a hint."""

    message: str
    key: str | None = None
    """Path of the key in the file, such as `tunables.sqlite.params.cache_size.range`."""
    file: Path | None = None
    line: int | None = None
    """Line in the file, counted from 1; None if it is not known."""
    hint: str | None = None

    def __str__(self) -> str:
        where = str(self.file) if self.file else ""
        if where and self.line:
            where += f":{self.line}"
        parts = [part for part in (where, self.key, self.message) if part]
        text = ": ".join(parts)
        return f"{text} ({self.hint})" if self.hint else text


class AnsibleEnvError(Exception):
    """Base of all errors that this library raises."""


class ConfigError(AnsibleEnvError, ValueError):
    """An input is wrong. Raised before any host is touched. `problems` has all problems of the input."""

    def __init__(self, problems: Problem | str | Sequence[Problem]) -> None:
        """Create the error from a message, a problem, or several problems."""
        if isinstance(problems, str):
            problems = Problem(problems)
        if isinstance(problems, Problem):
            problems = [problems]
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("; ".join(map(str, self.problems)))


class ParameterError(ConfigError):
    """A parameter is missing, unknown, or has a value that cannot be used."""


class MetricsPatternError(ConfigError):
    """A results pattern does not compile, or has neither two groups nor named groups."""


class InventoryError(ConfigError):
    """The inventory cannot be read, or no host in it matches."""


class LifecycleError(AnsibleEnvError, RuntimeError):
    """A method was called out of order, such as `run` outside of the context."""


class EngineError(AnsibleEnvError):
    """Ansible could not be started or driven."""


class RepeatedFailureError(AnsibleEnvError):
    """Too many trials in a row failed alike; see `stop_after` of the environment file."""


class StoreError(AnsibleEnvError):
    """The store of results cannot be opened, read or written."""


class MetricsTimeoutError(AnsibleEnvError, TimeoutError):
    """A results pattern took longer than its time limit."""
