"""`attach`: resumes a trial whose controller was killed, and finishes it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ansible_env.cli.call import open_call, read_call
from ansible_env.cli.exits import Exit
from ansible_env.cli.options import Display, argument
from ansible_env.cli.trial import Trials
from ansible_env.errors import ConfigError, Problem
from ansible_env.storage.bundle.directories import root
from ansible_env.storage.journal import Journal


@dataclass(kw_only=True)
class AttachOptions(Display):
    """Options of `attach`."""

    trial: str | None = argument(
        "[TRIAL]", "Directory of the trial, or its name. Default: the last unfinished one.", None
    )


def attach(options: AttachOptions) -> Exit:
    """Resume a trial whose controller was killed: follow the running script, and finish the trial with its result."""
    directory = find_trial(options.trial)
    given, phases = read_call(directory.parent, options)
    journal = Journal.open(directory)
    with ExitStack() as stack:
        call = open_call(given, phases, stack, directory=directory.parent)
        return Trials(call, 1, stack).resume(journal)


def find_trial(trial: str | None) -> Path:
    """Return the directory of a trial, by its path or the beginning of its name; by default the last unfinished one.

    Raise ConfigError if there is none, or more than one.
    """
    if trial is not None and (Path(trial).expanduser() / "state.json").is_file():
        return Path(trial).expanduser().absolute()
    places = [Path(trial).expanduser()] if trial is not None and Path(trial).is_dir() else []
    states = [state for place in places for state in place.glob("trial-*/state.json")]
    if not states:
        states = [s for s in root().glob("*/*/trial-*/state.json") if trial is None or s.parts[-3].startswith(trial)]
    unfinished = sorted((s for s in states if not (s.parent / "result.json").exists()), key=lambda s: s.stat().st_mtime)
    if not unfinished:
        hint = "name its directory, which is in the last line of the output of `trial`"
        raise ConfigError(Problem("there is no unfinished trial", trial, root(), hint=hint))
    if trial is not None and len(unfinished) > 1:
        names = ", ".join(str(state.parent) for state in unfinished)
        raise ConfigError(Problem(f"more than one trial is unfinished: {names}", trial))
    return unfinished[-1].parent
