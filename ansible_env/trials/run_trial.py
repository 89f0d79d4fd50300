"""`run_trial`: runs setup, run and teardown of one trial, for every interface."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_env.common import get_logger, reason
from ansible_env.config.fields import PHASES
from ansible_env.environment.remote_env import RemoteEnv
from ansible_env.errors import AnsibleEnvError
from ansible_env.results.outcomes import Kind
from ansible_env.results.trial import Trial, TrialRequest
from ansible_env.storage.bundle.bundle import Bundle
from ansible_env.storage.journal import Journal

logger = get_logger(__name__)


class HostFacts:
    """The facts about the hosts of many trials; see `ansible_env.storage.fingerprint`.

    Several threads may ask at once, each for its own hosts: a host has one trial at a time.
    """

    def __init__(self) -> None:
        self._asked: set[str] = set()
        self._facts: dict[str, Mapping[str, Any]] = {}

    def ask(self, env: RemoteEnv) -> None:
        """Take the fingerprints of an environment's hosts, unless they were all taken before, or its trial is canceled.

        A host that does not answer is not asked again after its next trials.
        """
        if env.is_canceled or self._asked.issuperset(env.hosts):
            return
        self._asked.update(env.hosts)
        try:
            self._facts |= env.fingerprints()
        except AnsibleEnvError as error:
            logger.warning("%s: facts are not known: %s", ", ".join(env.hosts), error)

    def of(self, hosts: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """Return the known facts about some hosts."""
        return {host: self._facts[host] for host in hosts if host in self._facts}


logger = get_logger(__name__)

Complete = Callable[[Trial], Trial]
"""Adds to a finished trial before the observers see it."""


RunTrial = Callable[[RemoteEnv, TrialRequest, Complete], Trial]
"""Runs a trial and returns it."""


def run_in(artifacts: Path | None) -> RunTrial:
    """Return `run_trial` with a directory below `artifacts` for each attempt; without that, `run_trial` itself."""

    def run(env: RemoteEnv, request: TrialRequest, complete: Complete) -> Trial:
        return run_trial(env, request, artifacts and artifacts / attempt_name(request), complete=complete)

    return run


def attempt_name(request: TrialRequest) -> str:
    """Return the name of the directory for one attempt at a trial."""
    return f"trial-{request.number}" + (f"-attempt-{request.attempt}" if request.attempt > 1 else "")


def run_trial(
    env: RemoteEnv,
    request: TrialRequest,
    directory: Path | None = None,
    *,
    phases: Sequence[str] = PHASES,
    facts: HostFacts | None = None,
    complete: Complete | None = None,
) -> Trial:
    """Run a trial of an environment that is entered, and return it.

    Teardown always runs, unless it is canceled itself. An error of Ansible, of the engine or of a file is in the
    trial. An interrupt finishes the trial, and is raised again.

    `directory` is for its logs and its journal; by default those of the environment. `facts` takes the fingerprints of
    the hosts after a successful run; `complete` adds to the finished trial before the observers see it.

    Raise LifecycleError if the environment is not entered, InventoryError if there is no host, and ParameterError if a
    value cannot be used; no host has been touched then.
    """
    if directory is not None:
        env.logs, env.journal = directory / "logs", Journal(directory)
    env.start_trial(request, directory)

    def set_up() -> bool:
        return "setup" not in phases or (not env.is_canceled and env.setup(request.values, request.globals))

    return _finish(env, phases, set_up, facts, complete)


def resume_trial(
    env: RemoteEnv,
    journal: Journal,
    *,
    request: TrialRequest | None = None,
    phases: Sequence[str] = PHASES,
    facts: HostFacts | None = None,
    complete: Complete | None = None,
) -> Trial:
    """Finish a trial whose controller was killed, and return it. `journal` is in its bundle.

    `request` is the trial's place in a plan.

    Raise LifecycleError if the environment is not entered, ConfigError if there is no bundle.
    """
    bundle = Bundle.open(journal.directory)
    env.logs, env.journal = bundle.directory / "logs", journal
    request = request or TrialRequest(int(bundle.manifest["trial"]), *journal.trial)
    env.start_trial(request, bundle.directory, uid=bundle.uid, started=bundle.created)

    def attach() -> bool:
        result = env.attach()
        if (
            result is not None
            and result.phase == "teardown"
            and any(h.kind is Kind.NOT_RUN for h in result.failed_hosts)
        ):
            del env.results["teardown"]  # it was about to be started on a host, and always runs
        return env.is_ready and journal.status("run") is None

    return _finish(env, phases, attach, facts, complete)


def _finish(
    env: RemoteEnv,
    phases: Sequence[str],
    set_up: Callable[[], bool],
    facts: HostFacts | None,
    complete: Complete | None = None,
) -> Trial:
    """Run the phases of a trial that has been started, and finish it. `set_up` returns whether it may run."""
    errors: list[str] = []
    abandoned = ""
    wanted = [phase for phase in ("setup", "run") if phase in phases and getattr(env.config, phase)]
    try:
        try:
            with _collected(errors):
                if set_up() and "run" in wanted and not env.is_canceled:
                    result = env.run_phase("run")
                    if facts is not None and result.status.is_succeeded():
                        facts.ask(env)
        except KeyboardInterrupt:
            abandoned = env.phase
            raise
        finally:
            needed = "teardown" in phases and env.config.teardown and "teardown" not in env.results
            if needed and not env.is_teardown_canceled:
                with _collected(errors):
                    env.run_phase("teardown")
    except KeyboardInterrupt:
        env.finish_trial(canceled=True, complete=complete, abandoned=abandoned or env.phase, error="".join(errors[:1]))
        raise
    return env.finish_trial(
        canceled=env.is_canceled and bool(wanted) and wanted[-1] not in env.results,
        complete=complete,
        error="".join(errors[:1]),
        fingerprints=facts.of(env.hosts) if facts is not None and "run" in env.results else {},
    )


@contextlib.contextmanager
def _collected(errors: list[str]) -> Iterator[None]:
    """Collect an error of Ansible or of the controller's system; log it unless it is the first one."""
    try:
        yield
    except (AnsibleEnvError, OSError) as error:
        words = f"controller: {reason(error)}" if isinstance(error, OSError) else str(error)
        if errors:
            logger.error("%s", words)
        errors.append(words)
