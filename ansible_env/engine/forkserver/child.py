# Copyright (c) the ansible_env maintainers
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the fork server loads before it forks, and how a forked process becomes an ordinary ansible-playbook."""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.util
import multiprocessing.process
import os
import secrets
import select
import signal
import socket
import sys
import tempfile
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ansible.constants as C  # type: ignore[import-untyped]  # noqa: N812 - Ansible's own name for it
from ansible.plugins import loader  # type: ignore[import-untyped]
from ansible.release import __version__ as core_version  # type: ignore[import-untyped]

from ansible_env.engine.forkserver.client import NOT_PATCHED, NOT_PREPARED
from ansible_env.engine.forkserver.empty_play import refresh_events, run_empty_play
from ansible_env.engine.forkserver.patches import apply_patches
from ansible_env.engine.forkserver.wire import Request, RequestError, process_name, receive
from ansible_env.supervisor.variables import ENGINE_RUN

READY = b"+"
"""The message of a process that is prepared."""
IMPORTS = (
    "ansible.cli.playbook",
    "ansible.executor.playbook_executor",
    "ansible.executor.process.worker",
    "ansible.executor.task_executor",
    "ansible.playbook.handler_task_include",
    "ansible.inventory.manager",
    "ansible.plugins.doc_fragments.default_callback",
    "ansible.plugins.doc_fragments.vars_plugin_staging",
    "ansible.plugins.strategy.linear",
    "ansible.plugins.vars.host_group_vars",
    "ansible.template",
    "ansible.vars.manager",
    "ansible_env.results.metrics.parse",
    "ansible_env.supervisor.capture",
    "ansible_env.supervisor.follow",
    "ansible_env.supervisor.interrupts",
    "ansible_env.supervisor.record",
    "ansible_env.supervisor.report",
    "ansible_env.supervisor.telemetry",
    "ansible_env.supervisor.verdict",
    "multiprocessing.popen_fork",
    "multiprocessing.synchronize",
)
PLUGINS = {
    "action_loader": ("ansible_env.bench.phase", "ansible.builtin.command", "ansible.builtin.gather_facts"),
    "cache_loader": ("memory",),
    "callback_loader": ("default", "minimal"),
    "connection_loader": ("ssh", "local"),
    "inventory_loader": ("host_list", "script", "auto", "yaml", "ini", "toml", "advanced_host_list"),
    "shell_loader": ("sh",),
    "strategy_loader": ("linear", "free", "host_pinned"),
}
ALL = ("become_loader", "callback_loader", "connection_loader", "shell_loader")
"""Loaders of which Ansible loads every plugin at each start (executor/playbook_executor.py, task_queue_manager.py)."""


def load() -> Iterator[None]:
    """Import Ansible and find its usual plugins; a child may be forked at each step.

    Nothing here reads an inventory, or starts a thread.
    """
    importlib.import_module("ansible.cli.adhoc")  # the first request is usually for the hosts of an inventory
    for reason in apply_patches(core_version):
        print(f"{NOT_PATCHED}: {reason}", file=sys.stderr, flush=True)
    loader.init_plugin_loader()
    # A child configures the same finder with the same paths; the second time Ansible would only warn about it.
    loader._configure_collection_loader = lambda prefix_collections_path: None
    yield
    for name in IMPORTS:
        importlib.import_module(name)
        yield
    for kind, names in PLUGINS.items():
        plugins = getattr(loader, kind)
        for name in names:
            with contextlib.suppress(Exception):  # a plugin that is not there is looked for again when it is needed
                plugins.get(name, class_only=True)
            yield
    for kind in ALL:
        with contextlib.suppress(Exception):
            for _ in getattr(loader, kind).all(class_only=True):
                yield
    with contextlib.suppress(Exception):
        _define_callback()


def _define_callback() -> None:
    """Load the options of ansible-runner's callback; each child imports the callback, as that changes Ansible."""
    spec = importlib.util.find_spec("ansible_runner")
    if spec is None or spec.origin is None:
        return
    path = Path(spec.origin).parent / "display_callback" / "callback" / "awx_display.py"
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="DOCUMENTATION")], value=ast.Constant(value=str(text))):
                module = types.SimpleNamespace(DOCUMENTATION=text)
                loader.callback_loader._load_config_defs("awx_display", module, str(path))


def prepare_and_wait(connection: socket.socket, environ: Mapping[str, str], plays: int) -> int:
    """Run so many empty plays, report that, wait for a request and run it; return 0 if none can come any more."""
    os.setsid()
    errors = os.dup(2)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nothing, number)
    os.close(nothing)
    _reset_signals()
    scratch = os.environ["ANSIBLE_LOCAL_TEMP"]
    _set_environment(environ)
    _add_callbacks()
    try:
        for _ in range(plays):
            run_empty_play(scratch)
    except Exception as error:
        os.write(errors, f"{NOT_PREPARED}: {type(error).__name__}: {error}\n".encode())
        return 1
    os.close(errors)
    try:
        connection.sendall(READY)
        select.select([connection], [], [])
        request = receive(connection)
    except (OSError, RequestError):
        return 0
    connection.close()
    return run(request)


def run(request: Request) -> int:
    """Run the program that a client requested, and return its exit status."""
    with contextlib.suppress(PermissionError):  # a prepared process is in its own session already
        os.setsid()
    for number, fd in enumerate(request.fds):
        os.dup2(fd, number)
        os.close(fd)
    _reset_signals()
    os.chdir(request.cwd)
    sys.argv = list(request.arguments)
    _set_environment(request.environ)
    _renew()
    return _execute(request.arguments)


def _reset_signals() -> None:
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR1, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as pexpect starts ansible-playbook for ansible-runner


def _set_environment(environ: Mapping[str, str]) -> None:
    """Set the environment variables, and open new streams for the descriptors 0, 1 and 2."""
    os.environ.clear()
    os.environ.update(environ)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115


def _renew() -> None:
    """Replace what a new process would have made for itself: name, random numbers, directories."""
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text(process_name(os.environ.get(ENGINE_RUN, "")), encoding="ascii")
    utils: Any = importlib.import_module("ansible.utils.vars")
    utils.random_int = secrets.token_hex(4)
    refresh_events()
    C.DEFAULT_LOCAL_TMP = tempfile.mkdtemp(prefix="ansible-local-", dir=os.environ.get("ANSIBLE_LOCAL_TEMP"))
    # ansible-core 2.21 has a socket there; by default its directory would be removed in the end, which is not ours.
    multiprocessing.process.current_process()._config["tempdir"] = C.DEFAULT_LOCAL_TMP  # type: ignore[attr-defined]


def _add_callbacks() -> None:
    """Make ansible-runner's callback known. Only here and not in the server: it changes Display when it is loaded."""
    for directory in os.environ.get("ANSIBLE_CALLBACK_PLUGINS", "").split(os.pathsep):
        if directory:
            loader.callback_loader.add_directory(directory)


def _execute(arguments: list[str]) -> int:
    programs = {"ansible-playbook": ("playbook", "PlaybookCLI"), "ansible": ("adhoc", "AdHocCLI")}
    module, name = programs[Path(arguments[0]).name]
    if module == "playbook":
        _add_callbacks()
    cli: Any = getattr(importlib.import_module(f"ansible.cli.{module}"), name)
    try:
        cli.cli_executor(list(arguments))
    except SystemExit as done:
        code = done.code
    else:
        code = 0
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    if isinstance(code, str):
        os.write(2, code.encode())
    return code if isinstance(code, int) else int(code is not None)
