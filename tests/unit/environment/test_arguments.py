"""The constructor of RemoteEnv and `from_file`: types, what is refused, and what is left."""

from __future__ import annotations

import inspect
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any

import pytest

from ansible_env import ConfigError, LifecycleError, RemoteEnv
from ansible_env.environment.arguments import EnvArguments
from ansible_env.testing import FakeEngine

CONFIG = {"name": "x", "run": "echo"}


def test_from_file_has_the_types_of_the_constructor() -> None:
    """So a misspelt or mistyped argument is an error of mypy, as in the constructor."""
    wanted = inspect.signature(RemoteEnv.__init__).parameters
    assert list(EnvArguments.__annotations__) == [name for name in wanted if name not in ("self", "config")]
    given = {name: getattr(hint, "__forward_arg__", hint) for name, hint in EnvArguments.__annotations__.items()}
    assert given == {name: wanted[name].annotation for name in given}
    assert typing.get_type_hints(EnvArguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hosts": "db1"}, r"hosts: must be a list of names, not text \(write hosts=\['db1'\]\)"),
        ({"hosts": [1]}, "hosts: a name must be text, not a number"),
        ({"hosts": 3}, "hosts: must be a list of names, not a number"),
        ({"logs": 5}, "logs: must be a path, not a number"),
        ({"inventory": 5}, "the inventory must be a path, a host list, a mapping, or a list of these"),
        ({"inventory": ["a,", 5]}, "the inventory must be a path"),
        ({"observers": [object()]}, "observers: must be objects with the methods of TrialObserver"),
        ({"observers": 7}, "observers: must be a list, not a number"),
    ],
)
def test_wrong_types_are_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RemoteEnv(config=CONFIG, engine=FakeEngine(), **arguments)


def test_open_and_close(tmp_path: Path) -> None:
    env = RemoteEnv(config=CONFIG, engine=FakeEngine(), logs=str(tmp_path))
    assert env.open() is env and env.logs == tmp_path
    with pytest.raises(LifecycleError, match="already entered"):
        env.open()
    assert env.setup() and env.run()[0].is_succeeded()
    env.close()
    env.close()
    with pytest.raises(LifecycleError, match="outside of the context"):
        env.setup()


def test_the_listener_hears_of_trials_on_single_hosts() -> None:
    class Listener:
        def __init__(self) -> None:
            self.said: list[str] = []

        def on_event(self, event: Any) -> None: ...

        def on_output(self, host: str, stream: str, text: str) -> None:
            self.said.append(f"{host} {stream} {text}")

    heard, other = Listener(), Listener()
    engine = FakeEngine(["a", "b"], lambda phase, host, task: {"stdout": "out", "stderr": "err"})
    with RemoteEnv(config=CONFIG, engine=engine, listener=heard) as env:
        for clone in (env.on(["a"]), env.on(["b"], listener=other)):
            with clone:
                clone.setup()
                clone.run()
    assert (heard.said, other.said) == (["a stdout out", "a stderr err"], ["b stdout out", "b stderr err"])


@pytest.mark.parametrize("end", ["", "del env; gc.collect(); assert not base.exists()"])
def test_nothing_is_left_of_an_environment_that_nobody_closed(end: str) -> None:
    program = f"""
import ansible_env, gc
env = ansible_env.RemoteEnv(config={CONFIG!r}, inventory="h1,h2")
assert env.hosts == ("h1", "h2")
base = env._target.engine._base
print(base)
assert base.exists()
{end}
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not Path(done.stdout.strip()).exists()
