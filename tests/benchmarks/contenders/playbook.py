"""ansible-playbook from the shell: as people write it first, tuned, and tuned with Mitogen."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.contenders.setting import Setting


class Playbook:
    """One ansible-playbook for each phase."""

    def __init__(self, setting: Setting, *, tuned: bool, strategy: str | None = None) -> None:
        self._setting = setting
        lines = ["\n".join(setting.script)] if tuned else setting.script
        tasks = "".join(f"    - ansible.builtin.shell: |\n{_indented(line)}" for line in lines)
        facts = "  gather_facts: false\n" if tuned else ""
        self._file = setting.scratch / "playbook.yml"
        self._file.write_text(f"- hosts: all\n{facts}  tasks:\n{tasks}")
        self._env = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_SSH_CONTROL_PATH_DIR": str(setting.scratch / "cp")}
        if tuned:
            self._env |= {
                "ANSIBLE_PIPELINING": "True",
                "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=30m",
                "ANSIBLE_FORKS": str(max(5, len(setting.hosts))),
            }
        if strategy:
            package = importlib.util.find_spec("ansible_mitogen")
            if package is None or package.origin is None:
                raise RuntimeError("mitogen is not installed")
            path = Path(package.origin).parent / "plugins" / "strategy"
            self._env |= {"ANSIBLE_STRATEGY": strategy, "ANSIBLE_STRATEGY_PLUGINS": str(path)}

    def phase(self) -> None:
        """Run it; the output of a task shows with -v."""
        done = subprocess.run(
            [Path(sys.executable).with_name("ansible-playbook"), "-v", "-i", self._setting.inventory, self._file],
            env=self._env,
            capture_output=True,
            text=True,
            check=False,
        )
        outputs = re.findall(r'"stdout": "(score=1.0)"', done.stdout)
        if done.returncode != 0:
            raise RuntimeError(f"ansible-playbook: {done.stdout[-500:]} {done.stderr[-500:]}")
        self._setting.check(outputs)

    def close(self) -> None:
        """The shared connections end with the hosts."""


def naive(setting: Setting) -> Playbook:
    """Facts, a task for each line, nothing configured."""
    return Playbook(setting, tuned=False)


def shell(setting: Setting) -> Playbook:
    """One `shell` task, no facts, pipelining, forks, connections that last."""
    return Playbook(setting, tuned=True)


def mitogen(setting: Setting) -> Playbook:
    """The same with Mitogen's strategy."""
    return Playbook(setting, tuned=True, strategy="mitogen_linear")


def _indented(text: str) -> str:
    return "".join(f"        {line}\n" for line in text.splitlines())
