"""`trial`, `setup`, `run` and `teardown`: trials one after the other, of all phases or of one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from ansible_env.cli import console
from ansible_env.cli.call import Call, attach_commands, open_call
from ansible_env.cli.exits import Exit, StopWaiting, exit_of_trial, worst_exit
from ansible_env.cli.failures import report_failure
from ansible_env.cli.once_progress import OnceProgress
from ansible_env.cli.options import PARAMETERS, Judged, Running, option
from ansible_env.cli.progress.live import phase_progress
from ansible_env.config.fields import PHASES
from ansible_env.results.observer import TrialObserver, notify
from ansible_env.results.phase_result import PhaseResult
from ansible_env.results.trial import Trial, TrialRequest
from ansible_env.storage.journal import Journal
from ansible_env.trials.alike_failures import AlikeFailures
from ansible_env.trials.run_trial import resume_trial, run_trial


@dataclass(kw_only=True)
class TrialOptions(Judged):
    """Options of `trial`."""

    trials: int = option("--trials N", "Number of trials.", PARAMETERS, default=1, min=1)


def trial(options: TrialOptions) -> Exit:
    """Run setup, run and teardown. Teardown always runs, also after a failure or Ctrl-C.

    Progress goes to stderr: lines of a script's stdout after '|', of its stderr after '!'. Results go to stdout.
    """
    return _run(options, PHASES, options.trials)


def setup(options: Running) -> Exit:
    """Run setup alone; first wait for the hosts to boot, if the environment file says so."""
    return _run(options, ("setup",))


def run(options: Judged) -> Exit:
    """Run the benchmark alone, on hosts that are set up."""
    return _run(options, ("run",))


def teardown(options: Running) -> Exit:
    """Run teardown alone."""
    return _run(options, ("teardown",))


def _run(options: Running, phases: tuple[str, ...], trials: int = 1) -> Exit:
    with ExitStack() as stack:
        return Trials(open_call(options, phases, stack, trials=trials), trials, stack).run()


class Trials(TrialObserver):
    """The trials of one call, one after the other."""

    def __init__(self, call: Call, count: int, stack: ExitStack) -> None:
        self._call = call
        self._env = call.env
        self._count = count
        self._progress = phase_progress(sys.stderr, call.options, call.env.config, count)
        stack.callback(self._progress.stop)
        self._env.observers = (self._progress, *call.recorders, self)
        self._env.once.observers = (OnceProgress(self._progress), *self._env.once.observers)
        self._finished: list[Trial] = []
        self._started: Trial | None = None
        self._printed = 0

    def run(self) -> Exit:
        """Run the trials, and return the exit code. Trials that have a result are always printed."""
        return self._report(self._run_all)

    def resume(self, journal: Journal) -> Exit:
        """Finish the trial of a journal, and return the exit code."""
        self._progress.note(f"{self._env.name}: attached to {journal.directory.name}")
        return self._report(lambda: resume_trial(self._env, journal, phases=self._call.phases, facts=self._call.facts))

    def _run_all(self) -> None:
        alike = AlikeFailures(self._env.config.stop_after)
        for index in range(self._count):
            number, given = self._call.values.for_trial(index, self._count)
            request = TrialRequest(number, self._call.values.tunables, given)
            directory = self._call.trial_directory(request)
            if index == 0:
                self._call.save()
            try:
                trial = run_trial(self._env, request, directory, phases=self._call.phases, facts=self._call.facts)
            finally:
                self._print()
            alike.note(trial)
            if index + 1 < self._count:
                alike.check()
            if self._call.interrupts.count or trial.error:
                return
        if self._call.phases == ("teardown",):
            self._env.once.tear_down(self._env)

    def _report(self, run: Callable[[], object]) -> Exit:
        interrupts = self._call.interrupts
        interrupts.steps = (self._first_interrupt, self._second_interrupt)
        codes: list[Exit] = []
        try:
            run()
            if not self._env.once.lasts:
                self._env.once.finish()
        except StopWaiting:
            pass
        finally:
            interrupts.steps = None
            if self._finished:
                self._print()
                self._call.writer.add_summary(self._finished)
                codes = [*map(exit_of_trial, self._finished), self._check_assertions()]
                self._call.close()
        return Exit.CANCELED if interrupts.count else worst_exit(codes)

    def _print(self) -> None:
        """Print the trials that have finished since the last call."""
        for trial in self._finished[self._printed :]:
            self._printed += 1
            self._call.writer.add(trial)

    def _check_assertions(self) -> Exit:
        """Check the assertions against all trials that succeeded, together."""
        good = [trial for trial in self._finished if trial.status.is_succeeded() and trial.deciding]
        results = self._call.budgets.judge([trial.metrics for trial in good])
        if results:
            self._call.writer.add_assertions(results)
            notify(self._call.recorders, lambda recorder: recorder.on_assertions(good[-1], results))
        return Exit.SUCCEEDED if all(result.passed for result in results) else Exit.ASSERTION

    def on_trial_started(self, trial: Trial) -> None:
        """Note the trial that is running."""
        self._started = trial

    def on_phase_finished(self, trial: Trial, result: PhaseResult) -> None:
        """Report a failure."""
        if not result.status.is_succeeded() and not result.status.is_canceled():
            report_failure(console.errors_console(), self._env.config, result)

    def on_trial_finished(self, trial: Trial) -> None:
        """Keep a trial for printing."""
        self._started = None
        self._finished.append(trial)
        if trial.error:
            console.say_problem(trial.error)

    # StopSignals: called from a signal handler

    def _first_interrupt(self) -> str:
        phase = self._env.phase
        if phase == "teardown" and self._call.phases == ("teardown",):
            self._env.cancel_teardown()
            return "canceling teardown; interrupt again to stop waiting"
        self._call.cancel.set()
        if phase == "teardown":
            return "teardown runs to its end; interrupt again to stop waiting"
        what = f"canceling {phase}" if phase else "canceling"
        return f"{what}{', then teardown' if self._has_teardown else ''}; interrupt again to stop waiting"

    def _second_interrupt(self) -> str:
        self._call.cancel.set()
        self._env.cancel_teardown()
        lines = ["stopped waiting"]
        if phase := self._env.phase:
            timeout = getattr(self._env.config.timeouts, phase)
            if timeout is None:
                lines.append(
                    f"the scripts of {phase} that still run on the hosts have no deadline: timeouts.{phase} is null"
                )
            else:
                lines.append(f"watchdogs on the hosts end the scripts of {phase} that still run,")
                lines.append(f"{timeout:g} s after its start at the latest")
        if self._has_teardown:
            lines.append("teardown was not finished")
        directories = self._env.once.abandon()
        if self._started is not None and self._started.directory is not None:
            directories.insert(0, self._started.directory)
        if directories:
            lines += attach_commands(directories)
        return "\n".join(lines)

    @property
    def _has_teardown(self) -> bool:
        return "teardown" in self._call.phases and bool(self._env.config.teardown)
