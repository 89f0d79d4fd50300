"""The file share: directories and files to and from hosts, over whatever connection Ansible has to them.

What an existing target means is nowhere said in mlos_bench, and its two services differ. Here a directory is merged
into an existing one if the target's path ends with a slash, and goes into it otherwise, as with scp. With one
exception: a directory that an earlier transfer of the same name has made is merged into. Else trial 2 would write to
`results/output`, and everybody would go on reading trial 1's `results`.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_env.engine.protocol import Cancellation
from ansible_env.errors import ParameterError, Problem
from ansible_env.mlos.archive import pack, place, unpack
from ansible_env.mlos.runtime import Execution, runtime
from ansible_env.mlos.work import Work
from ansible_env.playbook.yaml_text import unsafe
from ansible_env.results.phase_result import PhaseResult

TRANSFER_TASK = "ansible_env.bench.transfer"


@dataclass(slots=True)
class Memory:
    """What earlier transfers of a service have made."""

    made: set[tuple[str, str, str]] = field(default_factory=set)
    """Directories that were not there before: on which hosts (here: none), the path, and the name of the source."""
    written: list[tuple[Path, Any, tuple[str, str], list[Path]]] = field(default_factory=list)
    """Files from downloads: the directory, the trial, from where, and the files."""

    def forget(self, directory: Path, trial: Any, source: tuple[str, str]) -> None:
        """Remove files of other trials, and of an earlier look at the same source: what is gone there has to go here.

        LocalFileShareEnv fetches also to tell its status, before a trial has written anything.
        """
        kept = []
        for entry in self.written:
            where, of, origin, files = entry
            if where == directory and (origin == source or (None not in (of, trial) and of != trial)):
                for path in files:
                    path.unlink(missing_ok=True)
            else:
                kept.append(entry)
        self.written = kept


class _Results:
    """Collects what the transfer task returned on each host."""

    def __init__(self) -> None:
        self.of: dict[str, Mapping[str, Any]] = {}

    def on_event(self, event: Mapping[str, Any]) -> None:
        """Take an event of ansible-runner."""
        data = event.get("event_data") or {}
        if data.get("task_action") == TRANSFER_TASK and isinstance(data.get("res"), Mapping):
            self.of[str(data.get("host"))] = data["res"]

    def on_output(self, host: str, stream: str, text: str) -> None:
        """No script prints anything."""


def upload(work: Work, memory: Memory, local_path: str, remote_path: str, *, recursive: bool) -> None:
    """Copy a file or directory to hosts. See `AnsibleService.upload`."""
    source = Path(local_path)
    if not source.exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), local_path)
    key = (work.target.pattern, remote_path, source.absolute().name)
    with tempfile.TemporaryDirectory(prefix="ansible_env-mlos-") as scratch:
        sent = source
        if source.is_dir():
            sent = Path(scratch, "archive")
            pack(source, sent, recursive=recursive)
        arguments = {
            "send": str(sent.absolute()),
            "archive": source.is_dir(),
            "name": source.absolute().name,
            "path": remote_path,
            "mode": f"{stat.S_IMODE(source.stat().st_mode):04o}",
            "merge": key in memory.made,
        }
        result, told = _transfer(work, arguments)
        _raise_for(result, told, remote_path)
    if any(res.get("made") for res in told.values()):
        memory.made.add(key)


def download(
    work: Work, memory: Memory, remote_path: str, local_path: str, *, recursive: bool, trial: Any = None
) -> None:
    """Copy a file or directory from one host. See `AnsibleService.download`."""
    name = remote_path.rstrip("/").rpartition("/")[2] or "root"
    with tempfile.TemporaryDirectory(prefix="ansible_env-mlos-") as scratch:
        fetched = Path(scratch, "fetched")
        arguments = {"fetch": str(fetched), "path": remote_path, "recursive": recursive}
        result, told = _transfer(work, arguments, single=True)
        _raise_for(result, told, remote_path)
        (res,) = told.values()
        into, made = _local_target(memory, local_path, name, directory=bool(res["archive"]))
        source = (work.target.pattern, remote_path)
        if not res["archive"]:
            place(fetched, into, int(res["mode"], 8))
            return
        memory.forget(into, trial, source)
        memory.written.append((into, trial, source, unpack(fetched, into)))
        if made:
            into.chmod(int(res["mode"], 8))
            memory.made.add(("", local_path, name))


def _local_target(memory: Memory, local_path: str, name: str, *, directory: bool) -> tuple[Path, bool]:
    """Return where a download goes, and whether it makes that directory."""
    target = Path(local_path).absolute()
    merges = local_path.endswith("/") if directory else False
    known = directory and ("", local_path, name) in memory.made
    if not directory and (local_path.endswith("/") or target.is_dir()):
        return target / name, False
    if directory and target.is_dir() and not merges and not known:
        return target / name, False
    return target, not target.exists()


def _transfer(
    work: Work, arguments: Mapping[str, Any], *, single: bool = False
) -> tuple[PhaseResult, dict[str, Mapping[str, Any]]]:
    """Run the transfer task on the hosts, and return what came of it and what it returned on each."""
    config = work.config([{"name": "Transfer", TRANSFER_TASK: unsafe(dict(arguments))}])
    results = _Results()

    def job(cancel: Cancellation) -> PhaseResult:
        if single and len(work.hosts()) > 1:
            hint = "name one of them, as by vmName"
            raise ParameterError(Problem(f"{work.target.pattern!r} stands for several hosts", "download", hint=hint))
        return work.run(config, cancel, listener=results)

    return _done(runtime().submit(job)), results.of


def _done(execution: Execution[PhaseResult]) -> PhaseResult:
    try:
        return execution.result()
    except BaseException:  # Ctrl-C, too
        execution.cancel()
        raise


def _raise_for(result: PhaseResult, told: Mapping[str, Mapping[str, Any]], path: str) -> None:
    if any(res.get("rc") == errno.ENOENT for res in told.values()):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    result.raise_for_status()
