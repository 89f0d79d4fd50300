"""A controller in a process of its own, to be killed: `python -m tests.faults.controller JOB.json`.

Prints `{"kind": …}` of the one host's result, or the name of the exception that ended it.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from ansible_env import Engine, RemoteEnv, SessionEngine
from ansible_env.engine.registry import make_engine
from ansible_env.storage.journal import Journal
from tests.faults.bench import Bench
from tests.prepared import ready

ROOT = Path(__file__).resolve().parents[2]


class Controller:
    """Runs the phase `run` of a bench's environment elsewhere."""

    def __init__(self, bench: Bench, engine: str, **config: Any) -> None:
        self.journal = bench.directory / "trial"
        job = {
            "config": bench.config(**config),
            "engine": engine,
            "inventory": str(bench.hosts.inventory()) if bench.hosts else None,
            "limit": "h1" if bench.hosts else None,
            "journal": str(self.journal),
        }
        path = bench.directory / "job.json"
        path.write_text(json.dumps(job))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.controller", str(path)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> Controller:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def kill(self) -> None:
        """As `kill -9`."""
        self.process.kill()
        self.process.wait()

    def answer(self, timeout: float = 30) -> dict[str, Any]:
        """Wait for its end, and return what it said."""
        said, _ = self.process.communicate(timeout=timeout)
        answer: dict[str, Any] = json.loads(said.splitlines()[-1])
        return answer


def prepared(engine: Engine) -> Engine:
    """Have a session engine keep a process ready, as it does from the first phase on."""
    if isinstance(engine, SessionEngine):
        with RemoteEnv(config={"name": "first", "run": "true"}, engine=engine) as env:
            env.run_phase("run").raise_for_status()
        ready(engine)
    return engine


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    try:
        with (
            contextlib.closing(make_engine(job["engine"])) as engine,
            RemoteEnv(
                config=job["config"],
                engine=prepared(engine),
                inventory=job["inventory"],
                limit=job["limit"],
                journal=Journal(Path(job["journal"])),
            ) as env,
        ):
            env.setup()
            (result,) = env.run_phase("run").hosts.values()
            print(json.dumps(result.to_dict()))
    except BaseException as error:
        print(json.dumps({"raised": type(error).__name__}))


if __name__ == "__main__":
    main()
