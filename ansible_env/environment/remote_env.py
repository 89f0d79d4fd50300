"""`RemoteEnv`: a benchmark environment on the hosts of an inventory, from setup to teardown.

The life cycle and the return values are those of mlos_bench's RemoteEnv
(mlos_bench/environments/remote/remote_env.py), for a group of hosts instead of one.
"""

from __future__ import annotations

import copy
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, Unpack

from ansible_env.common import about, get_logger
from ansible_env.config.fields import ONCE, PHASES
from ansible_env.config.model import EnvironmentConfig
from ansible_env.config.parameters import Tunables
from ansible_env.engine.default_inventory import choose_inventory
from ansible_env.engine.inventory import Inventory, Source
from ansible_env.engine.protocol import Cancellation, Engine, Listener, Options
from ansible_env.engine.registry import make_engine
from ansible_env.environment.arguments import EnvArguments, names_argument, observers_argument, path_argument
from ansible_env.environment.once import Once
from ansible_env.environment.pacing import Pacing
from ansible_env.environment.phase_events import PhaseCall
from ansible_env.environment.phase_runner import PhaseRunner
from ansible_env.environment.syntax import SyntaxCheck
from ansible_env.environment.target import Target
from ansible_env.environment.tracing_observer import TracingObserver
from ansible_env.environment.trial_parameters import TrialParameters
from ansible_env.errors import ConfigError, LifecycleError
from ansible_env.playbook.playbook import Playbook
from ansible_env.playbook.plays import render, render_boot, render_script
from ansible_env.results.metrics.parse import Value
from ansible_env.results.observer import TrialObserver, notify
from ansible_env.results.phase_result import PhaseResult
from ansible_env.results.status import Status
from ansible_env.results.trial import Trial, TrialRequest
from ansible_env.storage import fingerprint
from ansible_env.storage.bundle.origin import versions
from ansible_env.storage.journal import Journal

logger = get_logger(__name__)


Telemetry = list[tuple[datetime, str, Any]]


class RemoteEnv:
    """A benchmark environment on hosts that Ansible can reach.

    Use it as a context manager: setup, run and teardown raise LifecycleError outside of it, as mlos_bench asserts.

        with RemoteEnv.from_file("sqlite.yml", inventory="inventories/lab") as env:
            if env.setup({"cache_size": 4000}):
                status, timestamp, metrics = env.run()
            env.teardown()
    """

    def __init__(  # noqa: PLR0913 - the public arguments, by keyword only
        self,
        *,
        config: EnvironmentConfig | Mapping[str, Any],
        name: str | None = None,
        global_config: Mapping[str, Any] | None = None,
        tunables: Tunables | None = None,
        inventory: Source | Inventory | Sequence[Source] | None = None,
        limit: str | None = None,
        hosts: Sequence[str] | None = None,
        engine: Engine | str = "warm",
        options: Options | None = None,
        logs: str | Path | None = None,
        journal: Journal | None = None,
        listener: Listener | None = None,
        observers: Iterable[TrialObserver] = (),
        cancel: threading.Event | None = None,
    ) -> None:
        """Check an environment and its parameters without contacting a host.

        Args:
            config: the environment, loaded or as a mapping in either form of the file.
            name: replaces the name in the configuration.
            global_config: parameters from outside; they override only parameters that the environment has.
            tunables: definitions of tunables besides those of the file; also a TunableGroups of mlos_bench.
            inventory: a file, directory, script or plugin configuration, `host1,host2`, a mapping, or several of
                these; by default that of Ansible's configuration, or else the controller itself.
            limit: a pattern that limits the hosts further, as --limit.
            hosts: the names of the hosts, if they are known; the pattern is then not resolved.
            engine: the engine, which may be shared; or the name of one, which is closed with the environment.
            options: the options of ansible-playbook.
            logs: directory for the complete output of each phase.
            journal: records the state of a trial, so that `attach` can resume it in another process.
            listener: receives events and output while a phase runs.
            observers: follow the trials.
            cancel: an event that ends setup and run when it is set.

        Raises:
            ConfigError: the environment or an argument is wrong; it lists all problems.
        """
        self.config = (
            config if isinstance(config, EnvironmentConfig) else EnvironmentConfig.from_mapping(config, name=name)
        )
        self.name = name or self.config.name
        self._parameters = TrialParameters(self.config, self.name, global_config, tunables)
        self._own_engine = isinstance(engine, str)
        self._target = Target(
            self.config,
            make_engine(engine) if isinstance(engine, str) else engine,
            choose_inventory(inventory, options or Options()),
            limit,
            options or Options(),
            None if hosts is None else names_argument("hosts", hosts),
        )
        if self._own_engine:  # `hosts` starts it outside of the context, too
            weakref.finalize(self, self._target.engine.close)
        self.logs = None if logs is None else path_argument("logs", logs)
        """Directory for the complete output; may be changed between two phases."""
        self.journal = journal
        """Records the state of the next trial."""
        self.observers = observers_argument(observers)
        """The observers of the trials; may be changed between two trials."""
        self.once = Once()
        """Runs `setup_once` and `teardown_once`."""
        self._own_once = True
        self._tracing = TracingObserver()
        self._syntax = SyntaxCheck()
        self._origin: RemoteEnv | None = None
        """The environment of which `on` made this one: its engine lasts as long as both."""
        self._reset_state(listener, cancel)

    def _reset_state(self, listener: Listener | None, cancel: threading.Event | None) -> None:
        """Set the state of an environment that has run nothing yet."""
        self._runner = PhaseRunner(self._target)
        self._listener = listener
        self._event = cancel
        self._cancel = Cancellation(cancel)
        self._teardown_cancel = Cancellation()
        self._in_context = False
        self._ready = False
        self._pacing = Pacing(self.config)
        self._trial: Trial | None = None
        self._explicit = False
        """Whether `start_trial` began the trial, so that only `finish_trial` ends it."""
        self.phase = ""
        """The phase that is running; empty if none is."""
        self.results: dict[str, PhaseResult] = {}
        """The last result of each phase."""

    @classmethod
    def from_file(cls, path: str | Path, **arguments: Unpack[EnvArguments]) -> Self:
        """Return the environment of a file. The arguments are those of the constructor.

        Raises:
            ConfigError: the file or an argument is wrong; it lists all problems.
        """
        return cls(config=EnvironmentConfig.load(path), **arguments)

    def __repr__(self) -> str:
        return f"<RemoteEnv {self.name!r} on {self.config.hosts!r}>"

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close(str(value) if value is not None else "")

    def open(self) -> Self:
        """Enter the environment, as `with` does, for programs that cannot use `with`; `close` leaves it.

        Raises:
            LifecycleError: the environment is entered already.
        """
        if self._in_context:
            raise LifecycleError(f"{self.name}: the environment is already entered")
        self._in_context = True
        return self

    def close(self) -> None:
        """Leave the environment, and end all processes of its own engine. It may be called again."""
        self._close("")

    def _close(self, error: str) -> None:
        self._in_context = False
        self._ready = False
        if self._trial is not None:
            self.finish_trial(error=error if self._explicit else "")
        if self._own_once and not self.once.lasts:
            self.once.finish()
        self._runner.close()
        if self._own_engine:
            self._target.engine.close()

    @property
    def inventory(self) -> Inventory:
        """The inventory of the hosts."""
        return self._target.inventory

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts of the environment, in the order of the inventory.

        Raises:
            InventoryError: the inventory cannot be read, or no host matches.
        """
        return self._runner.hosts

    def hosts_of(self, pattern: str) -> frozenset[str]:
        """Return the hosts of the environment that a host pattern matches.

        Raises:
            InventoryError: there are none.
        """
        return self._runner.hosts_of(pattern)

    @property
    def is_ready(self) -> bool:
        """Whether setup has succeeded, and teardown has not run since."""
        return self._ready

    @property
    def params(self) -> dict[str, Any]:
        """The parameters of the trial, secrets masked."""
        return self._parameters.public

    @property
    def experiment(self) -> str:
        """The name under which the trials are stored."""
        return self._parameters.experiment

    @property
    def is_canceled(self) -> bool:
        """Whether the end of the trial was requested."""
        return self._cancel.requested

    @property
    def is_teardown_canceled(self) -> bool:
        """Whether the end of the teardown was requested as well."""
        return self._teardown_cancel.requested

    def setup(self, tunables: Any = None, global_config: Mapping[str, Any] | None = None) -> bool:
        """Set the hosts up for a trial with these values of the tunables, and return whether they are ready.

        Raises:
            LifecycleError: outside the context.
            ParameterError: a value cannot be used; no host has been touched.
            InventoryError: there is no host.
        """
        self._check_context("setup")
        self._ready = False
        if not self._explicit:
            self._reset()
        self._parameters.begin_trial(tunables, global_config)
        self._check_syntax()
        request = self._parameters.request(tunables, global_config)
        waited = self._pacing.before_trial(self._cancel) if self._trial is None else {}
        if self.journal is not None:
            hosts = self._target.hosts and list(self._target.hosts)
            known = self._parameters.for_journal(request)
            self.journal.begin_trial(*known, hosts=hosts, lease=self._runner.lease_token)
        if self._trial is None:
            self._begin(request, waited=waited)
        if self.config.wait_boot and not self._run_playbook(render_boot(self.config)).status.is_succeeded():
            return False
        if not self._set_up_once():
            return False
        if not self.config.setup:
            self._ready = True
            return True
        self._ready = self.run_phase("setup").status.is_succeeded()
        return self._ready

    def _set_up_once(self) -> bool:
        """Run `setup_once` on the hosts of the trial where it has not run; return whether the trial may go on."""
        result = self.once.prepare(self)
        self._runner.drop("once", self.once.failed(self.hosts))
        ready = result is None or result.status.is_succeeded()
        if self.journal is not None:
            self.journal.remember("once", ready)
        if result is not None:
            self._add_result(result)
        return ready

    def run(self) -> tuple[Status, datetime, dict[str, Value] | None]:
        """Run the benchmark and return its status, its end by the hosts' clock, and its metrics.

        The status is PENDING if setup has not succeeded, and READY if there is nothing to run. The metrics are None
        unless the run succeeded.

        Raises:
            LifecycleError: outside the context.
        """
        self._check_context("run")
        if not self._ready:
            return Status.PENDING, datetime.now(UTC), None
        if not self.config.run:
            return Status.READY, datetime.now(UTC), None
        result = self.run_phase("run")
        metrics = dict(result.metrics) if result.status.is_succeeded() else None
        return result.status, result.finished, metrics

    def teardown(self) -> None:
        """Clean up. A failure is logged, is in `results`, and does not change the result of run.

        Raises:
            LifecycleError: outside the context.
        """
        self._check_context("teardown")
        self._ready = False
        if not self.config.teardown:
            return
        result = self.run_phase("teardown")
        if not result.status.is_succeeded():
            logger.warning("%s: %s", self.name, result.summary())

    def status(self) -> tuple[Status, datetime, Telemetry]:
        """Return READY or PENDING, the current time, and the telemetry of the last run.

        Raises:
            LifecycleError: outside the context.
        """
        self._check_context("status")
        telemetry = self.results["run"].telemetry if "run" in self.results else []
        return (Status.READY if self._ready else Status.PENDING), datetime.now(UTC), telemetry

    def assign(self, tunables: Any = None, global_config: Mapping[str, Any] | None = None) -> None:
        """Compute the parameters of the next trial as setup does, for single phases and for `render`.

        Only setup counts a trial. Until then, the next trial keeps its number.

        Raises:
            ParameterError: a value cannot be used.
        """
        if not self._explicit:
            self._end_trial()
        self._parameters.assign(tunables, global_config)

    def check_values(self, tunables: Any = None, global_config: Mapping[str, Any] | None = None) -> None:
        """Check values as setup does, and change nothing.

        Raises:
            ParameterError: a value cannot be used.
        """
        self._parameters.check_values(tunables, global_config)

    def check_tasks(self, tunables: Any = None, global_config: Mapping[str, Any] | None = None) -> None:
        """Check values as `check_values`, and have Ansible check the syntax of the Ansible tasks of all phases.

        A trial does so before it starts. No host is touched.

        Raises:
            ParameterError: a value cannot be used.
            ConfigError: Ansible refuses a task.
        """
        parameters = self._parameters.copy()
        parameters.assign(tunables, global_config)
        self._syntax.run(self._target, parameters.params, parameters.env)

    def run_phase(self, phase: str) -> PhaseResult:
        """Run one phase, whether or not others have run, and return its result.

        Raises:
            LifecycleError: outside the context.
            ConfigError: there is no such phase, or it is empty.
        """
        self._check_context("run_phase")
        return self._run_playbook(self._render(phase))

    def start_trial(self, request: TrialRequest, directory: Path | None = None, **known: Any) -> Trial:
        """Start a trial that only `finish_trial` ends; no host is touched. See `ansible_env.trials.run_trial`.

        `known` are fields of a trial that is resumed.

        Raises:
            LifecycleError: outside the context.
            ParameterError: a value cannot be used.
            InventoryError: there is no host.
        """
        self._check_context("start_trial")
        self._reset()
        self._parameters.assign(request.values, request.globals)
        self._check_syntax()
        self._explicit = True
        return self._begin(request, directory=directory, waited=self._pacing.before_trial(self._cancel), **known)

    def finish_trial(
        self, *, canceled: bool = False, complete: Callable[[Trial], Trial] | None = None, **changes: Any
    ) -> Trial:
        """Finish the current trial, pass it to the observers and return it.

        Args:
            canceled: see `Trial.finish`.
            complete: adds to the finished trial before the observers see it.
            changes: fields of the trial.

        Raises:
            LifecycleError: there is no trial.
        """
        if self._trial is None:
            raise LifecycleError(f"{self.name}: there is no trial to finish")
        trial = replace(self._trial, **changes).finish(canceled=canceled)
        self._trial, self._explicit, self.phase = None, False, ""
        self._pacing.trial_ended()
        trial = complete(trial) if complete is not None else trial
        notify(self._everyone, lambda observer: observer.on_trial_finished(trial))
        return trial

    def attach(self) -> PhaseResult | None:
        """Resume the phase in which a controller was killed, follow it to its end, and return its result.

        Returns None if the trial was between two phases. Afterwards the environment is in the state that it would have
        had.

        Raises:
            LifecycleError: outside the context, or without a journal.
        """
        self._check_context("attach")
        if self.journal is None:
            raise LifecycleError(f"{self.name}: attach() needs the journal of a trial")
        self.assign(*self.journal.trial)
        self._parameters.exports = dict(self.journal.recall("exports") or {})
        self._runner.resume_trial(self.journal)
        self.results |= self.journal.ended()
        if self._trial is not None:
            self._trial = replace(self._trial, phases=dict(self.results))
        interrupted = self.journal.interrupted()
        if not self.journal.is_complete:
            now = interrupted[0] if interrupted is not None else ""
            later = [phase for phase in self.config.phases if self.journal.status(phase) is None and phase != now]
            self._runner.doubt((self._render(phase), self.journal.next_key(phase)) for phase in later)
        result = None
        if interrupted is not None:
            phase, key = interrupted
            playbook = render_boot(self.config) if phase == "boot" else self._render(phase).for_attaching()
            result = self._run_playbook(playbook, key)
        proof = "setup" if self.config.setup else "boot" if self.config.wait_boot else None
        ended = self.journal.status
        prepared = not self.config.setup_once or bool(self.journal.recall("once"))
        ready = prepared and (proof is None or ended(proof) == Status.SUCCEEDED.name)
        self._ready = ready and ended("teardown") is None
        return result

    def fingerprints(self) -> dict[str, dict[str, Any]]:
        """Return the fingerprints of the hosts, by host. A host that does not answer is left out.

        Raises:
            LifecycleError: outside the context.
        """
        self._check_context("fingerprints")
        playbook = render_script(self.config, "Fingerprint", fingerprint.SCRIPT, fingerprint.TIMEOUT)
        outputs = self._runner.ask(playbook, fingerprint.TIMEOUT)
        facts = {host: fingerprint.parse(text) for host, text in outputs.items()}
        return {host: values for host, values in facts.items() if values}

    def render(self, phase: str) -> str:
        """Return the playbook of a phase as YAML.

        Raises:
            ConfigError: there is no such phase, or it is empty.
        """
        return self._render(phase).to_yaml()

    def cancel(self) -> None:
        """End setup or run of the current trial, from any thread. Teardown runs nevertheless.

        The next setup begins another trial. The event of the constructor applies as long as it is set.
        """
        self._cancel.cancel()

    def cancel_teardown(self) -> None:
        """End a teardown as well."""
        self._teardown_cancel.cancel()

    def on(
        self, hosts: Sequence[str], *, cancel: threading.Event | None = None, listener: Listener | None = None
    ) -> RemoteEnv:
        """Return the same environment on some of its hosts, for trials that run at the same time.

        It has the same engine and the same observers, but no logs and no journal yet. `run_trials` and `Runner` use it.

        Args:
            hosts: the names of the hosts.
            cancel: an event that ends setup and run there when it is set.
            listener: receives events and output there; by default that of this environment, from several threads.
        """
        clone = copy.copy(self)
        clone._origin = self
        clone._own_engine = clone._own_once = False
        clone._parameters = self._parameters.copy()
        clone._target = replace(self._target, hosts=tuple(hosts))
        clone.logs = clone.journal = None
        clone._reset_state(listener or self._listener, cancel)
        return clone

    def on_once(self, hosts: Sequence[str]) -> RemoteEnv:
        """Return the environment of `setup_once` and `teardown_once` on some of the hosts, as setup and teardown.

        Raises:
            ConfigError: the environment file has neither.
        """
        config = self.config.once
        if config is None:
            raise ConfigError(f"{self.name}: the environment file has neither {' nor '.join(ONCE)}")
        clone = self.on(hosts, cancel=self._cancel.event)
        clone.config, clone.once, clone.observers = config, Once(), self.once.observers
        clone._parameters = self._parameters.copy(config)
        clone._target = replace(clone._target, config=config, is_part=True)
        clone._reset_state(self._listener, self._cancel.event)
        clone._runner.lease_token = self._runner.lease_token
        return clone

    def release(self) -> None:
        """Give back the leases on the hosts. The next phase takes them again."""
        self._runner.close()

    def begin_trials(self) -> threading.Event:
        """Begin trials on single hosts (`on`); return the event that `cancel()` sets for all of them.

        Raises:
            LifecycleError: outside the context.
        """
        self._check_context("run_trials")
        self._runner.begin_trial()
        self._cancel = Cancellation(self._event)
        return self._cancel.event

    def _render(self, phase: str) -> Playbook:
        if phase in ONCE and getattr(self.config, phase) and self.config.once is not None:
            return render(self.config.once, ONCE[phase], self._parameters.params, self._parameters.env)
        if phase not in PHASES:
            raise ConfigError(f"there is no phase {phase!r}: {', '.join(PHASES)}")
        if not getattr(self.config, phase):
            raise ConfigError(f"{self.name}: the environment file has no {phase!r}")
        return render(self.config, phase, self._parameters.params, self._parameters.env)

    def _check_syntax(self) -> None:
        self._syntax.run(self._target, self._parameters.params, self._parameters.env)

    def _check_context(self, method: str) -> None:
        if not self._in_context:
            raise LifecycleError(f"{self.name}: {method}() outside of the context: use `with RemoteEnv(...) as env:`")

    def _reset(self) -> None:
        """End the earlier trial and clear its state."""
        self._end_trial()
        self._ready = False
        self.results.clear()
        self._runner.begin_trial()
        self._cancel, self._teardown_cancel = Cancellation(self._event), Cancellation()

    def _begin(self, request: TrialRequest, **fields: Any) -> Trial:
        # The start of a trial that is resumed is known by the wall clock alone.
        begun = None if "started" in fields else time.monotonic()
        known: dict[str, Any] = {"hosts": self.hosts, "params": self.params, "versions": versions(), "begun": begun}
        self._trial = trial = Trial(self.name, request, self.experiment, **known, **fields)
        notify(self._everyone, lambda observer: observer.on_trial_started(trial))
        return trial

    def _end_trial(self) -> None:
        """Finish the current trial, if there is one."""
        if self._trial is not None:
            self.finish_trial()

    @property
    def _everyone(self) -> tuple[TrialObserver, ...]:
        return (*self.observers, self._tracing)

    def _run_playbook(self, playbook: Playbook, key: str | None = None) -> PhaseResult:
        phase, params = playbook.phase, self.params
        trial = self._trial or self._begin(self._parameters.request())
        if phase == "run" and key is None:
            trial = self._pause_before_run(trial)
        call = PhaseCall(
            self._teardown_cancel if phase == "teardown" else self._cancel,
            secrets=self._parameters.secrets,
            logs=self.logs,
            journal=self.journal,
            key=key,
            listener=self._listener,
            trial=trial,
            observers=self._everyone,
        )
        self.phase = phase
        with about(environment=self.name, trial=params.get("trial_id", ""), phase=phase):
            result = self._runner.run(playbook, call)
        self.phase = ""
        self._add_result(result)
        if phase == "teardown" and not self._explicit:
            self._end_trial()
        return result

    def _pause_before_run(self, trial: Trial) -> Trial:
        """Wait as the environment file asks for, and return the trial in which that is recorded."""
        seed = f"{trial.experiment} {trial.number} {' '.join(trial.hosts)}"
        waited = self._pacing.before_run(seed, self._cancel, was_set_up="setup" in trial.phases)
        self._trial = replace(trial, waited={**trial.waited, **waited})
        return self._trial

    def _add_result(self, result: PhaseResult) -> None:
        """Add the result of a phase to the current trial."""
        self.results[result.phase] = result
        if self._trial is not None:
            self._trial = replace(self._trial, phases={**self._trial.phases, result.phase: result})
        self._parameters.exports |= result.exports
        if self.journal is not None:
            self.journal.remember("exports", self._parameters.exports)
        if (trial := self._trial) is not None:
            notify(self._everyone, lambda observer: observer.on_phase_finished(trial, result))
