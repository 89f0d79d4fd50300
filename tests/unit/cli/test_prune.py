"""`prune`: what is old goes, from the disk and from the store together."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from typer.testing import CliRunner

from ansible_env.cli.app import app
from ansible_env.config.model import EnvironmentConfig
from ansible_env.results.trial import TrialRequest
from ansible_env.storage import removal
from ansible_env.storage.bundle.bundle import Bundle
from ansible_env.storage.bundle.origin import Origin
from ansible_env.storage.database.records import Sample
from ansible_env.storage.store import Store, schema
from tests.made_up import scored

NOW = datetime.now(UTC)


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A store with trials and their bundles, each in a call of its own."""
    monkeypatch.setenv("ANSIBLE_ENV_ARTIFACTS", str(tmp_path / "kept"))
    monkeypatch.setenv("ANSIBLE_ENV_STORE", str(tmp_path / "store.sqlite"))
    origin = Origin.of(EnvironmentConfig.from_mapping({"name": "x", "run": ["true"]}))
    with Store() as store:

        def add(days, score, *, experiment="x", call=None, finished=True):
            directory = tmp_path / "kept" / experiment / (call or f"call-{days}-{score}") / f"trial-{score}"
            directory.mkdir(parents=True)
            (directory.parent / "call.json").write_text("{}")
            began = NOW - timedelta(days=days)
            info = {"request": TrialRequest(score), "started": began, "directory": directory}
            made = replace(scored([score]), uid=f"{experiment}-{days}-{score}", experiment=experiment, **info)
            Bundle.create(origin, made).write_result({"made": "up"})
            if finished:
                store.add_trial(made, telemetry=[Sample(began, "h1", "load", 1.0)])
            else:
                store.begin_trial(made)
            return directory

        add.store = store
        yield add


def call(*arguments, code=0):
    done = CliRunner().invoke(app, ["prune", *arguments])
    assert done.exit_code == code, done.output
    return done.stdout if code == 0 else done.stderr


def scores(store, experiment=None):
    return sorted(found.number for found in store.trials(experiment))


def test_what_is_old_goes_from_disk_and_store(kept, tmp_path):
    old, new, other = kept(40, 1), kept(10, 2), kept(90, 3, experiment="y")
    assert "x: 1 trial, " in call("--older-than", "30d", "--dry-run")
    assert scores(kept.store) == [1, 2, 3]
    assert old.is_dir()
    assert call("x", "--older-than", "30d").endswith("of bundles\n")
    assert scores(kept.store) == [2, 3]
    assert not old.parent.exists()  # with the directory of the call, which has no other trial
    assert (new / "result.json").is_file()
    assert (other / "result.json").is_file()
    call("--older-than", "30d")
    assert sorted(p.name for p in (tmp_path / "kept").iterdir()) == ["x"]
    assert "0 trials removed" in call("--older-than", "30d")
    with kept.store._database.reading() as connection:  # nothing is left of them in any table
        for table in set(schema.metadata.sorted_tables) - {schema.experiments}:
            column = table.c.id if table is schema.trials else table.c.trial_id
            assert {row[0] for row in connection.execute(table.select().with_only_columns(column))} <= {2}


def test_the_best_and_the_newest_are_kept(kept):
    for score in (5, 9, 1, 7, 3):
        kept(60 - score, score, call="one")
    call("--older-than", "30d", "--keep-best", "score:max", "--keep", "2", "--keep-last", "1")
    assert scores(kept.store) == [3, 7, 9]
    call("--older-than", "30d", "--keep-last", "1")
    assert scores(kept.store) == [3]


def test_other_trials_of_a_call_stay_with_how_it_was_made(kept):
    old, new = kept(40, 1, call="one"), kept(1, 2, call="one")
    call("--older-than", "30d")
    assert (old.exists(), new.is_dir(), (new.parent / "call.json").is_file()) == (False, True, True)


def test_what_runs_stays_and_what_was_interrupted_goes(kept):
    kept(40, 1, finished=False)
    kept(40, 2, finished=False)
    with kept.store._database.writing() as connection:
        gone = update(schema.trials).where(schema.trials.c.number == 2)
        owner = connection.execute(schema.trials.select()).first().owner
        connection.execute(gone.values(owner=f"{2**22 + 1} {owner.split(' ', 1)[1]}"))
    assert "0 trials" in call("--older-than", "30d", "--status", "FAILED")
    call("--older-than", "30d", "--status", "INTERRUPTED")
    assert scores(kept.store) == [1]


def test_bundles_of_another_machine_are_left_alone(kept):
    kept(40, 1)
    with kept.store._database.writing() as connection:
        connection.execute(update(schema.trials).values(controller="elsewhere"))
    done = CliRunner().invoke(app, ["prune", "--older-than", "1d"])
    assert "1 trial kept, because their bundles are on elsewhere" in done.stderr
    assert scores(kept.store) == [1]


@pytest.mark.parametrize("step", ["rename", "rmtree", "delete"])
def test_a_prune_that_is_killed_is_finished_by_the_next(kept, monkeypatch, step):
    """At each of its steps a trial is whole, or its bundle is gone and the store still knows whose it was."""
    directories = [kept(40, score) for score in (1, 2, 3)]
    real = removal.shutil.rmtree

    def half(path):
        (path / "result.json").unlink()
        raise KeyboardInterrupt

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        if step == "rename":
            context.setattr(Path, "rename", killed)
        elif step == "rmtree":
            context.setattr(removal.shutil, "rmtree", half)
        else:
            context.setattr(Store, "delete", killed)
        assert CliRunner().invoke(app, ["prune", "--older-than", "30d"]).exit_code != 0
    assert scores(kept.store) == [1, 2, 3]
    for directory in directories:  # whole or gone
        assert not directory.exists() or (directory / "result.json").is_file()
    assert removal.shutil.rmtree is real
    call("--older-than", "30d")
    assert scores(kept.store) == []
    assert not any(directory.parent.exists() for directory in directories)


def test_only_a_trials_own_bundle_is_removed(kept, tmp_path):
    directory = kept(40, 1)
    kept(40, 2)
    with kept.store._database.writing() as connection:
        rows = update(schema.trials).where(schema.trials.c.number == 2)
        connection.execute(rows.values(artifacts=str(tmp_path)))  # as a store that somebody else has written may say
    call("--older-than", "30d", "--keep-best", "score:min", "--keep", "1")
    assert scores(kept.store) == [1]
    assert directory.is_dir()
    assert tmp_path.is_dir()


def test_a_bundle_that_cannot_be_removed_keeps_its_row(kept, monkeypatch):
    kept(40, 1)
    monkeypatch.setattr(
        removal.shutil, "rmtree", lambda path: (_ for _ in ()).throw(PermissionError(13, "denied", "f"))
    )
    done = CliRunner().invoke(app, ["prune", "--older-than", "1d"])
    assert "warning: f cannot be removed: denied" in done.stderr
    assert scores(kept.store) == [1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--older-than"),
        (["--older-than", "soon"], "--older-than: 'soon' is not a time"),
        (["nope", "--older-than", "1d"], "no experiment 'nope'"),
        (["--older-than", "1d", "--keep-best", "score"], "is not METRIC:max or METRIC:min"),
        (["--older-than", "1d", "--status", "BAD"], "there is no status 'BAD'"),
    ],
)
def test_what_is_refused(kept, arguments, words):
    kept(40, 1)
    assert words in call(*arguments, code=2)
    assert scores(kept.store) == [1]
