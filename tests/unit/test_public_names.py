"""Each public error and result survives pickle, copies, `asdict` and JSON, and has a short repr."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import json
import pickle
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import ansible_env
from ansible_env import HostResult, Inventory, Kind, Options, PhaseError, PhaseResult, Problem, Status, Trial
from tests.docs.blocks import ROOT
from tests.docs.blocks import blocks as all_blocks

HOST = HostResult(
    "h1", Kind.EXIT, "exit status 3", rc=3, metrics={"score": 1.5}, stdout="x" * 10_000, stderr="y" * 10_000,
    started=datetime(2026, 1, 1, tzinfo=UTC), finished=datetime(2026, 1, 1, 0, 0, 2, tzinfo=UTC),
    telemetry=((datetime(2026, 1, 1, tzinfo=UTC), "load", 0.5),) * 1000,
)  # fmt: skip
PHASE = PhaseResult("run", Status.FAILED, {"h1": HOST}, {"score": 1.5})
TRIAL = Trial("bench", hosts=("h1",), phases={"run": PHASE}, directory=Path("/x"))
ERRORS = [
    item
    for name in ansible_env.__all__
    if inspect.isclass(item := getattr(ansible_env, name)) and issubclass(item, BaseException)
]
RESULTS = [
    HOST,
    PHASE,
    TRIAL,
    TRIAL.finish(),
    TRIAL.request,
    Problem("m", "k", Path("f"), 1, "h"),
    Options(),
    Inventory(),
]


def copies(item: Any) -> list[Any]:
    return [pickle.loads(pickle.dumps(item)), copy.copy(item), copy.deepcopy(item)]


@pytest.mark.parametrize("error", ERRORS)
def test_errors(error: Any) -> None:
    made = error("it failed", PHASE) if issubclass(error, PhaseError) else error("it failed")
    for again in copies(made):
        assert (type(again), str(again), vars(again)) == (error, "it failed", vars(made))


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: type(result).__name__)
def test_results(result: Any) -> None:
    assert all(again == result for again in copies(result))
    assert dataclasses.asdict(result)
    assert len(repr(result)) < 500


def test_results_as_json() -> None:
    data = json.loads(json.dumps(TRIAL.to_dict(output=True)))
    phase = data["phases"]["run"]
    assert (phase["elapsed"], phase["hosts"]["h1"]["elapsed"], data["hosts"]["h1"]["elapsed"]) == (2, 2, 2)
    assert json.dumps(PHASE.to_dict()) and json.dumps(HOST.to_dict())


def test_the_page_about_python_runs_and_has_each_name() -> None:
    blocks = [block for block in all_blocks() if block.file == "docs/howto/python.md"]
    namespace: dict[str, Any] = {}
    for block in blocks:
        exec(compile("\n" * block.line + block.text, block.file, "exec"), namespace)
    page = (ROOT / "docs/howto/python.md").read_text(encoding="utf-8")
    assert [name for name in ansible_env.__all__ if not re.search(rf"\b{name}\b", page)] == []
