"""`sweep`: many trials in parallel, each on its own hosts."""

from __future__ import annotations

import random
import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from ansible_env.cli import console
from ansible_env.cli.call import Call, attach_commands, open_call
from ansible_env.cli.console import write
from ansible_env.cli.exits import Exit, StopWaiting, exit_of_trial, worst_exit
from ansible_env.cli.failures import report_failure
from ansible_env.cli.once_progress import OnceProgress
from ansible_env.cli.options import Output
from ansible_env.cli.parameters import Values, given_values
from ansible_env.cli.progress.lines import Progress
from ansible_env.cli.progress.live import sweep_progress
from ansible_env.cli.sweep_options import SweepOptions
from ansible_env.cli.sweep_resume import interrupted_call, plan_of, recover_results
from ansible_env.cli.sweep_tables import (
    calibration_table,
    configuration_table,
    legend,
    missed_budgets,
    outcome,
    parse_goal,
)
from ansible_env.cli.tabular import console_for, text_of
from ansible_env.config.fields import PHASES
from ansible_env.config.model import EnvironmentConfig
from ansible_env.environment.remote_env import RemoteEnv
from ansible_env.errors import ConfigError, ParameterError, Problem
from ansible_env.report.formatting import plural, visible
from ansible_env.results.observer import TrialObserver
from ansible_env.results.trial import Trial, TrialRequest
from ansible_env.storage.saved_call import plan_data
from ansible_env.trials.pool import Pool
from ansible_env.trials.resumption import Resumption, resumption
from ansible_env.trials.run_trial import Complete, run_trial
from ansible_env.trials.schedule import PlannedTrials, grid, numbered, plan, plan_calibration


def sweep(options: SweepOptions) -> Exit:
    """Run many trials in parallel, each on its own hosts: every point of a grid, or one configuration on every host.

    An idle host gets the next trial. A trial whose host is lost runs again on another host.
    """
    with ExitStack() as stack:
        if options.best is not None:
            parse_goal(options.best, ())
        call = open_call(options, PHASES, stack)
        saved = interrupted_call(options, call) if options.resume or options.resume_from else None
        seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
        if saved is not None:
            call, seed = replace(call, directory=saved.directory), saved.seed
        requests = list(numbered(_planned(options, call, seed)))
        for request in requests:
            call.env.check_values(request.values, request.globals)
        left = Resumption(requests=tuple(requests))
        if saved is not None:
            left = resumption(saved.directory, requests, call.env.hosts)
            recover_results(options)
        progress = sweep_progress(sys.stderr, options, len(requests), options.axes)
        stack.callback(progress.stop)
        progress.note(f"{plural(len(requests), 'trial')} on {plural(len(call.env.hosts), 'host')}, seed {seed}")
        if saved is not None:
            counts = f"{len(left.finished)} finished, {len(left.journals)} under way"
            progress.note(f"resuming {saved.directory.name}: {counts}, {len(requests) - len(left.finished)} left")
        return _Sweep(options, call, left, seed, progress).run()


def _planned(options: SweepOptions, call: Call, seed: int) -> Sequence[TrialRequest]:
    """Return the trials, each with all of its values."""
    config, values = call.env.config, call.values
    if options.calibrate:
        if options.grid or parse_hosts_per_trial(options.hosts_per_trial) != 1:
            raise ConfigError("--calibrate runs one configuration on each host: without --grid or --hosts-per-trial")
        requests = plan_calibration(call.env.hosts, {}, repeat=options.repeat)
        return [replace(request, values=values.tunables, globals=values.globals) for request in requests]
    axes = dict(map(parse_axis, options.grid or []))
    if len(axes) < len(options.grid or []):
        raise ParameterError("--grid: a parameter is given twice")
    points = [_point(config, values, texts) for texts in grid(axes)]
    return [
        replace(request, values=points[request.configuration].tunables, globals=points[request.configuration].globals)
        for request in plan([point.tunables for point in points], repeat=options.repeat, seed=seed)
    ]


def parse_axis(text: str) -> tuple[str, list[str]]:
    """Return the name and the values of `name=1,2,4`, or of `name=["a,b", c]`. Raise ParameterError otherwise."""
    name, equals, rest = text.partition("=")
    name = name.strip()
    values: list[Any] = rest.split(",")
    if rest.lstrip().startswith("["):
        try:
            values = yaml.load(rest, yaml.BaseLoader)  # noqa: S506 - all values are text: `off` stays `off`
        except yaml.YAMLError:
            values = []
    values = [value.strip() for value in values if isinstance(value, str)]
    if not equals or not name or not rest.strip() or not values or "" in values:
        raise ParameterError(Problem("must be name=value,value,…", f"--grid {text}"))
    if len(set(values)) < len(values):
        raise ParameterError(Problem("a value is given twice", f"--grid {text}", hint="--repeat N runs each again"))
    return name, values


def parse_hosts_per_trial(text: str) -> int | dict[str, int]:
    """Return the number in `2`, or the numbers of the patterns in `db=1,load=2`. Raise ConfigError otherwise."""
    parts = [part.rpartition("=") for part in text.split(",")]
    numbers = {pattern.strip(): int(count) for pattern, _, count in parts if count.strip().isdecimal()}
    if len(numbers) < len(parts) or 0 in numbers.values() or ("" in numbers and parts != [("", "", text)]):
        raise ConfigError(Problem("must be a number, or pattern=number,…", f"--hosts-per-trial {text}"))
    return numbers.get("") or numbers


def _point(config: EnvironmentConfig, values: Values, texts: Mapping[str, str]) -> Values:
    """Return the values of one point of the grid, which have priority over those of `-p`."""
    try:
        given = given_values(config, [f"{name}={value}" for name, value in texts.items()], [])
    except ParameterError as error:
        problems = [replace(p, key=(p.key or "").replace("-p ", "--grid ", 1)) for p in error.problems]
        raise ParameterError(problems) from None
    return Values({**values.tunables, **given.tunables}, {**values.globals, **given.globals})


class _Sweep(TrialObserver):
    """The trials of a sweep."""

    def __init__(self, options: SweepOptions, call: Call, left: Resumption, seed: int, progress: Progress) -> None:
        self._options = options
        self._call = call
        self._left = left
        self._total = len(left.finished) + len(left.requests)
        self._plan, self._seed = plan_of(options, call), seed
        self._progress = progress
        self._pool = Pool(call.env, hosts_per_trial=parse_hosts_per_trial(options.hosts_per_trial), run=self._run_trial)
        self._trials: list[Trial] = [self._judged(trial) for trial in left.finished]
        self._running: dict[str, Path] = {}
        """The directory of each running attempt, by the uid of the trial."""
        call.env.observers = (progress, *call.recorders, self)
        call.env.once.observers = (OnceProgress(progress), *call.env.once.observers)

    def run(self) -> Exit:
        """Run the trials, and return the exit code. Trials that have a result are always printed."""
        self._save()
        interrupts = self._call.interrupts
        interrupts.steps = (self._first_interrupt, self._second_interrupt)
        self._progress.start()
        try:
            if self._left.finished or self._left.journals:
                self._call.env.once.resume(self._call.env, self._call.directory)
            seen = [(trial.request.configuration, host) for trial in self._left.finished for host in trial.hosts]
            for trial in self._pool.run(PlannedTrials(self._left.requests, seen)):
                self._show(trial)
            self._call.env.once.finish()
        except StopWaiting:
            pass
        finally:
            interrupts.steps = None
            self._progress.stop()
            self._print()
            self._save()
        return Exit.CANCELED if interrupts.count else worst_exit(map(exit_of_trial, self._trials))

    def _run_trial(self, env: RemoteEnv, request: TrialRequest, complete: Complete) -> Trial:
        """Run an attempt at a trial. Called in its own thread."""

        def checked(trial: Trial) -> Trial:
            return complete(self._judged(trial))

        facts = self._call.facts
        resumed = self._left.run(env, request, facts=facts, complete=checked)
        return resumed or run_trial(env, request, self._call.trial_directory(request), facts=facts, complete=checked)

    def _judged(self, trial: Trial) -> Trial:
        """Return a trial with the results of the budgets."""
        good = trial.status.is_succeeded() and trial.deciding is not None
        results = self._call.budgets.judge([trial.metrics]) if good else ()
        return replace(trial, assertions=tuple(results))

    def _save(self) -> None:
        """Write the file of the call; say how to resume if trials have no result."""
        done = sum(not trial.status.is_canceled() and bool(trial.directory) for trial in self._trials)
        self._call.save(plan_data(self._plan, self._seed, ended=done == self._total), warn=done < self._total)
        if self._call.interrupts.count and done < self._total:
            name = self._call.directory if self._options.artifacts else self._call.directory.name
            what = f"{done} of {plural(self._total, 'trial')} have a result"
            console.say_error(f"{what}; for the rest, repeat the command with --resume-from {shlex.quote(str(name))}")

    def _show(self, trial: Trial) -> None:
        """Show a trial whose last attempt has ended."""
        self._trials.append(trial)
        if self._options.output is not Output.TABLE:
            with self._progress.aside():
                self._call.writer.add(trial)
        where = f" on {', '.join(map(visible, trial.hosts))}" if trial.hosts else ""
        done = f"{len(self._trials)} of {self._total}"
        missed = "".join(f"; {visible(result.message)}" for result in trial.assertions if not result.passed)
        what = outcome(trial, self._options.axes)
        self._progress.note(f"[{done}] trial {trial.number}{where}: {what}{missed}")
        if trial.error:
            console.say_problem(f"trial {trial.number}: {trial.error}")
        elif trial.deciding and not (trial.status.is_succeeded() or trial.status.is_canceled()):
            with self._progress.aside():
                report_failure(console.errors_console(), self._call.env.config, trial.deciding)

    def _print(self) -> None:
        if not self._trials:
            return
        if self._options.output is Output.TABLE:
            goal = None if self._options.calibrate else parse_goal(self._options.best, self._trials)
            table = (
                calibration_table(self._trials) if self._options.calibrate else configuration_table(self._trials, goal)
            )
            text = text_of(console_for(sys.stdout), table)
            write(text + legend(self._trials, goal, calibrated=self._options.calibrate) + missed_budgets(self._trials))
        self._call.close()

    def on_trial_started(self, trial: Trial) -> None:
        """Note the directory of a trial."""
        if trial.directory is not None:
            self._running[trial.uid] = trial.directory

    def on_trial_finished(self, trial: Trial) -> None:
        """Forget a trial that has ended."""
        self._running.pop(trial.uid, None)

    # StopSignals: called from a signal handler

    def _first_interrupt(self) -> str:
        self._call.cancel.set()
        return "canceling the running trials, then their teardown; interrupt again to stop waiting"

    def _second_interrupt(self) -> str:
        self._pool.abandon()
        lines = ["stopped waiting: watchdogs on the hosts end the remaining scripts"]
        if directories := [*self._running.values(), *self._call.env.once.abandon()]:
            lines += attach_commands(directories)
        return "\n".join(lines)
