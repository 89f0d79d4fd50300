"""ansible_runner.run with one shell task, tuned as its documentation and Ansible's say."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import ansible_runner

from tests.benchmarks.contenders.setting import Setting

TUNED = {
    "ANSIBLE_PIPELINING": "True",
    "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=30m",
    "ANSIBLE_HOST_KEY_CHECKING": "True",
}


class Runner:
    """A fresh private directory for each run, as ansible-runner wants it."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._pool = ThreadPoolExecutor(setting.threads)
        self._playbook = [
            {
                "hosts": "all",
                "gather_facts": False,
                "tasks": [{"ansible.builtin.shell": "\n".join(setting.script)}],
            }
        ]

    def phase(self) -> None:
        """One run; with threads, one in each."""
        names = [host["name"] for host in self._setting.hosts]
        if self._setting.threads == 1:
            self._setting.check(self._run(None))
        else:
            limits = [names[i % len(names)] for i in range(self._setting.threads)]
            for outputs in self._pool.map(self._run, limits):
                if len(outputs) != 1:
                    raise RuntimeError("no output")

    def _run(self, limit: str | None) -> list[str]:
        outputs: list[str] = []

        def handler(event: dict[str, Any]) -> bool:
            if event["event"] == "runner_on_ok":
                outputs.append(event["event_data"]["res"]["stdout"])
            return True

        sockets = self._setting.scratch / "cp"
        with tempfile.TemporaryDirectory(dir=self._setting.scratch) as private:
            done = ansible_runner.run(
                private_data_dir=private,
                playbook=self._playbook,
                inventory=self._setting.inventory,
                limit=limit,
                forks=max(5, len(self._setting.hosts)),
                quiet=True,
                envvars={**TUNED, "ANSIBLE_SSH_CONTROL_PATH_DIR": str(sockets), "MAX_EVENT_RES": "1000000000"},
                event_handler=handler,
                cancel_callback=lambda: False,
            )
        if done.rc != 0:
            raise RuntimeError(f"ansible-runner: {done.status}")
        return outputs

    def close(self) -> None:
        """The shared connections end with the hosts."""


def shell(setting: Setting) -> Runner:
    """One `shell` task."""
    return Runner(setting)
