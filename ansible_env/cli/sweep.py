"""`sweep`: many trials at once, each on hosts of its own."""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import yaml

from ansible_env.cli import console
from ansible_env.cli.exits import Exit, Interrupts, StopWaiting, exit_of_trial, worst_exit
from ansible_env.cli.failures import report_failure
from ansible_env.cli.hostfacts import HostFacts
from ansible_env.cli.options import Output, ProgressForm, SweepOptions
from ansible_env.cli.parameters import Values, given_values
from ansible_env.cli.preparing import prepare
from ansible_env.cli.session import Session
from ansible_env.cli.sweepview import make_sweep_progress
from ansible_env.cli.tabular import console_for, text_of, write
from ansible_env.cli.trial_tables import calibration_table, configuration_table, verdicts_text
from ansible_env.config.model import PHASES, EnvironmentConfig
from ansible_env.environment.remote_env import RemoteEnv
from ansible_env.errors import ConfigError, ParameterError, Problem
from ansible_env.report.formatting import duration, plural, visible
from ansible_env.results.assertions import AssertionResult
from ansible_env.storage.bundle.bundle import Bundle
from ansible_env.storage.journal import Journal
from ansible_env.trials.pool import Pool
from ansible_env.trials.record import Trial
from ansible_env.trials.run_trials import open_pool
from ansible_env.trials.schedule import Planned, Request, grid, numbered, plan, plan_calibration
from ansible_env.trials.trial import TrialResult


@dataclass
class SweepTrial(Trial):
    """One trial of many."""

    request: Request = field(default_factory=lambda: Request(0))
    ran_on: tuple[str, ...] = ()
    verdicts: Sequence[AssertionResult] = ()
    """What was asserted of it."""

    @property
    def exit(self) -> Exit:
        """The exit code that the trial alone would give."""
        kept = all(verdict.passed for verdict in self.verdicts)
        return worst_exit([exit_of_trial(self), Exit.SUCCEEDED if kept else Exit.ASSERTION])

    def to_dict(self, *, output: bool) -> dict[str, Any]:
        """Return the trial as plain data, with its place in the plan."""
        place = {
            "configuration": self.request.configuration,
            "repeat": self.request.repeat,
            "attempts": self.request.attempt,
            "ran_on": list(self.ran_on),
            **({"assertions": [verdict.to_dict() for verdict in self.verdicts]} if self.verdicts else {}),
        }
        return {**super().to_dict(output=output), **place}


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
            sys.stderr, options.progress, session.progress, len(requests), quiet=options.quiet
        )
        stack.callback(session.progress.stop)
        sweep = _Sweep(options, session, requests)
        sweep.say(f"{plural(len(requests), 'trial')} on {plural(len(session.env.hosts), 'host')}, seed {seed}")
        return sweep.run()


def _planned(options: SweepOptions, session: Session, seed: int) -> Sequence[Request]:
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


def _phase_of(env: RemoteEnv) -> str:
    """Return the phase that an environment is in, as far as its results tell."""
    return next((phase for phase in env.config.phases if phase not in env.results), "")


class _Sweep:
    """The trials on their way."""

    def __init__(self, options: SweepOptions, session: Session, requests: Sequence[Request]) -> None:
        self._options = options
        self._session = session
        self._requests = requests
        self._facts = HostFacts(session.cancel)
        self._pool: Pool = open_pool(
            session.env,
            hosts_per_trial=options.hosts_per_trial,
            prepare=self._begin,
            on_lost=self._lose,
            measured=self._facts.ask,
        )
        self._bundles: dict[tuple[int, int], Bundle] = {}
        self._trials: list[SweepTrial] = []

    def say(self, text: str) -> None:
        """Tell of the progress."""
        self._session.progress.note(text)

    def run(self) -> Exit:
        """Run them; what there are results of is always printed."""
        session = self._session
        session.artifacts.begin()
        session.on_begin()
        session.interrupts.steps = (self._first_interrupt, self._second_interrupt)
        session.progress.start()
        try:
            for result in self._pool.run(Planned(self._requests)):
                self._finish(result)
        except StopWaiting:
            pass
        finally:
            session.interrupts.steps = None
            session.progress.stop()
            self._print()
        if session.interrupts.count:
            return Exit.CANCELED
        return worst_exit(trial.exit for trial in self._trials)

    def _begin(self, env: RemoteEnv, request: Request, hosts: Sequence[str]) -> None:
        """Make the bundle of an attempt. Called in the trial's own thread."""
        assert isinstance(env, RemoteEnv)  # noqa: S101 - for mypy
        bundle = self._session.artifacts.trial(request.number, env, request.attempt)
        self._bundles[request.number, request.attempt] = bundle
        env.logs, env.journal, env.on_playbook = bundle.logs, Journal(bundle.directory), bundle.write_playbook
        trial = Trial(env.name, request.number, env.params, artifacts=bundle.directory, bundle=bundle)
        self._session.keeper.begin(trial)
        given = {**request.globals, **request.values}
        axes = [text.partition("=")[0].strip() for text in self._options.grid or []]
        changed = {name: given[name] for name in axes if name in given}
        self._session.progress.begin_trial(request.number, hosts, changed, lambda: _phase_of(env))

    def _keep(self, result: TrialResult) -> SweepTrial:
        """Write the result of an attempt into its bundle."""
        bundle = self._bundles.get((result.request.number, result.attempts))
        trial = SweepTrial(
            environment=self._session.env.name,
            number=result.request.number,
            params=result.params or dict(result.values),
            begin=result.started or datetime.now(UTC),
            end=result.finished or datetime.now(UTC),
            phases=dict(result.phases),
            artifacts=bundle.directory if bundle else None,
            bundle=bundle,
            error=result.error,
            canceled=result.status.is_canceled(),
            request=result.request,
            ran_on=result.hosts,
            fingerprints=self._facts.of(result.hosts) if result.status.is_succeeded() else {},
        )
        if trial.status.is_succeeded() and trial.deciding:
            trial.verdicts = self._session.budgets.judge([trial.deciding.metrics])
        if bundle is not None:
            if trial.fingerprints:
                bundle.write_fingerprints(trial.fingerprints)
            bundle.write_result(trial.to_dict(output=True))
        return trial

    def _lose(self, result: TrialResult) -> None:
        self._session.progress.end_trial(result.request.number, final=False)
        self._session.keeper.finish(self._keep(result))

    def _finish(self, result: TrialResult) -> None:
        self._session.progress.end_trial(result.request.number)
        trial = self._keep(result)
        self._session.keeper.finish(trial)
        self._session.publish(trial)
        self._session.tell_verdicts(trial, trial.verdicts)
        self._trials.append(trial)
        if self._options.output is not Output.TABLE:
            with self._session.progress.aside():
                self._session.writer.add(trial)
        where = f" on {', '.join(map(visible, result.hosts))}" if result.hosts else ""
        done = f"{len(self._trials)} of {len(self._requests)}"
        missed = "".join(f"; {visible(verdict.message)}" for verdict in trial.verdicts if not verdict.passed)
        self.say(f"[{done}] trial {trial.number}{where}: {result.status.name} in {duration(trial.elapsed)}{missed}")
        if result.error:
            console.say_problem(f"trial {trial.number}: {result.error}")
        elif trial.deciding and not (result.status.is_succeeded() or result.status.is_canceled()):
            with self._session.progress.aside():
                report_failure(console.errors_console(), self._session.env.config, trial.deciding)

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
