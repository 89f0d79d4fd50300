"""`attach`: resumes a trial whose controller was killed, and finishes it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from ansible_env.cli import console
from ansible_env.cli.call import attach_commands, open_call, read_call
from ansible_env.cli.exits import Exit
from ansible_env.cli.options import Display, argument
from ansible_env.cli.trial import Trials
from ansible_env.environment.once import PREFIX
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
        if directory.name.startswith(PREFIX):
            part = stack.enter_context(call.env.on_once(call.env.hosts))
            call = replace(call, env=part, recorders=call.recorders[:1], phases=("setup", "teardown"))
        code = Trials(call, 1, stack).resume(journal)
        if directories := [path for path in _unfinished(directory.parent) if path.name.startswith(PREFIX)]:
            for line in attach_commands(directories):
                console.say_error(line)
        return code


def find_trial(trial: str | None) -> Path:
    """Return the directory of a trial, by its path or the beginning of its name; by default the last unfinished one.

    Raise ConfigError if there is none, or more than one.
    """
    if trial is not None and (Path(trial).expanduser() / "state.json").is_file():
        return Path(trial).expanduser().absolute()
    places = [Path(trial).expanduser()] if trial is not None and Path(trial).is_dir() else []
    unfinished = [path for place in places for path in _unfinished(place)]
    if not places:
        calls = [path for path in root().glob("*/*") if trial is None or path.name.startswith(trial)]
        unfinished = [path for call in calls for path in _unfinished(call)]
    unfinished.sort(key=lambda path: (not path.name.startswith(PREFIX), (path / "state.json").stat().st_mtime))
    if not unfinished:
        hint = "name its directory, which is in the last line of the output of `trial`"
        raise ConfigError(Problem("there is no unfinished trial", trial, root(), hint=hint))
    if trial is not None and len(unfinished) > 1:
        names = ", ".join(map(str, unfinished))
        raise ConfigError(Problem(f"more than one trial is unfinished: {names}", trial))
    return unfinished[-1]


def _unfinished(call: Path) -> list[Path]:
    """Return the directories of the trials of a call that have no result, and those of its parts once on each host."""
    states = [state for name in ("trial-*", f"{PREFIX}*") for state in call.glob(f"{name}/state.json")]
    return sorted(state.parent for state in states if not (state.parent / "result.json").exists())
