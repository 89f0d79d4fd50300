"""What an engine is given and gives back."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ansible_env.engine.inventory import Inventory

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Options:
    """How ansible-playbook is to be called, in its own words."""

    forks: int | None = None
    """Hosts worked on at once; as many as there are, up to 50, where it is not given."""
    extra_vars: Mapping[str, Any] = field(default_factory=dict)
    extra_vars_files: tuple[Path, ...] = ()
    check: bool = False
    diff: bool = False
    verbosity: int = 0
    arguments: tuple[str, ...] = ()
    """Further arguments, such as --vault-id or --become-password-file."""
    config_file: Path | None = None
    """An ansible.cfg; found as Ansible finds it from the current directory where it is not given."""
    pass_env: tuple[str, ...] = ()
    """Further environment variables that Ansible may see; `AWS_*` stands for all that begin so."""
    connection_password: str | None = field(default=None, repr=False)
    """Password to log in; in no argument list, and in no file but a private one."""
    become_password: str | None = field(default=None, repr=False)
    """Password to become another user; kept in the same way."""


@dataclass(frozen=True, slots=True)
class Job:
    """One phase, ready to be run."""

    playbook: str
    """YAML."""
    inventory: Inventory
    hosts: tuple[str, ...] = ()
    """The hosts that are expected to take part."""
    limit: str | None = None
    secrets: Mapping[str, Any] = field(default_factory=dict, repr=False)
    key: str | None = None
    """What the scripts' names on the targets are made from, so that they can be found again."""
    results: Path | None = None
    """Directory in which the phase task writes what each script came to."""
    timeout: float | None = None
    """Seconds until the run is ended from here; the scripts have their own deadline on the target."""
    grace: float = 5
    base_dir: Path | None = None
    """Directory whose group_vars, roles and so on count as beside the playbook; the environment file's own."""
    beside: tuple[Path, ...] = ()
    """Further directories of the kind, of imported playbooks."""
    uses_files: bool = False
    """Whether the playbook may name any file of that directory."""
    logs: Path | None = None
    """Directory that keeps the full output of the scripts; private and removed at the end where not given."""
    options: Options = field(default_factory=Options)


@dataclass(frozen=True, slots=True)
class EngineRun:
    """What came of a job."""

    events: tuple[Event, ...]
    rc: int | None = None
    """Exit status of ansible-playbook; None where a signal ended it."""
    stopped: str = ""
    """`canceled` or `timeout` where we ended it."""
    message: str = ""
    """What Ansible reported outside of any task, where it failed."""
    unfinished: tuple[str, ...] = ()
    """Hosts on which a script was started, or may have been, whose end is not known: nobody follows it any more."""


class Cancellation:
    """A request to end a run, from any thread, that can be made once and is never taken back."""

    def __init__(self, event: threading.Event | None = None) -> None:
        """Make one of its own, or one that an event of the caller's sets off."""
        self._event = event or threading.Event()
        self.reason = "canceled"

    def cancel(self) -> None:
        """Ask for the end."""
        self._event.set()

    @property
    def event(self) -> threading.Event:
        """What is set when somebody asks."""
        return self._event

    @property
    def requested(self) -> bool:
        """Whether somebody has asked."""
        return self._event.is_set()


class Listener(Protocol):
    """Is told what happens while a job runs. Called from the engine's thread; must return quickly."""

    def on_event(self, event: Event) -> None:
        """Take a genuine event of ansible-runner."""

    def on_output(self, host: str, stream: str, text: str) -> None:
        """Take what a host's script printed to `stdout` or `stderr`, as it was printed."""


class Engine(Protocol):
    """Runs playbooks."""

    def hosts(self, inventory: Inventory, pattern: str, limit: str | None, options: Options) -> Sequence[str]:
        """Return the hosts that a pattern stands for, in the inventory's order.

        Raises:
            InventoryError: the inventory cannot be read, or no host matches.
        """

    def run(self, job: Job, *, listener: Listener | None = None, cancel: Cancellation | None = None) -> EngineRun:
        """Run a job to its end.

        Raises:
            EngineError: Ansible could not be started.
        """

    def close(self) -> None:
        """End everything that was kept for the next job. May be called twice."""
