# Copyright (c) the ansible_env maintainers
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prepares a process for its phase by running an empty play.

After it, what Ansible loads at its first play is loaded, and memory is the process's own already. No phase comes after
another phase: of all that Ansible keeps in a process, only what this one play left has to be undone.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import json
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ansible.constants as C  # type: ignore[import-untyped]  # noqa: N812 - Ansible's own name for it

PLAY = {
    "name": "Empty play",
    "hosts": "all",
    "gather_facts": False,
    "strategy": "linear",
    "connection": "ssh",
    # Skipped before anything is done about its host. No other action: ansible-core before 2.19 takes what it has
    # loaded once for every action of that name, also for one beside a playbook.
    "tasks": [{"name": "Nothing", "ansible_env.bench.phase": {"script": ["true"]}, "when": False}],
}
INVENTORY = {"all": {"hosts": {"none": None}}}
WITHOUT_EFFECTS = {
    "BECOME_PASSWORD_FILE": None,
    "CACHE_PLUGIN": "memory",
    "CONNECTION_PASSWORD_FILE": None,
    "DEFAULT_ASK_PASS": False,
    "DEFAULT_ASK_VAULT_PASS": False,
    "DEFAULT_BECOME_ASK_PASS": False,
    "DEFAULT_LOG_PATH": None,
    "DEFAULT_VAULT_IDENTITY_LIST": [],
    "DEFAULT_VAULT_PASSWORD_FILE": None,
    "SSH_AGENT": "none",
    "VARIABLE_PLUGINS_ENABLED": ["host_group_vars"],
}
"""Settings with which a play in which nothing happens reads no password, writes no log and starts no program."""

WORKER_END = 10.0
"""Seconds for a worker that has sent its result to end."""


class UnsuitableError(Exception):
    """The empty play would have effects, or has left state that a phase could find."""


def run_empty_play(scratch: str) -> None:
    """Run it, with its own directory below `scratch`, and undo what it has left.

    Raises:
        UnsuitableError: with this configuration it would leave a trace.
    """
    _check_configuration()
    directory = Path(tempfile.mkdtemp(prefix="empty-play-", dir=scratch))
    try:
        os.environ |= {"ANSIBLE_LOCAL_TEMP": str(directory), "AWX_ISOLATED_DATA_DIR": str(directory)}
        refresh_events()
        os.chdir(directory)
        C.DEFAULT_LOCAL_TMP = tempfile.mkdtemp(dir=directory)
        _play(directory)
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()  # or it would be flushed to the terminal of the phase
        os.chdir("/")
        shutil.rmtree(directory, ignore_errors=True)
    _check_processes()
    _undo()


def refresh_events() -> None:
    """Make ansible-runner's callback write its events to the directory in the current environment."""
    for name, module in list(sys.modules.items()):
        context: Any = getattr(module, "event_context", None)
        if name.rpartition(".")[2].startswith("awx_display") and context is not None:
            context._global_ctx.clear()
            context._local = threading.local()
            context.cache = module.IsolatedFileWrite()


def _check_configuration() -> None:
    for name, harmless in WITHOUT_EFFECTS.items():
        value = None
        with contextlib.suppress(Exception):  # not every ansible-core has every setting
            value = C.config.get_config_value(name)
        if value and value != harmless:
            raise UnsuitableError(f"{name} is set")
    for place in C.config.get_config_value("DEFAULT_VARS_PLUGIN_PATH") or []:  # those in there need not be enabled
        if any(Path(place).glob("*.py")):
            raise UnsuitableError(f"there are plugins for variables in {place}")


def _play(directory: Path) -> None:
    playbook, inventory = directory / "playbook.yml", directory / "inventory.yml"
    playbook.write_text(json.dumps([PLAY]), encoding="utf-8")
    inventory.write_text(json.dumps(INVENTORY), encoding="utf-8")
    arguments = ["ansible-playbook", "-i", str(inventory), str(playbook)]
    with _signal_handlers_kept(), _without_extras():
        status = importlib.import_module("ansible.cli.playbook").PlaybookCLI(arguments).run()
    if status != 0:
        raise UnsuitableError(f"exit status {status}")


@contextlib.contextmanager
def _signal_handlers_kept() -> Iterator[None]:
    """Restore the signal handlers: those that Ansible sets would keep all of the play in memory."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


@contextlib.contextmanager
def _without_extras() -> Iterator[None]:
    """Leave out callbacks that the configuration adds, which may write files or send mail, and Ansible's server.

    The server is a thread with a socket by which workers ask for what hosts to add, since ansible-core 2.21.
    """
    executor: Any = importlib.import_module("ansible.executor.playbook_executor")
    replaced: list[tuple[Any, str, Any]] = [
        (executor, "TaskQueueManager", functools.partial(executor.TaskQueueManager, run_additional_callbacks=False))
    ]
    with contextlib.suppress(ImportError):
        manager = importlib.import_module("ansible._internal._rpc_host").LocalManager
        replaced.append((manager, "shared_instance", lambda: None))
    before = [vars(place)[name] for place, name, _ in replaced]
    for place, name, replacement in replaced:
        setattr(place, name, replacement)
    try:
        yield
    finally:
        for (place, name, _), value in zip(replaced, before, strict=True):
            setattr(place, name, value)


def _undo() -> None:
    """Undo what Ansible keeps for the rest of a process. A part that is not where it is expected is an error."""
    options: Any = importlib.import_module("ansible.utils.context_objects").GlobalCLIArgs
    options._Singleton__instance = None
    vault: Any = importlib.import_module("ansible.parsing.vault")
    if hasattr(vault, "VaultSecretsContext"):  # since 2.19
        vault.VaultSecretsContext._current = None
    display: Any = importlib.import_module("ansible.utils.display").Display()
    for shown in (display._deprecations, display._warns, display._errors):
        shown.clear()
    gc.collect()
    gc.freeze()  # so that a collection in the phase does not go through all of it


def _check_processes() -> None:
    """Check that no thread and no process is left: workers are forked in a phase, and not beside threads."""
    for worker in multiprocessing.active_children():
        worker.join(WORKER_END)
    threads = [thread.name for thread in threading.enumerate()][1:]
    if threads:
        raise UnsuitableError(f"threads are left: {threads}")
    with contextlib.suppress(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
        raise UnsuitableError("a process is left")
