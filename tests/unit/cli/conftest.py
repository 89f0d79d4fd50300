"""A store with trials in it, and the command to ask it with."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest
from typer.testing import CliRunner

from ansible_env.cli.app import app
from ansible_env.results.outcomes import Kind
from ansible_env.storage.store import Store
from tests.made_up import BEGIN, add, begin, scored


@pytest.fixture
def ask(tmp_path, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    with Store(tmp_path / "store.sqlite") as store:

        def ask(*arguments, code=0):
            result = CliRunner().invoke(app, [*map(str, arguments), "--store", store.name])
            assert result.exit_code == code, result.output
            return result.stdout if code == 0 else result.stderr

        ask.store = store
        yield ask


@pytest.fixture
def filled(ask):
    """Ten trials: with mode=b the score is twice as high; `level` is noise. One more failed, one is running."""
    random = Random(1)
    for number in range(10):
        mode = "ab"[number % 2]
        score = (100 if mode == "a" else 200) + random.random()
        info = {"params": {"mode": mode, "rows": 10}, "started": BEGIN + timedelta(hours=number)}
        add(ask.store, "x", scored([score, score + 1], level=random.random()), **info)
    add(ask.store, "x", scored([7], kind=Kind.EXIT), params={"mode": "a", "rows": 10})
    begin(ask.store, "x", params={"mode": "b", "rows": 10})
    add(ask.store, "other", scored([50]))
    return ask
