"""One call of `trial`, `setup`, `run` or `teardown`: its trials, one after the other."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from ansible_env.cli import console
from ansible_env.cli.artifacts import Artifacts
from ansible_env.cli.budgets import Budgets
from ansible_env.cli.exits import Exit, Interrupts, StopWaiting, exit_of_trial, worst_exit
from ansible_env.cli.failures import report_failure
from ansible_env.cli.keeping import Keeper
from ansible_env.cli.pace import Pace
from ansible_env.cli.parameters import Values
from ansible_env.cli.progress import Progress
from ansible_env.cli.published import Published
from ansible_env.cli.writer import Writer
from ansible_env.environment.remote_env import RemoteEnv
from ansible_env.errors import AnsibleEnvError, ConfigError
from ansible_env.results.assertions import AssertionResult
from ansible_env.storage.bundle.bundle import Bundle
from ansible_env.storage.journal import Journal
from ansible_env.trials.record import Trial

T = TypeVar("T")


@dataclass
class Session:
    """Trials of one environment, with what tells of them."""

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
    keeper: Keeper
    budgets: Budgets = field(default_factory=Budgets)
    fingerprints: dict[str, dict[str, Any]] | None = None
    begun: str = ""
    """The phase that is under way."""
    files: list[Published] = field(default_factory=list)
    """What others read."""
    pace: Pace = field(init=False)
    """How long the trials take."""
    on_begin: Callable[[], None] = lambda: None
    """Called once, when the first trial has a directory."""

    def __post_init__(self) -> None:
        self.pace = Pace(self.trials, time.monotonic())

    def run(self) -> Exit:
        """Run the trials. What there are results of is always printed."""
        return self._print_all(self._trials())

    def attach(self, journal: Journal) -> Exit:
        """Take up the trial of a journal where it was left, and go on with it to its end."""
        return self._print_all(self._attached(journal))

    def _trials(self) -> Iterator[Trial]:
        for index in range(self.trials):
            trial = self._begin(index)
            if index == 0:
                self.on_begin()
            stopped = self._run_trial(trial, index)
            yield trial
            if stopped:
                return

    def _attached(self, journal: Journal) -> Iterator[Trial]:
        self.env.journal = journal
        bundle = Bundle.open(journal.directory)
        self._keep_in(bundle)
        trial = Trial(self.env.name, 0, {}, bundle.created, artifacts=journal.directory, bundle=bundle)
        with self._as_far_as_wanted(trial), self._teardown_after(trial):
            begun = journal.interrupted()
            self.begun = begun[0] if begun else ""
            self.progress.trial(f"{self.env.name}: attached to {journal.directory.name}", self.env.hosts)
            self.progress.begin(self.begun or "teardown")
            try:
                self.env.attach()
            finally:
                self.progress.stop()
            trial.params = self.env.params
            trial.number = int(trial.params.get("trial_id") or 0)
            self._take_over(trial)
            wanted = "run" in self.phases and self.env.config.run and journal.status("run") is None
            if wanted and self.env.is_ready and not self._is_canceled(trial):
                self._phase(trial, "run")
        yield trial

    def _print_all(self, trials: Iterator[Trial]) -> Exit:
        self.interrupts.steps = (self._first_interrupt, self._second_interrupt)
        codes: list[Exit] = []
        done: list[Trial] = []
        try:
            for trial in trials:
                self._finish(trial)
                done.append(trial)
                self.pace.end(time.monotonic())
                codes.append(exit_of_trial(trial))
        except StopWaiting:
            pass
        finally:
            self.interrupts.steps = None
            if codes:
                codes.append(self._judge(done))
                self.writer.close()
                if not self.quiet:
                    sys.stderr.write(f"results: {self.artifacts.path}\n")
        return Exit.CANCELED if self.interrupts.count else worst_exit(codes)

    def _judge(self, trials: Sequence[Trial]) -> Exit:
        """Hold the trials that succeeded against the budgets, all together."""
        good = [trial for trial in trials if trial.status.is_succeeded() and trial.deciding]
        verdicts = self.budgets.judge([trial.deciding.metrics for trial in good if trial.deciding])
        if verdicts:
            self.writer.judged(verdicts)
            self.tell_verdicts(good[-1], verdicts)
        return Exit.SUCCEEDED if all(verdict.passed for verdict in verdicts) else Exit.ASSERTION

    # One trial

    def _begin(self, index: int) -> Trial:
        number, given = self.values.for_trial(index, self.trials)
        self.env.results.clear()
        self.env.assign(self.values.tunables, given)
        bundle = self.artifacts.trial(number, self.env)
        self._keep_in(bundle)
        self.env.journal = Journal(bundle.directory)
        title = f"{self.env.name}: trial {number}" + (f" ({index + 1} of {self.trials})" if self.trials > 1 else "")
        self.progress.trial(title, self.env.hosts, self.pace)
        trial = Trial(self.env.name, number, self.env.params, artifacts=bundle.directory, bundle=bundle)
        self.keeper.begin(trial)
        return trial

    def _keep_in(self, bundle: Bundle) -> None:
        self.env.logs, self.env.on_playbook = bundle.logs, bundle.write_playbook

    def _run_trial(self, trial: Trial, index: int) -> bool:
        """Run the phases of a trial; return whether it was the last one, whatever was planned."""
        given = self.values.for_trial(index, self.trials)[1]
        with self._as_far_as_wanted(trial), self._teardown_after(trial):
            ready = "setup" not in self.phases or self._setup(trial, given)
            if ready and "run" in self.phases and self.env.config.run and not self._is_canceled(trial):
                self._phase(trial, "run")
        return bool(self.interrupts.count or trial.error)

    @contextlib.contextmanager
    def _as_far_as_wanted(self, trial: Trial) -> Iterator[None]:
        """Keep what a trial has when nobody wants to wait for the rest: at the second interrupt."""
        try:
            yield
        except StopWaiting:
            trial.abandoned = self.begun
            trial.canceled = True
            self._take_over(trial)

    @contextlib.contextmanager
    def _teardown_after(self, trial: Trial) -> Iterator[None]:
        """Clean up whatever happened, unless nobody wants to wait for it."""
        try:
            with self._errors_kept(trial):
                yield
        finally:
            # A second interrupt is passing through here: its own sign that there is to be no teardown.
            wanted = "teardown" in self.phases and self.env.config.teardown and self.interrupts.count < 2
            if wanted and "teardown" not in trial.phases:
                with self._errors_kept(trial):
                    self._phase(trial, "teardown")

    @contextlib.contextmanager
    def _errors_kept(self, trial: Trial) -> Iterator[None]:
        """Keep an error of Ansible's own with the trial: the ones before it have results to print."""
        try:
            yield
        except AnsibleEnvError as error:
            trial.error = trial.error or str(error)
            console.say_problem(str(error))

    def _setup(self, trial: Trial, given: dict[str, object]) -> bool:
        config = self.env.config
        if self._is_canceled(trial):
            return False
        if not config.setup and not config.wait_boot:
            return self.env.setup(self.values.tunables, given)
        self._announce("setup")
        return self._under_way(trial, lambda: self.env.setup(self.values.tunables, given))

    def _under_way(self, trial: Trial, action: Callable[[], T]) -> T:
        """Do what was announced, and tell of it; an interrupt passes through here."""
        try:
            done = action()
        finally:
            self.progress.stop()
        self._take_over(trial)
        return done

    def _phase(self, trial: Trial, phase: str) -> None:
        self._announce(phase)
        self._under_way(trial, lambda: self.env.run_phase(phase))
        if phase == "run":
            self._fingerprint(trial)

    def _fingerprint(self, trial: Trial) -> None:
        """Ask the hosts what they are, once, and when it is known that they answer."""
        if self.fingerprints is None and trial.status.is_succeeded() and not self._is_canceled(trial):
            self.fingerprints = self.env.fingerprints()
        trial.fingerprints = self.fingerprints or {}

    def _announce(self, phase: str) -> None:
        self.begun = phase
        self.progress.begin(phase)

    def _take_over(self, trial: Trial) -> None:
        """Take the results that are new, and tell of them."""
        for phase, result in self.env.results.items():
            if phase in trial.phases:
                continue
            trial.phases[phase] = result
            self.progress.end(result)
            if not result.status.is_succeeded() and not result.status.is_canceled():
                report_failure(console.errors_console(), self.env.config, result)
        self.begun = ""

    def _is_canceled(self, trial: Trial) -> bool:
        trial.canceled = trial.canceled or self.cancel.is_set()
        return trial.canceled

    def _finish(self, trial: Trial) -> None:
        trial.end = datetime.now(UTC)
        if trial.bundle:
            if trial.fingerprints:
                trial.bundle.write_fingerprints(trial.fingerprints)
            trial.bundle.write_result(trial.to_dict(output=True))
        self.keeper.finish(trial)
        self.writer.add(trial)
        self.publish(trial)

    def publish(self, trial: Trial) -> None:
        """Write the files that others read. What goes wrong with that is told, and ends no trial."""
        self._to_files(lambda file: file.write(trial))

    def tell_verdicts(self, trial: Trial, verdicts: Sequence[AssertionResult]) -> None:
        """Keep what was asserted of the last trial that was published, if anything was."""
        if verdicts:
            self.keeper.judged(trial, verdicts)
            self._to_files(lambda file: file.judged(verdicts))

    def _to_files(self, action: Callable[[Published], None]) -> None:
        for file in self.files:
            try:
                action(file)
            except ConfigError as error:
                console.say_error(f"warning: {error}")

    # Interrupts: called from a signal handler

    def _first_interrupt(self) -> str:
        if self.begun == "teardown" and self.phases == ("teardown",):
            self.env.cancel_teardown()
            return "canceling teardown; once more to stop waiting"
        self.cancel.set()
        if self.begun == "teardown":
            return "teardown is under way and goes on to its end; once more to stop waiting"
        torn = "teardown" in self.phases and self.env.config.teardown
        what = f"canceling {self.begun}" if self.begun else "canceling"
        return f"{what}{', then teardown' if torn else ''}; once more to stop waiting"

    def _second_interrupt(self) -> str:
        self.cancel.set()
        self.env.cancel_teardown()
        lines = ["not waiting any longer"]
        if self.begun:
            timeout = getattr(self.env.config.timeouts, self.begun)
            if timeout is None:
                lines.append(f"what {self.begun} left on the hosts has no deadline: timeouts.{self.begun} is null")
            else:
                lines.append(f"what {self.begun} left on the hosts is ended by their own watchdog,")
                lines.append(f"{timeout:g} s after its start at the latest")
        if "teardown" in self.phases and self.env.config.teardown:
            lines.append("teardown was not finished")
        return "\n".join(lines)
