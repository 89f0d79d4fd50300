"""What people import: pinned, so that a change of it is a decision."""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys

import pytest

import ansible_env
from ansible_env import errors

ALL = {
    "AnsibleEnvError",
    "Cancellation",
    "ColdEngine",
    "ConfigError",
    "Engine",
    "EngineError",
    "EnvironmentConfig",
    "HostResult",
    "HostsUnreachable",
    "Inventory",
    "InventoryError",
    "Kind",
    "LifecycleError",
    "Listener",
    "MetricsPatternError",
    "MetricsTimeoutError",
    "Options",
    "ParameterError",
    "PhaseCanceled",
    "PhaseError",
    "PhaseFailed",
    "PhaseResult",
    "PhaseTimedOut",
    "Problem",
    "RemoteEnv",
    "RepeatedFailureError",
    "Runner",
    "SessionEngine",
    "Status",
    "Store",
    "StoreError",
    "Trial",
    "TrialObserver",
    "TrialRequest",
    "WarmEngine",
    "__version__",
    "run_trials",
}


def test_the_names():
    assert set(ansible_env.__all__) == ALL
    assert list(ansible_env.__all__) == sorted(ansible_env.__all__)


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_name_can_be_imported_and_is_documented(name):
    found = getattr(ansible_env, name)
    if name == "__version__":
        assert re.fullmatch(r"\d+\.\d+\.\d+\S*", found)
    else:
        assert inspect.getdoc(found)


def test_a_name_that_is_none_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = ansible_env.no_such_name
    assert set(dir(ansible_env)) >= ALL


@pytest.mark.parametrize("name", ["FakeEngine", "phase_event", "stats_event", "task_event", "unreachable_event"])
def test_names_for_other_peoples_tests(name):
    testing = importlib.import_module("ansible_env.testing")
    assert name in testing.__all__
    assert inspect.getdoc(getattr(testing, name))


def python(code: str) -> str:
    """Return what a fresh interpreter prints, with warnings being errors."""
    done = subprocess.run(
        [sys.executable, "-W", "error::SyntaxWarning", "-c", code], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_importing_is_quiet():
    assert python("from ansible_env import *; print(len(dir()))").strip().isdigit()


def test_what_ansibles_workers_import_brings_no_engine_and_no_model():
    found = python(
        "import sys, ansible_env.supervisor, ansible_env.supervisor.verdict, ansible_env.supervisor.report\n"
        "print([name for name in ('ansible_runner', 'pydantic', 'yaml', 'rich') if name in sys.modules])"
    )
    assert found == "[]\n"


# The tree of errors, as it is drawn


def drawn() -> dict[str, tuple[str | None, str | None]]:
    """Return for each error of the drawing its parent and its second base."""
    found: dict[str, tuple[str | None, str | None]] = {}
    above: list[str] = []
    text = (errors.__doc__ or "").split("\n\n")[1]
    for line in text.splitlines():
        match = re.match(r"^(?P<lead>[│├└─ ]*)(?P<name>[A-Z]\w+)(?P<rest>.*)$", line)
        assert match, line
        depth = len(match["lead"]) // 4
        more = re.search(r"\((\w+)\)$", match["rest"])
        found[match["name"]] = (above[depth - 1] if depth else None, more[1] if more else None)
        above[depth:] = [match["name"]]
    return found


def test_the_drawing_of_the_errors_is_true():
    public = {name: getattr(ansible_env, name) for name in ansible_env.__all__}
    classes = {name: each for name, each in public.items() if inspect.isclass(each) and issubclass(each, Exception)}
    tree = drawn()
    assert set(tree) == set(classes)
    for name, (parent, more) in tree.items():
        bases = [base.__name__ for base in classes[name].__bases__]
        assert bases == [parent or "Exception", *([more] if more else [])], name


def test_every_error_is_exported():
    own = {name for name, each in vars(errors).items() if getattr(each, "__module__", "") == errors.__name__}
    assert own >= {"ConfigError", "Problem"}
    assert own - set(ansible_env.__all__) == set()
    assert {*drawn(), "Problem"} <= set(ansible_env.__all__)


def test_a_config_error_tells_all_problems():
    error = errors.ConfigError([errors.Problem("one", key="a.b", hint="two?"), errors.Problem("three")])
    assert str(error) == "a.b: one (two?); three"
    assert [problem.message for problem in errors.ConfigError("x").problems] == ["x"]
    with pytest.raises(ValueError, match="x"):
        raise errors.InventoryError("x")
