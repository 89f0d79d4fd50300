"""One trial: which of its phases run, and what it becomes when something goes wrong."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from ansible_env import EngineError, Kind, RemoteEnv, Status, Trial, TrialObserver, TrialRequest
from ansible_env.storage.bundle.bundle import BundleWriter
from ansible_env.storage.bundle.origin import Origin
from ansible_env.storage.journal import Journal
from ansible_env.testing import FakeEngine
from ansible_env.trials.run_trial import HostFacts, resume_trial, run_trial

CONFIG: dict[str, Any] = {"name": "bench", "setup": ["prepare"], "run": ["measure"], "teardown": ["clean"]}


class Last(TrialObserver):
    """Keeps the trial that has finished last."""

    trial: Trial | None = None

    def on_trial_finished(self, trial: Trial) -> None:
        self.trial = trial


def raising(error: BaseException, *phases: str) -> Any:
    def answer(phase: str, host: str, task: Any) -> dict[str, Any]:
        if phase in phases:
            raise error
        return {}

    return answer


def env(answer: Any = None, **given: Any) -> RemoteEnv:
    return RemoteEnv(config=CONFIG, engine=FakeEngine(["h"], answer), **given)


@pytest.mark.parametrize(
    ("phases", "status"),
    [(("setup", "run", "teardown"), "SUCCEEDED"), (("run",), "SUCCEEDED"), (("setup",), "SUCCEEDED"), ((), "READY")],
)
def test_the_phases_that_are_wanted_are_run(phases, status):
    with env() as bench:
        trial = run_trial(bench, TrialRequest(3), phases=phases)
    assert (tuple(trial.phases), trial.status.name, trial.number) == (phases, status, 3)


@pytest.mark.parametrize("phase", ["setup", "run"])
def test_an_error_of_ansible_is_in_the_trial_and_teardown_runs(phase):
    with env(raising(EngineError("Ansible is gone"), phase)) as bench:
        trial = run_trial(bench, TrialRequest(1))
        assert (trial.error, trial.status, trial.is_infrastructure_failure) == ("Ansible is gone", Status.FAILED, True)
        assert list(trial.phases)[-1] == "teardown"
        assert run_trial(bench, TrialRequest(2), phases=()).error == ""


def test_the_first_error_is_in_the_trial_and_the_second_is_logged(caplog):
    with env(raising(EngineError("Ansible is gone"), "run", "teardown")) as bench:
        trial = run_trial(bench, TrialRequest(1))
    assert (trial.error, list(trial.phases)) == ("Ansible is gone", ["setup"])
    assert [record.message for record in caplog.records] == ["Ansible is gone"]


@pytest.mark.parametrize("stop", [False, True])
def test_an_interrupt_finishes_the_trial_and_passes(stop):
    last = Last()
    with env(raising(KeyboardInterrupt(), "run"), observers=[last]) as bench:

        def answer(phase: str, host: str, task: Any) -> dict[str, Any]:
            if phase == "run":
                if stop:
                    bench.cancel_teardown()
                raise KeyboardInterrupt
            return {}

        bench._target.engine._answer = answer  # type: ignore[attr-defined]
        with pytest.raises(KeyboardInterrupt):
            run_trial(bench, TrialRequest(1))
    assert last.trial is not None
    assert (last.trial.status, last.trial.abandoned, last.trial.deciding) == (Status.CANCELED, "run", None)
    assert list(last.trial.phases) == ["setup"] + ["teardown"] * (not stop)


@pytest.mark.parametrize("phase", ["setup", "run"])
def test_an_error_of_the_system_is_in_the_trial_and_teardown_runs(phase):
    with env(raising(OSError(28, "No space left on device", "/tmp/x"), phase)) as bench:
        trial = run_trial(bench, TrialRequest(1))
    assert (trial.error, trial.status) == ("controller: No space left on device: /tmp/x", Status.FAILED)
    assert list(trial.phases)[-1] == "teardown"


def test_an_error_in_a_program_ends_the_trial_as_failed():
    last = Last()
    with (
        pytest.raises(ZeroDivisionError),
        env(raising(ZeroDivisionError("division"), "run"), observers=[last]) as bench,
    ):
        run_trial(bench, TrialRequest(1))
    assert last.trial is not None
    assert (last.trial.status, last.trial.error) == (Status.FAILED, "division")


def test_a_request_to_end_it_before_the_run_keeps_the_run_from_starting():
    with env() as bench:
        bench._target.engine._answer = lambda phase, *_: bench.cancel() or {}  # type: ignore[attr-defined]
        trial = run_trial(bench, TrialRequest(1))
    assert (trial.status, list(trial.phases)) == (Status.CANCELED, ["setup", "teardown"])


def test_hosts_are_asked_after_a_run_that_succeeded():
    facts = HostFacts()
    asked = {"stdout": "ansible_env.kernel=Linux\n"}
    with env(lambda phase, *_: asked if phase not in CONFIG else {}) as bench:
        trials = [run_trial(bench, TrialRequest(n), facts=facts) for n in (1, 2)]
        assert len(bench._target.engine.jobs) == 7  # type: ignore[attr-defined]
    assert [trial.fingerprints for trial in trials] == [{"h": {"kernel": "Linux"}}] * 2


def test_a_trial_whose_controller_is_gone_is_brought_to_its_end(tmp_path):
    with env() as bench:
        bench.observers = (BundleWriter(Origin.of(bench.config)),)
        with pytest.raises(KeyboardInterrupt):
            bench._target.engine._answer = raising(KeyboardInterrupt(), "run")  # type: ignore[attr-defined]
            run_trial(bench, TrialRequest(7, globals={"trial_id": 7}), tmp_path, phases=("setup", "run"))
    with env() as again:
        trial = resume_trial(again, Journal.open(tmp_path))
    assert (trial.number, trial.status, list(trial.phases)) == (7, Status.SUCCEEDED, ["setup", "run", "teardown"])
    assert trial.uid in (tmp_path / "bundle.json").read_text()


def test_a_teardown_that_was_about_to_begin_when_the_controller_was_killed_runs(tmp_path):
    with env() as bench:
        bench.observers = (BundleWriter(Origin.of(bench.config)),)
        with pytest.raises(KeyboardInterrupt):
            bench._target.engine._answer = raising(KeyboardInterrupt(), "teardown")  # type: ignore[attr-defined]
            run_trial(bench, TrialRequest(7, globals={"trial_id": 7}), tmp_path)

    def answer(phase: str, host: str, task: Any) -> dict[str, Any]:
        return {"kind": Kind.NOT_RUN, "rc": None} if task.get("attach") else {}

    with env(answer) as again:
        trial = resume_trial(again, Journal.open(tmp_path))
        assert len(again._target.engine.jobs) == 2  # type: ignore[attr-defined]
    assert [result.status.name for result in trial.phases.values()] == ["SUCCEEDED"] * 3


def test_a_clock_that_is_set_during_a_trial_changes_no_duration(monkeypatch):
    class Earlier(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) - timedelta(hours=2)

    def answer(phase: str, host: str, task: Any) -> dict[str, Any]:
        monkeypatch.setattr("ansible_env.results.trial.datetime", Earlier)
        return {}

    with env(answer) as bench:
        trial = run_trial(bench, TrialRequest(1))
    assert trial.finished is not None
    assert trial.finished < trial.started
    assert 0 <= trial.elapsed < 60
