"""`sweep --resume`: which interrupted call goes on, and whether its plan is the same."""

from __future__ import annotations

from pathlib import Path

from ansible_env.cli import console
from ansible_env.cli.call import Call
from ansible_env.cli.sweep_options import SweepOptions
from ansible_env.errors import ConfigError, LifecycleError, Problem, StoreError
from ansible_env.report.formatting import some
from ansible_env.storage.bundle.directories import root
from ansible_env.storage.bundle.origin import content_of
from ansible_env.storage.saved_call import Plan, SavedCall, saved_calls
from ansible_env.storage.store import Store
from ansible_env.storage.store_writer import recover


def plan_of(options: SweepOptions, call: Call) -> Plan:
    """Return what decides the trials of a call, without secrets: a resumed call must have the same."""
    given = {**call.values.tunables, **call.values.globals}
    axes = [text.partition("=") for text in options.grid or []]
    return {
        "": {
            "environment": call.env.name,
            "--repeat": options.repeat,
            "--hosts-per-trial": options.hosts_per_trial,
            "--calibrate": options.calibrate and sorted(call.env.hosts),
        },
        "--grid": {name.strip(): values.strip() for name, _, values in axes},
        "parameter": {name: value for name, value in given.items() if name not in call.env.config.secret_names},
        "environment file": content_of(call.env.config),
    }


def interrupted_call(options: SweepOptions, call: Call) -> SavedCall:
    """Return the call to resume.

    Raises:
        ConfigError: there is none, or its plan is another one.
        LifecycleError: it is still running.
    """
    plan = plan_of(options, call)
    if options.resume_from is not None:
        saved = _named(options.resume_from)
        if not saved.ended and not saved.is_interrupted:
            raise LifecycleError(f"{saved.directory.name} is still running (pid {saved.owner.pid})")
        _check(saved, options, plan, "--resume-from")
        return saved
    every = [saved for saved in saved_calls() if saved.is_interrupted and _is_of(saved, call)]
    if not every:
        hint = "--resume-from DIR for one with --artifacts"
        raise ConfigError(Problem(f"{call.env.name} has no interrupted sweep in {root()}", "--resume", hint=hint))
    same = [saved for saved in every if not _differences(saved, options, plan)]
    if not same:
        _check(every[0], options, plan, "--resume")
    return same[0]


def recover_results(options: SweepOptions) -> None:
    """Write the results into the store that the interrupted call wrote into bundles alone."""
    if not options.no_store:
        try:
            with Store(options.store) as store:
                recover(store, console.say_warning)
        except StoreError as error:
            console.say_warning(f"trials are not stored: {error}")


def _is_of(saved: SavedCall, call: Call) -> bool:
    return saved.plan.get("", {}).get("environment") == call.env.name


def _named(name: str) -> SavedCall:
    path = Path(name).expanduser().absolute()
    if (saved := SavedCall.read(path)) is not None:
        return saved
    matches = [saved for saved in saved_calls() if saved.directory.name.startswith(name)]
    if len(matches) != 1:
        what = "more than one sweep has this name" if matches else "there is no sweep with this name"
        raise ConfigError(Problem(what, f"--resume-from {name}", root() if not matches else None))
    return matches[0]


def _differences(saved: SavedCall, options: SweepOptions, plan: Plan) -> list[str]:
    other_seed = options.seed is not None and options.seed != saved.seed
    return [*([f"--seed is {options.seed}, and was {saved.seed}"] if other_seed else []), *saved.differences(plan)]


def _check(saved: SavedCall, options: SweepOptions, plan: Plan, option: str) -> None:
    if differences := _differences(saved, options, plan):
        what = f"the plan of {saved.directory.name} is another one: {some(differences)}"
        raise ConfigError(Problem(what, option, hint="a new sweep has the changed plan"))
