"""Engines by name, also those of other distributions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ansible_env import ConfigError, RemoteEnv
from ansible_env.engine.container import ContainerEngine
from ansible_env.engine.registry import engine_names, make_engine
from ansible_env.engine.worker import WorkerEngine
from ansible_env.testing import FakeEngine

ENTRY_POINTS = """\
[ansible_env.engines]
fake = third_party:ThirdPartyEngine
absent = third_party:NoSuchEngine
missing = no_such_module:Engine
"""
MODULE = """\
from ansible_env.testing import FakeEngine

class ThirdPartyEngine(FakeEngine):
    def __init__(self):
        super().__init__(hosts=["of-a-third-party"])
"""


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution that registers engines, as pip installs it."""
    (tmp_path / "third_party.py").write_text(MODULE)
    info = tmp_path / "third_party-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: third-party\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_engines_of_this_distribution() -> None:
    assert engine_names() == ["warm", "cold", "session", "container", "worker"]
    assert isinstance(make_engine("worker", "ssh://near"), WorkerEngine)
    assert isinstance(make_engine("container", "quay.io/x"), ContainerEngine)


def test_an_engine_of_a_third_party(third_party: Path) -> None:
    assert "fake" in engine_names()
    assert isinstance(make_engine("fake"), FakeEngine)
    with RemoteEnv(config={"name": "x", "run": "true"}, engine="fake") as env:
        assert env.hosts == ("of-a-third-party",)


def test_the_command_takes_it(third_party: Path, tmp_path: Path) -> None:
    (tmp_path / "x.yml").write_text("name: x\nrun: 'true'\n")
    words = [sys.executable, "-m", "ansible_env", "run", "x.yml", "--engine", "fake", "-o", "json"]
    environment = {"PYTHONPATH": str(third_party), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert "of-a-third-party" in done.stdout, done.stderr


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("warmer", r"there is no engine 'warmer': warm, cold, session, .*worker, or an engine of your own"),
        ("worker", r"the engine 'worker' cannot be created: missing a required argument: 'target'"),
        ("absent", r"the engine 'absent' cannot be loaded from third_party:NoSuchEngine"),
        ("missing", r"the engine 'missing' cannot be loaded from no_such_module:Engine"),
    ],
)
def test_what_is_wrong_with_an_engine(third_party: Path, name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_engine(name)
