"""The file share: transfers of directories and files to and from hosts, over any connection of Ansible.

mlos_bench does not define what happens if the target exists, and its two services differ. Here a directory is merged
into an existing one if the target's path ends with a slash, and is copied into it otherwise, as by scp. There is one
exception: a directory that an earlier transfer of the same name created is merged into. Otherwise trial 2 would write
to `results/output`, while users continue to read `results` of trial 1.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import stat
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ansible_env.engine.protocol import Cancellation
from ansible_env.errors import ParameterError, Problem
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


logger = logging.getLogger(__name__)


def pack(source: Path, archive: Path, *, recursive: bool) -> None:
    """Write the content of a directory to a tar archive, without subdirectories unless `recursive`."""
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(source.iterdir()):
            if recursive or not path.is_dir():
                tar.add(path, arcname=path.name, filter=_nobody)


def _nobody(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Remove the owner, who does not exist on the host."""
    return member.replace(uid=0, gid=0, uname="", gname="", deep=False)


def unpack(archive: Path, target: Path) -> list[Path]:
    """Extract a tar archive from a host into a directory, and return the files.

    The host is not trusted: members that would leave the directory are skipped (tarfile.data_filter).
    """
    target.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    with tarfile.open(archive) as tar:
        for member in tar:
            if PurePosixPath(member.name) == PurePosixPath("."):
                continue  # the directory itself already has its mode
            _forget_link(target, PurePosixPath(member.name))
            try:
                safe = tarfile.data_filter(member, os.fspath(target)).replace(mode=member.mode & 0o777, deep=False)
            except tarfile.FilterError as error:
                logger.warning("a download skips a member: %s", error)
                continue
            path = target / safe.name
            if not safe.isdir() and path.is_file():
                path.unlink()  # never write into a file that has another name
            tar.extract(safe, target, filter="fully_trusted")
            if not safe.isdir():
                written.append(path)
    return written


def _forget_link(target: Path, name: PurePosixPath) -> None:
    """Remove a link in the place of a member: never write through it."""
    path = target / name
    inside = not name.is_absolute() and ".." not in name.parts
    if inside and path.is_symlink() and path.parent.resolve().is_relative_to(target.resolve()):
        path.unlink()


def install(file: Path, target: Path, mode: int) -> Path:
    """Move a fetched file to its target atomically."""
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.ansible_env-part")
    try:
        shutil.move(file, new)  # possibly from another file system
        new.chmod(mode)
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)
    return target
