"""pyinfra from the shell."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.contenders.setting import Setting


class Pyinfra:
    """One `pyinfra INVENTORY exec` for each phase."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        hosts = [
            (
                host["name"],
                {
                    "ssh_hostname": host["address"],
                    "ssh_port": host["port"],
                    "ssh_user": host["user"],
                    "ssh_key": host["key"],
                    "ssh_known_hosts_file": host["known_hosts"],
                },
            )
            for host in setting.hosts
        ]
        self._inventory = setting.scratch / "pyinfra_hosts.py"
        self._inventory.write_text(f"hosts = {hosts!r}\n")

    def phase(self) -> None:
        """Run the script on all."""
        done = subprocess.run(
            [
                Path(sys.executable).with_name("pyinfra"),
                "-y",
                self._inventory,
                "exec",
                "--",
                "\n".join(self._setting.script),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"pyinfra: {done.stdout[-500:]} {done.stderr[-1500:]}")
        text = done.stdout + done.stderr
        self._setting.check(re.findall(r"\]\s+(score=1\.0)", text))

    def close(self) -> None:
        """Nothing stays."""


def cli(setting: Setting) -> Pyinfra:
    """The command."""
    return Pyinfra(setting)
