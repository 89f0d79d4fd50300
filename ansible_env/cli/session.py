"""`Session`: one call of `trial`, `setup`, `run` or `teardown`, with its trials one after the other."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ansible_env.cli import console
from ansible_env.cli.artifacts import Artifacts
from ansible_env.cli.budgets import Budgets
from ansible_env.cli.exits import Exit, Interrupts, StopWaiting, exit_of_trial, worst_exit
from ansible_env.cli.failures import report_failure
from ansible_env.cli.pace import Pace
from ansible_env.cli.parameters import Values
from ansible_env.cli.progress import Progress
from ansible_env.cli.writer import Writer
from ansible_env.environment.remote_env import RemoteEnv
from ansible_env.results.observer import TrialObserver, notify
from ansible_env.results.phase_result import PhaseResult
from ansible_env.results.trial import Trial, TrialRequest
from ansible_env.storage.journal import Journal
from ansible_env.trials.host_facts import HostFacts
from ansible_env.trials.run_trial import resume_trial, run_trial


@dataclass
class Session(TrialObserver):
    """The trials of one call, and everything that shows or records them."""

    env: RemoteEnv
    values: Values
    phases: tuple[str, ...]
    trials: int
    progress: Progress
    artifacts: Artifacts
    writer: Writer
    interrupts: Interrupts
    cancel: threading.Event
    quiet: bool
    budgets: Budgets
    recorders: Sequence[TrialObserver]
    """Write the bundles, the store, and the files for other programs."""
    facts: HostFacts = field(default_factory=HostFacts)
    _done: list[Trial] = field(default_factory=list)
    _written: int = 0

    def run(self) -> Exit:
        """Run the trials. Trials that have a result are always printed."""
        return self._report(self._run_trials)

    def attach(self, journal: Journal) -> Exit:
        """Resume the trial of a journal, and bring it to its end."""
        self.progress.note(f"{self.env.name}: attached to {journal.directory.name}")
        return self._report(lambda: resume_trial(self.env, journal, phases=self.phases, facts=self.facts))

    def _run_trials(self) -> None:
        for index in range(self.trials):
            number, given = self.values.for_trial(index, self.trials)
            request = TrialRequest(number, self.values.tunables, given)
            directory = self.artifacts.trial(request)
            if index == 0:
                self.artifacts.write_call()
            try:
                trial = run_trial(self.env, request, directory, phases=self.phases, facts=self.facts)
            finally:
                self._write()
            if self.interrupts.count or trial.error:
                return

    def _report(self, run: Callable[[], object]) -> Exit:
        """Run trials, print them with the results of their assertions, and return the exit code."""
        pace = Pace(self.trials, time.monotonic())
        self.progress.pace = pace
        self.env.observers = (self.progress, *self.recorders, self)
        self.interrupts.steps = (self._first_interrupt, self._second_interrupt)
        codes: list[Exit] = []
        try:
            run()
        except StopWaiting:
            pass
        finally:
            self.interrupts.steps = None
            if self._done:
                self._write()
                codes = [*map(exit_of_trial, self._done), self._check_assertions()]
                self.writer.close()
                if not self.quiet:
                    sys.stderr.write(f"results: {self.artifacts.path}\n")
        return Exit.CANCELED if self.interrupts.count else worst_exit(codes)

    def _write(self) -> None:
        """Print the trials that have finished since."""
        while self._written < len(self._done):
            self._written += 1
            self.writer.add(self._done[self._written - 1])

    def _check_assertions(self) -> Exit:
        """Check the assertions against all trials that succeeded, together."""
        good = [trial for trial in self._done if trial.status.is_succeeded() and trial.deciding]
        results = self.budgets.judge([trial.metrics for trial in good])
        if results:
            self.writer.judged(results)
            notify(self.recorders, lambda recorder: recorder.on_assertions(good[-1], results))
        return Exit.SUCCEEDED if all(result.passed for result in results) else Exit.ASSERTION

    def on_phase_finished(self, trial: Trial, result: PhaseResult) -> None:
        """Report a failure."""
        if not result.status.is_succeeded() and not result.status.is_canceled():
            report_failure(console.errors_console(), self.env.config, result)

    def on_trial_finished(self, trial: Trial) -> None:
        """Take a trial, to be printed."""
        self._done.append(trial)
        if self.progress.pace is not None:
            self.progress.pace.end(time.monotonic())
        if trial.error:
            console.say_problem(trial.error)

    # Interrupts: called from a signal handler

    def _first_interrupt(self) -> str:
        phase = self.env.phase
        if phase == "teardown" and self.phases == ("teardown",):
            self.env.cancel_teardown()
            return "canceling teardown; once more to stop waiting"
        self.cancel.set()
        if phase == "teardown":
            return "teardown is under way and goes on to its end; once more to stop waiting"
        torn = "teardown" in self.phases and self.env.config.teardown
        what = f"canceling {phase}" if phase else "canceling"
        return f"{what}{', then teardown' if torn else ''}; once more to stop waiting"

    def _second_interrupt(self) -> str:
        self.cancel.set()
        self.env.cancel_teardown()
        lines = ["not waiting any longer"]
        if phase := self.env.phase:
            timeout = getattr(self.env.config.timeouts, phase)
            if timeout is None:
                lines.append(f"what {phase} left on the hosts has no deadline: timeouts.{phase} is null")
            else:
                lines.append(f"what {phase} left on the hosts is ended by their own watchdog,")
                lines.append(f"{timeout:g} s after its start at the latest")
        if "teardown" in self.phases and self.env.config.teardown:
            lines.append("teardown was not finished")
        return "\n".join(lines)
