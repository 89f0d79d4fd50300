"""`attach`: take up a trial whose controller was killed, and bring it to its end."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import Any

from ansible_env.cli.exits import Exit, Interrupts
from ansible_env.cli.options import AttachOptions, Display, Running
from ansible_env.cli.preparing import prepare
from ansible_env.errors import ConfigError, Problem
from ansible_env.storage.bundle.directories import CALL_FILE, root
from ansible_env.storage.journal import Journal


def run_attach(options: AttachOptions) -> Exit:
    """Attach to a trial and return its exit code.

    Raises:
        ConfigError: there is no such trial, or it is not known how it was called.
        LifecycleError: its own controller still lives.
    """
    directory = find_trial(options.trial)
    call, phases = _read_call(directory.parent / CALL_FILE)
    given = _options(call, options)
    journal = Journal.open(directory)
    with ExitStack() as stack:
        interrupts = stack.enter_context(Interrupts())
        session = prepare(given, phases, 1, interrupts, stack, artifacts=directory.parent)
        return session.attach(journal)


def find_trial(trial: str | None) -> Path:
    """Return the directory of a trial: given as such, by (the beginning of) its name, or the last unfinished one.

    Raises:
        ConfigError: there is none, or more than one.
    """
    if trial is not None and (Path(trial).expanduser() / "state.json").is_file():
        return Path(trial).expanduser().absolute()
    places = [Path(trial).expanduser()] if trial is not None and Path(trial).is_dir() else []
    states = [state for place in places for state in place.glob("trial-*/state.json")]
    if not states:
        states = [s for s in root().glob("*/*/trial-*/state.json") if trial is None or s.parts[-3].startswith(trial)]
    unfinished = sorted((s for s in states if not (s.parent / "result.json").exists()), key=lambda s: s.stat().st_mtime)
    if not unfinished:
        hint = "name its directory, as the last line of `trial` says it"
        raise ConfigError(Problem("there is no unfinished trial", trial, root(), hint=hint))
    if trial is not None and len(unfinished) > 1:
        names = ", ".join(str(state.parent) for state in unfinished)
        raise ConfigError(Problem(f"more than one trial is unfinished: {names}", trial))
    return unfinished[-1].parent


def _read_call(path: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return data["options"], tuple(data["phases"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(Problem(f"it is not known how the trial was called: {error}", file=path)) from error


def _options(call: dict[str, Any], options: AttachOptions) -> Running:
    """Return the options of the first call; how results are shown is decided anew."""
    known = {field.name for field in fields(Running)}
    paths = ("environment", "private_key", "become_password_file", "connection_password_file")
    values = {name: value for name, value in call.items() if name in known}
    values |= {name: Path(values[name]) for name in paths if values.get(name)}
    for name in ("params_file", "vault_password_file"):
        values[name] = [Path(item) for item in values.get(name) or []]
    values |= {field.name: getattr(options, field.name) for field in fields(Display)}
    values["artifacts"] = None
    return Running(**values)
