"""Runs phases for one test, and knows what they may not leave."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from ansible_env import Engine, HostResult, PhaseResult, RemoteEnv
from ansible_env.common import Owner
from tests.hosts import Host, Hosts
from tests.hosts.procs import Process, all_pids, matching, name_of

LIMITS = {"setup": 30, "run": 30, "teardown": 30, "grace": 1}
SLACK = 5.0
"""Seconds that a loaded machine with two cores may add to a bound, for starting Ansible and for everything else."""
RUN_ID = "ANSIBLE_ENV_RUN_ID="


class Bench:
    """A place to run scripts: localhost, or some of the hosts; each with a mark that finds its processes again."""

    def __init__(self, engine: Engine, hosts: Hosts | None, directory: Path) -> None:
        self.engine = engine
        self.hosts = hosts
        self.mark = f"mark{uuid.uuid4().hex}"
        self.directory = directory
        self.ids = directory / "run-ids"
        self.inventory = hosts.inventory() if hosts else None

    def config(self, **config: Any) -> dict[str, Any]:
        """Return an environment file's content that exports the mark, and all of its `const_args`."""
        args = {"FAULT_MARK": self.mark, **config.pop("const_args", {})}
        if self.hosts is None:
            args["FAULT_IDS"] = str(self.ids)
            note = 'echo "$ANSIBLE_ENV_RUN_ID" >>"$FAULT_IDS"\n'
            config |= {name: note + config[name] for name in ("setup", "run") if isinstance(config.get(name), str)}
        exported = [*args, *config.pop("shell_env_params", [])]
        timeouts = {**LIMITS, **config.pop("timeouts", {})}
        return {"name": "fault", "const_args": args, "shell_env_params": exported, "timeouts": timeouts, **config}

    def env(self, *, limit: str | None = "h1", inventory: Any = None, options: Any = None, **more: Any) -> RemoteEnv:
        """Return an environment; keys of RemoteEnv go there, all others into its configuration."""
        names = ("logs", "journal", "listener", "cancel", "global_config")
        own = {name: more.pop(name) for name in names if name in more}
        return RemoteEnv(
            config=self.config(**more),
            inventory=inventory or self.inventory,
            limit=limit if self.hosts is not None else None,
            engine=own.pop("engine", self.engine),
            options=options,
            **own,
        )

    def phase(self, run: Any, **more: Any) -> PhaseResult:
        """Run one phase with these scripts or tasks, and return its result."""
        with self.env(run=run, **more) as env:
            return env.run_phase("run")

    def host(self, run: Any, **more: Any) -> HostResult:
        """Run one phase on one host, and return what came of it there."""
        (result,) = self.phase(run, **more).hosts.values()
        return result

    def scripts(self) -> list[Process]:
        """Return the processes of this test's scripts, wherever they run."""
        return matching(all_pids(), self.mark)

    def until_begun(self) -> list[Process]:
        """Wait until a script has started."""
        return until(self.scripts, "a script to start")

    def left(self) -> list[str]:
        """Return what is left of this test on the controller and the targets."""
        found = [f"script {process.pid} {process.argv}" for process in self.scripts()]
        found += local_left()
        if self.hosts is None:
            ids = self.ids.read_text().split() if self.ids.exists() else []
            for run_id in ids:
                found += [f"{p.pid} {p.argv}" for p in matching(all_pids(), f"ansible_env.{run_id}")]
                found += [str(path) for path in Path("/tmp").glob(f"ansible_env.{run_id}*")]
            return found
        for host in self.hosts:
            if host.is_up:
                found += host_left(host)
        return found

    def assert_clean(self, timeout: float = 5) -> None:
        """Fail if anything is left; what is just going may take a moment."""
        end = time.monotonic() + timeout
        while (left := self.left()) and time.monotonic() < end:
            time.sleep(0.05)
        assert not left, "left behind: " + "; ".join(left)


def host_left(host: Host, *, directories: bool = True) -> list[str]:
    """Return our processes and run directories on a host."""
    found = [f"{host.name}: {p.pid} {p.argv}" for m in (RUN_ID, "/ansible_env.") for p in host.processes(m)]
    return found + ([str(path) for path in host.path("/tmp").glob("ansible_env.*")] if directories else [])


def local_left(owner: str | None = None) -> list[str]:
    """Return the processes and directories of runs of an owner (us) that have not ended with their run."""
    owner = owner or Owner.this().to_text()
    found = []
    for process in matching(all_pids(), f"ANSIBLE_ENV_OWNER={owner}"):
        is_shared = "[mux]" in process.argv[-1] or "ansible_env.engine.forkserver.server" in process.argv
        if not is_shared or name_of(process.pid).startswith("ae-"):
            found.append(f"local {process.pid} {process.name} {process.argv}")
    return found + [str(path) for base in bases(owner) for path in base.glob("run-*")]


def bases(owner: str) -> Iterator[Path]:
    """Yield the directories of an owner's engines."""
    for base in Path(gettempdir()).glob("ae-*"):
        with contextlib.suppress(FileNotFoundError):  # somebody else's, which has just ended
            if (base / "owner").read_text() == owner:
                yield base


def until(condition: Callable[[], Any], what: str, timeout: float = 30) -> Any:
    """Wait for something to become true, and return it."""
    end = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.02)
    return found
