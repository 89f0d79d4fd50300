"""ansible_env through its Python API, with each of its engines."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible_env import Engine, RemoteEnv, WarmEngine
from tests.benchmarks.contenders.setting import Setting


class Ours:
    """`RemoteEnv.run_phase`."""

    def __init__(self, setting: Setting, engine: Any) -> None:
        self._setting = setting
        self._envs = [self._env(engine, limit) for limit in self._limits()]
        self._pool = ThreadPoolExecutor(setting.threads)

    def _limits(self) -> list[str | None]:
        names = [host["name"] for host in self._setting.hosts]
        return [None] if self._setting.threads == 1 else [names[i % len(names)] for i in range(self._setting.threads)]

    def _env(self, engine: Any, limit: str | None) -> RemoteEnv:
        config = {
            "name": "bench",
            "run": self._setting.script,
            "results_stdout_pattern": r"^(score)=([0-9.]+)$",
            "forks": max(5, len(self._setting.hosts)),
        }
        env = RemoteEnv(config=config, inventory=self._setting.inventory, limit=limit, engine=engine)
        return env.__enter__()

    def phase(self) -> None:
        """One phase; with threads, one in each."""
        for result in self._pool.map(lambda env: env.run_phase("run"), self._envs):
            result.raise_for_status()
            if any(host.metrics != {"score": 1.0} for host in result.hosts.values()):
                raise RuntimeError(f"wrong metrics: {result}")

    def close(self) -> None:
        """End it."""
        for env in self._envs:
            env.__exit__(None, None, None)


def warm(setting: Setting) -> Ours:
    """The default engine."""
    return Ours(setting, "warm")


def warm_shared(setting: Setting) -> Ours:
    """Environments in threads that share one engine."""
    engine: Engine = WarmEngine()
    return Ours(setting, engine)


def session(setting: Setting) -> Ours:
    """The engine that forks before a phase comes."""
    return Ours(setting, "session")


def cold(setting: Setting) -> Ours:
    """The plain engine."""
    return Ours(setting, "cold")
