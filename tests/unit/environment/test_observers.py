"""Observers: what they are called with, in which order, and that none of them can harm a trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_env import HostResult, Kind, LifecycleError, PhaseResult, RemoteEnv, Status, Trial, TrialObserver
from ansible_env.storage.bundle.bundle import BundleWriter
from ansible_env.storage.bundle.origin import Origin
from ansible_env.storage.journal import Journal
from ansible_env.storage.store import Store
from ansible_env.storage.store_writer import StoreWriter
from ansible_env.testing import FakeEngine
from ansible_env.trials.run_trials import run_trials

CONFIG: dict[str, Any] = {"name": "bench", "setup": ["prepare"], "run": ["measure"], "teardown": ["clean"]}
TUNABLES = {"tunables": {"g": {"cost": 1, "params": {"x": {"type": "int", "range": [1, 9], "default": 5}}}}}


class Recorder(TrialObserver):
    """Records every call."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.trials: list[Trial] = []
        self.playbooks: list[str] = []

    def on_trial_started(self, trial: Trial) -> None:
        self.calls.append(("started", trial.status.name, trial.hosts))
        self.trials.append(trial)

    def on_phase_started(self, trial: Trial, phase: str, playbook: str, hosts: Sequence[str]) -> None:
        self.calls.append((phase, tuple(hosts)))
        self.playbooks.append(playbook)

    def on_event(self, trial: Trial, event: Mapping[str, Any]) -> None:
        self.calls.append(("event", event["event_data"]["host"]))

    def on_output(self, trial: Trial, host: str, stream: str, text: str) -> None:
        self.calls.append((host, stream, text))

    def on_host_result(self, trial: Trial, phase: str, result: HostResult) -> None:
        self.calls.append(("result", phase, result.host, str(result.kind)))

    def on_phase_finished(self, trial: Trial, result: PhaseResult) -> None:
        self.calls.append(("finished", result.phase, trial.phases[result.phase] is result))

    def on_trial_finished(self, trial: Trial) -> None:
        self.calls.append(("done", trial.status.name, tuple(trial.phases)))
        self.trials.append(trial)


def env(answer: Any = None, hosts: Any = "h", **given: Any) -> RemoteEnv:
    config = {**CONFIG, **given.pop("config", {})}
    return RemoteEnv(config=config, engine=FakeEngine(hosts, answer), **given)


def test_an_observer_follows_a_trial_from_its_start_to_its_end():
    recorder = Recorder()
    with env(lambda phase, *_: {"stdout": "hi"} if phase == "run" else {}, observers=[recorder]) as bench:
        bench.setup()
        bench.run()
        bench.teardown()
        assert recorder.playbooks == [job.playbook for job in bench._target.engine.jobs]  # type: ignore[attr-defined]
    assert recorder.calls == [
        ("started", "RUNNING", ("h",)),
        ("setup", ("h",)),
        ("event", "h"),
        ("result", "setup", "h", "ok"),
        ("finished", "setup", True),
        ("run", ("h",)),
        ("event", "h"),
        ("result", "run", "h", "ok"),
        ("h", "stdout", "hi"),
        ("finished", "run", True),
        ("teardown", ("h",)),
        ("event", "h"),
        ("result", "teardown", "h", "ok"),
        ("finished", "teardown", True),
        ("done", "SUCCEEDED", ("setup", "run", "teardown")),
    ]
    started, finished = recorder.trials
    assert started.uid == finished.uid
    assert started.phases == {}  # a trial is not changed once an observer has it


class AsksForListener(FakeEngine):
    """Knows whether somebody listened to its last run: an engine then writes and reads a log for each host."""

    def run(self, job: Any, *, listener: Any = None, cancel: Any = None) -> Any:
        self.listened = listener is not None
        return super().run(job, listener=listener, cancel=cancel)


class CountsPhases(TrialObserver):
    def on_phase_finished(self, trial: Trial, result: PhaseResult) -> None:
        self.last = result


class Hears(TrialObserver):
    def on_output(self, trial: Trial, host: str, stream: str, text: str) -> None:
        pass


@pytest.mark.parametrize(("observers", "listened"), [([], False), ([CountsPhases()], False), ([Hears()], True)])
def test_the_engine_is_followed_only_if_an_observer_does_something_while_a_phase_runs(observers, listened):
    engine = AsksForListener("h")
    with RemoteEnv(config={"name": "x", "run": ["true"]}, engine=engine, observers=observers) as given:
        given.run_phase("run")
        assert engine.listened == listened


def test_the_result_of_a_host_is_known_before_the_phase_ends():
    recorder = Recorder()

    def answer(phase: str, host: str, task: Mapping[str, Any]) -> dict[str, Any]:
        if host == "b":
            assert ("result", "run", "a", "exit") in recorder.calls
            assert not any(call[0] == "finished" for call in recorder.calls)
        return {"rc": 3} if host == "a" else {}

    with env(answer, "ab", observers=[recorder], config={"setup": []}) as bench:
        bench.setup()
        assert bench.run()[0] is Status.FAILED
    results = [call for call in recorder.calls if call[0] == "result"]
    assert results == [("result", "run", "a", "exit"), ("result", "run", "b", "ok")]


def test_a_host_of_several_scripts_has_a_result_after_the_last_one():
    recorder = Recorder()
    with env(observers=[recorder], config={"setup": [], "run": ["one", {"ansible.builtin.ping": {}}, "two"]}) as bench:
        bench.setup()
        bench.run()
    kinds = [call[0] for call in recorder.calls]
    assert kinds.count("event") == 2
    assert kinds.index("result") == len(kinds) - 1 - kinds[::-1].index("event") + 1


def test_a_host_without_a_result_of_its_own_gets_one_when_the_phase_ends():
    recorder = Recorder()
    with env(observers=[recorder], config={"setup": []}) as bench:
        bench.setup()
        bench.cancel()
        bench.run()
    assert ("result", "run", "h", "canceled") in recorder.calls


@pytest.mark.slow
def test_a_retry_gives_another_result():
    recorder = Recorder()
    kinds = iter([Kind.UNREACHABLE, Kind.OK])
    config = {"setup": [], "retries": 1, "retry_on": ["unreachable"]}
    with env(lambda *_: {"kind": next(kinds), "rc": 0}, observers=[recorder], config=config) as bench:
        bench.setup()
        assert bench.run()[0] is Status.SUCCEEDED
    # The second one is reported when it is known, and again with the number of its attempt.
    results = [call[3] for call in recorder.calls if call[0] == "result"]
    assert results == ["unreachable", "ok", "ok"]


def test_observers_of_a_trial_that_ends_with_the_next_or_with_its_environment():
    recorder = Recorder()
    with env(observers=[recorder], config={"teardown": []}) as bench:
        bench.setup()
        bench.setup()
        assert [call[0] for call in recorder.calls].count("done") == 1
    assert [call[0] for call in recorder.calls].count("done") == 2


class Broken(TrialObserver):
    """Raises whatever happens."""


for name in [name for name in dir(TrialObserver) if name.startswith("on_")]:
    setattr(Broken, name, lambda self, *_: 1 / 0)


def test_an_observer_that_raises_harms_no_trial(caplog):
    recorder = Recorder()
    with env(observers=[Broken(), recorder]) as bench:
        assert bench.setup()
        assert bench.run()[0] is Status.SUCCEEDED
        bench.teardown()
    assert recorder.trials[-1].status is Status.SUCCEEDED
    assert "Broken raised an exception; the trial continues" in caplog.text


def test_trials_side_by_side_have_their_own_observed_trial(tmp_path):
    recorder = Recorder()
    with env(hosts="abc", config=TUNABLES, observers=[recorder]) as bench:
        trials = list(run_trials(bench, [{"x": n} for n in range(1, 7)], artifacts=tmp_path))
    finished = [trial for trial in recorder.trials if trial.status is not Status.RUNNING]
    assert {trial.uid: trial for trial in finished} == {trial.uid: trial for trial in trials}
    assert len({trial.uid for trial in trials}) == 6
    assert {trial.directory for trial in trials} == {tmp_path / f"trial-{n}" for n in range(1, 7)}


def test_a_lost_attempt_is_marked(monkeypatch):
    monkeypatch.setattr("ansible_env.trials.pool.REST", 0.01)
    recorder = Recorder()
    left = [1]

    def answer(phase: str, host: str, task: Mapping[str, Any]) -> dict[str, Any]:
        return {"kind": Kind.UNREACHABLE, "rc": None} if phase == "run" and left and left.pop() else {}

    with env(answer, "ab", observers=[recorder]) as bench:
        (trial,) = run_trials(bench, [{}])
    finished = [trial for trial in recorder.trials if trial.status is not Status.RUNNING]
    assert [(t.repeated, t.attempts, t.status) for t in finished] == [
        (True, 1, Status.FAILED),
        (False, 2, trial.status),
    ]
    assert trial.status is Status.SUCCEEDED


def test_bundle_and_store_are_written_by_observers(tmp_path):
    with Store(tmp_path / "store.sqlite") as store, env(config=TUNABLES, hosts="ab") as bench:
        bench.observers = (BundleWriter(Origin.of(bench.config)), StoreWriter(store))
        trials = list(run_trials(bench, [{"x": 1}, {"x": 2}], artifacts=tmp_path))
        stored = {trial.uid: trial for trial in store.trials("bench")}
    assert {trial.uid: trial.params["x"] for trial in trials} == {
        uid: found.params["x"] for uid, found in stored.items()
    }
    for trial in trials:
        assert trial.directory is not None
        assert stored[trial.uid].artifacts == str(trial.directory)
        names = {path.name for path in trial.directory.iterdir()}
        assert names >= {"bundle.json", "setup.yml", "run.yml", "teardown.yml", "result.json"}


def test_a_store_that_cannot_be_written_is_reported_once_for_each_write(tmp_path):
    class Full(Store):
        def begin_trial(self, trial: Trial) -> str:
            from ansible_env import StoreError

            raise StoreError("disk full")

    reports: list[str] = []
    with Full(tmp_path / "s.sqlite") as store, env(observers=[StoreWriter(store, reports.append)]) as bench:
        assert bench.setup()
        assert bench.run()[0] is Status.SUCCEEDED
    assert reports == ["not in the store: disk full"]


def test_a_resumed_phase_keeps_the_playbook_that_started_it(tmp_path):
    with env(journal=Journal(tmp_path)) as bench:
        bench.setup()
        assert bench.journal is not None
        bench.journal.begin_phase("run")
    (tmp_path / "bundle.json").write_text("{}")
    (tmp_path / "run.yml").write_text("as it was started")
    writer = BundleWriter(Origin.of(bench.config))
    trial = Trial("bench", directory=tmp_path)
    writer.on_trial_started(trial)
    writer.on_phase_started(trial, "run", "as it is resumed", ("h",))
    assert (tmp_path / "run.yml").read_text() == "as it was started"


def test_there_must_be_a_trial_to_finish(tmp_path: Path):
    with env() as bench, pytest.raises(LifecycleError, match="no trial to finish"):
        bench.finish_trial()
