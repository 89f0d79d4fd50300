"""The file share: transfers of directories and files to and from hosts, over any connection of Ansible.

mlos_bench does not define what happens if the target exists, and its two services differ. Here a directory is merged
into an existing one if the target's path ends with a slash, and is copied into it otherwise, as by scp. There is one
exception: a directory that an earlier transfer of the same name created is merged into. Otherwise trial 2 would write
to `results/output`, while users continue to read `results` of trial 1.
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
from ansible_env.mlos.archive import install, pack, unpack
from ansible_env.mlos.runtime import runtime
from ansible_env.mlos.work import Work
from ansible_env.playbook.yaml_text import unsafe
from ansible_env.results.phase_result import PhaseResult

TRANSFER_TASK = "ansible_env.bench.transfer"


@dataclass(slots=True)
class TransferHistory:
    """The directories and files that earlier transfers of a service created."""

    made: set[tuple[str, str, str]] = field(default_factory=set)
    """New directories: the pattern of the hosts (empty for local ones), the path, and the name of the source."""
    written: list[tuple[Path, Any, tuple[str, str], list[Path]]] = field(default_factory=list)
    """Files of downloads: the directory, the trial, the source, and the files."""

    def forget(self, directory: Path, trial: Any, source: tuple[str, str]) -> None:
        """Delete files of other trials, and of earlier downloads of the same source, which may have been deleted there.

        LocalFileShareEnv also downloads to report its status, before a trial has written anything.
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
    """Collects the results of the transfer task on each host."""

    def __init__(self) -> None:
        self.of: dict[str, Mapping[str, Any]] = {}

    def on_event(self, event: Mapping[str, Any]) -> None:
        """Record the result of the transfer task, if the event has one."""
        data = event.get("event_data") or {}
        if data.get("task_action") == TRANSFER_TASK and isinstance(data.get("res"), Mapping):
            self.of[str(data.get("host"))] = data["res"]

    def on_output(self, host: str, stream: str, text: str) -> None:
        """Ignore output: no script prints any."""


def upload(work: Work, history: TransferHistory, local_path: str, remote_path: str, *, recursive: bool) -> None:
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
            "merge": key in history.made,
        }
        by_host = _transfer(work, arguments)
    if any(res.get("made") for res in by_host.values()):
        history.made.add(key)


def download(
    work: Work, history: TransferHistory, remote_path: str, local_path: str, *, recursive: bool, trial: Any = None
) -> None:
    """Copy a file or directory from one host. See `AnsibleService.download`."""
    name = remote_path.rstrip("/").rpartition("/")[2] or "root"
    with tempfile.TemporaryDirectory(prefix="ansible_env-mlos-") as scratch:
        fetched = Path(scratch, "fetched")
        arguments = {"fetch": str(fetched), "path": remote_path, "recursive": recursive}
        (res,) = _transfer(work, arguments, single=True).values()
        into, made = _local_target(history, local_path, name, directory=bool(res["archive"]))
        source = (work.target.pattern, remote_path)
        if not res["archive"]:
            install(fetched, into, int(res["mode"], 8))
            return
        history.forget(into, trial, source)
        history.written.append((into, trial, source, unpack(fetched, into)))
        if made:
            into.chmod(int(res["mode"], 8))
            history.made.add(("", local_path, name))


def _local_target(history: TransferHistory, local_path: str, name: str, *, directory: bool) -> tuple[Path, bool]:
    """Return the target of a download, and whether the download creates that directory."""
    target = Path(local_path).absolute()
    merges = local_path.endswith("/") if directory else False
    known = directory and ("", local_path, name) in history.made
    if not directory and (local_path.endswith("/") or target.is_dir()):
        return target / name, False
    if directory and target.is_dir() and not merges and not known:
        return target / name, False
    return target, not target.exists()


def _transfer(work: Work, arguments: Mapping[str, Any], *, single: bool = False) -> dict[str, Mapping[str, Any]]:
    """Run the transfer task on the hosts, and return its result on each.

    Raises:
        FileNotFoundError: the path of the arguments does not exist.
        PhaseError: the transfer failed.
    """
    config = work.config([{"name": "Transfer", TRANSFER_TASK: unsafe(dict(arguments))}])
    results = _Results()

    def job(cancel: Cancellation) -> PhaseResult:
        if single and len(work.hosts()) > 1:
            hint = "name one of them, as by vmName"
            raise ParameterError(Problem(f"{work.target.pattern!r} selects several hosts", "download", hint=hint))
        return work.run(config, cancel, listener=results)

    execution = runtime().submit(job)
    try:
        result = execution.result()
    except BaseException:  # Ctrl-C, too
        execution.cancel()
        raise
    if any(res.get("rc") == errno.ENOENT for res in results.of.values()):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), arguments["path"])
    result.raise_for_status()
    return results.of
