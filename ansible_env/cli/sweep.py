"""`sweep`: many trials at once, each on hosts of its own."""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import yaml

from ansible_env.cli import console
from ansible_env.cli.exits import Exit, Interrupts, StopWaiting, exit_of_trial, worst_exit
from ansible_env.cli.failures import report_failure
from ansible_env.cli.options import Output, ProgressForm, SweepOptions
from ansible_env.cli.parameters import Values, given_values
from ansible_env.cli.preparing import prepare
from ansible_env.cli.session import Session
from ansible_env.cli.sweepview import SweepProgress, make_sweep_progress
from ansible_env.cli.tabular import console_for, text_of, write
from ansible_env.cli.trial_tables import calibration_table, configuration_table, verdicts_text
from ansible_env.config.fields import PHASES
from ansible_env.config.model import EnvironmentConfig
from ansible_env.environment.remote_env import RemoteEnv
from ansible_env.errors import ConfigError, ParameterError, Problem
from ansible_env.report.formatting import duration, plural, visible
from ansible_env.results.trial import Trial, TrialRequest
from ansible_env.trials.pool import Pool
from ansible_env.trials.run_trial import Complete, run_trial
from ansible_env.trials.schedule import Planned, grid, numbered, plan, plan_calibration


def run_sweep(options: SweepOptions) -> Exit:
    """Run the trials of a sweep and return the exit code.

    Raises:
        ConfigError: something that was given is wrong; no host has been touched.
    """
    with ExitStack() as stack:
        interrupts = stack.enter_context(Interrupts())
        # The view of a phase has one of them at a time.
        session = prepare(replace(options, progress=ProgressForm.PLAIN), PHASES, 1, interrupts, stack)
        seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
        requests = list(numbered(_planned(options, session, seed)))
        for request in requests:
            session.env.check_values(request.values, request.globals)
        session.progress = make_sweep_progress(
            sys.stderr, options.progress, session.progress, len(requests), axes=_axes(options), quiet=options.quiet
        )
        stack.callback(session.progress.stop)
        sweep = _Sweep(options, session, requests)
        sweep.say(f"{plural(len(requests), 'trial')} on {plural(len(session.env.hosts), 'host')}, seed {seed}")
        return sweep.run()


def _planned(options: SweepOptions, session: Session, seed: int) -> Sequence[TrialRequest]:
    """Return the trials, each with all of its values."""
    config, values = session.env.config, session.values
    if options.calibrate:
        if options.grid or options.hosts_per_trial > 1:
            raise ConfigError("--calibrate runs one configuration on each host: without --grid or --hosts-per-trial")
        found = list(plan_calibration(session.env.hosts, {}, repeat=options.repeat))
        return [replace(request, values=values.tunables, globals=values.globals) for request in found]
    axes = dict(map(parse_axis, options.grid or []))
    if len(axes) < len(options.grid or []):
        raise ParameterError("--grid: a parameter is given twice")
    points = [_point(config, values, texts) for texts in grid(axes)]
    return [
        replace(request, values=points[request.configuration].tunables, globals=points[request.configuration].globals)
        for request in plan([point.tunables for point in points], repeat=options.repeat, seed=seed)
    ]


def _axes(options: SweepOptions) -> list[str]:
    """Return the names of the parameters that differ between the trials."""
    return [text.partition("=")[0].strip() for text in options.grid or []]


def parse_axis(text: str) -> tuple[str, list[str]]:
    """Return the name and the values of `name=1,2,4`, or of `name=["a,b", c]`.

    Raises:
        ParameterError: it is not of this form.
    """
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


def _point(config: EnvironmentConfig, values: Values, texts: Mapping[str, str]) -> Values:
    """Return the values of one point of the grid, which go before those of `-p`."""
    try:
        given = given_values(config, [f"{name}={value}" for name, value in texts.items()], [])
    except ParameterError as error:
        problems = [replace(p, key=(p.key or "").replace("-p ", "--grid ", 1)) for p in error.problems]
        raise ParameterError(problems) from None
    return Values({**values.tunables, **given.tunables}, {**values.globals, **given.globals})


class _Sweep:
    """The trials of a sweep."""

    def __init__(self, options: SweepOptions, session: Session, requests: Sequence[TrialRequest]) -> None:
        self._options = options
        self._session = session
        self._requests = requests
        self._pool = Pool(session.env, hosts_per_trial=options.hosts_per_trial, run=self._run_trial)
        self._trials: list[Trial] = []
        shown = (session.progress,) if isinstance(session.progress, SweepProgress) else ()
        session.env.observers = (*shown, *session.recorders)

    def say(self, text: str) -> None:
        """Show a line about the progress."""
        self._session.progress.note(text)

    def run(self) -> Exit:
        """Run the trials. Trials that have a result are always printed."""
        session = self._session
        session.artifacts.write_call()
        session.interrupts.steps = (self._first_interrupt, self._second_interrupt)
        session.progress.start()
        try:
            for trial in self._pool.run(Planned(self._requests)):
                self._show(trial)
        except StopWaiting:
            pass
        finally:
            session.interrupts.steps = None
            session.progress.stop()
            self._print()
        if session.interrupts.count:
            return Exit.CANCELED
        return worst_exit(map(exit_of_trial, self._trials))

    def _run_trial(self, env: RemoteEnv, request: TrialRequest, *, complete: Complete) -> Trial:
        """Run an attempt at a trial. Called in a thread of its own."""

        def checked(trial: Trial) -> Trial:
            good = trial.status.is_succeeded() and trial.deciding is not None
            results = self._session.budgets.judge([trial.metrics]) if good else ()
            return complete(replace(trial, assertions=tuple(results)))

        directory = self._session.artifacts.trial(request)
        return run_trial(env, request, directory, facts=self._session.facts, complete=checked)

    def _show(self, trial: Trial) -> None:
        """Show a trial whose last attempt has ended."""
        session = self._session
        self._trials.append(trial)
        if self._options.output is not Output.TABLE:
            with session.progress.aside():
                session.writer.add(trial)
        where = f" on {', '.join(map(visible, trial.hosts))}" if trial.hosts else ""
        done = f"{len(self._trials)} of {len(self._requests)}"
        missed = "".join(f"; {visible(result.message)}" for result in trial.assertions if not result.passed)
        self.say(f"[{done}] trial {trial.number}{where}: {trial.status.name} in {duration(trial.elapsed)}{missed}")
        if trial.error:
            console.say_problem(f"trial {trial.number}: {trial.error}")
        elif trial.deciding and not (trial.status.is_succeeded() or trial.status.is_canceled()):
            with session.progress.aside():
                report_failure(console.errors_console(), session.env.config, trial.deciding)

    def _print(self) -> None:
        if not self._trials:
            return
        if self._options.output is Output.TABLE:
            table = (calibration_table if self._options.calibrate else configuration_table)(self._trials)
            write(text_of(console_for(sys.stdout), table) + verdicts_text(self._trials))
        self._session.writer.close()
        if not self._session.quiet:
            sys.stderr.write(f"results: {self._session.artifacts.path}\n")

    # Interrupts: called from a signal handler

    def _first_interrupt(self) -> str:
        self._session.cancel.set()
        return "canceling the trials under way, then their teardown; once more to stop waiting"

    def _second_interrupt(self) -> str:
        self._pool.abandon()
        return "not waiting any longer: what is left on the hosts is ended by their own watchdogs"
