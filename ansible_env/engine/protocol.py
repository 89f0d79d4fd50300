"""The interface of engines: their input and their results."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ansible_env.engine.inventory import Inventory

Event = Mapping[str, Any]
SYNTAX_CHECK = "--syntax-check"


@dataclass(frozen=True, slots=True)
class Options:
    """The options of ansible-playbook."""

    forks: int | None = None
    """Hosts handled at once. Default: all, up to 50."""
    extra_vars: Mapping[str, Any] = field(default_factory=dict)
    extra_vars_files: tuple[Path, ...] = ()
    check: bool = False
    diff: bool = False
    verbosity: int = 0
    arguments: tuple[str, ...] = ()
    """Further arguments, such as --vault-id or --become-password-file."""
    config_file: Path | None = None
    """An ansible.cfg. Default: the one that Ansible finds from the current directory."""
    pass_env: tuple[str, ...] = ()
    """Further environment variables that Ansible may see; `AWS_*` selects all that begin with `AWS_`."""
    connection_password: str | None = field(default=None, repr=False)
    """Password for the login. It is in no argument list, and only in a private file."""
    become_password: str | None = field(default=None, repr=False)
    """Password to become another user. It is handled in the same way."""


@dataclass(frozen=True, slots=True)
class Job:
    """One rendered phase, with everything that an engine needs to run it."""

    playbook: str
    """YAML."""
    inventory: Inventory
    hosts: tuple[str, ...] = ()
    """The hosts that are expected to take part."""
    limit: str | None = None
    secrets: Mapping[str, Any] = field(default_factory=dict, repr=False)
    key: str | None = None
    """The names of the scripts on the targets are derived from it, so that another run finds the scripts."""
    lease: str | None = None
    """The lease that scripts take on their hosts, as the phase task reads it from `ANSIBLE_ENV_LEASE`."""
    results: Path | None = None
    """Directory to which the phase task writes the result of each script."""
    timeout: float | None = None
    """Seconds until the engine ends the run. The scripts have their own deadline on the target."""
    grace: float = 5
    base_dir: Path | None = None
    """Directory of the environment file: its group_vars, roles and so on count as beside the playbook."""
    beside: tuple[Path, ...] = ()
    """Directories of imported playbooks, for the same."""
    uses_files: bool = False
    """Whether the playbook may use any file of `base_dir`."""
    logs: Path | None = None
    """Directory that keeps the full output of the scripts. Default: a private one, removed at the end."""
    options: Options = field(default_factory=Options)

    @property
    def is_syntax_check(self) -> bool:
        """Whether Ansible only checks the playbook, and connects to no host."""
        return SYNTAX_CHECK in self.options.arguments


@dataclass(frozen=True, slots=True)
class EngineRun:
    """The result of a job."""

    events: tuple[Event, ...]
    rc: int | None = None
    """Exit status of ansible-playbook; None if a signal ended it."""
    stopped: str = ""
    """`canceled` or `timeout`, if the engine ended it."""
    message: str = ""
    """The error that Ansible reported outside of any task; empty if there is none."""
    unfinished: tuple[str, ...] = ()
    """Hosts on which a script was or may have been started, and whose end is not known."""


class Cancellation:
    """A request to end a run, from any thread. It cannot be taken back."""

    def __init__(self, event: threading.Event | None = None) -> None:
        """Use a new event, or one that the caller sets."""
        self._event = event or threading.Event()
        self.reason = "canceled"

    def cancel(self) -> None:
        """Request the end."""
        self._event.set()

    @property
    def event(self) -> threading.Event:
        """The event that is set with the request."""
        return self._event

    @property
    def requested(self) -> bool:
        """Whether the end was requested."""
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until the end is requested; return whether it was not.

        It polls: a signal handler that sets an event while its own thread waits for the same event may block.
        """
        until = time.monotonic() + seconds
        while not self.requested and (left := until - time.monotonic()) > 0:
            time.sleep(min(0.1, left))
        return not self.requested


class Listener(Protocol):
    """Is called while a job runs, from the engine's thread. It must return quickly."""

    def on_event(self, event: Event) -> None:
        """Receive a genuine event of ansible-runner."""

    def on_output(self, host: str, stream: str, text: str) -> None:
        """Receive new output of a host's script; `stream` is `stdout` or `stderr`."""


class Engine(Protocol):
    """Runs playbooks."""

    def hosts(self, inventory: Inventory, pattern: str, limit: str | None, options: Options) -> Sequence[str]:
        """Return the hosts that a pattern selects, in the inventory's order.

        Raises:
            InventoryError: the inventory cannot be read, or no host matches.
        """

    def run(self, job: Job, *, listener: Listener | None = None, cancel: Cancellation | None = None) -> EngineRun:
        """Run a job to its end.

        Raises:
            EngineError: Ansible could not be started.
        """

    def close(self) -> None:
        """End and remove everything that was kept for the next job. It may be called again."""
