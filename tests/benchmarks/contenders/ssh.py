"""Plain ssh with a shared connection: what the least could be from a shell."""

from __future__ import annotations

import subprocess

from tests.benchmarks.contenders.setting import Setting


class Ssh:
    """One ssh client for each host, all at once."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        (setting.scratch / "cm").mkdir(exist_ok=True)
        self._commands = [
            [
                *("ssh", "-T", "-p", str(host["port"]), "-i", host["key"], "-o", "IdentitiesOnly=yes"),
                *("-o", f"UserKnownHostsFile={host['known_hosts']}", "-o", "ControlMaster=auto"),
                *("-o", f"ControlPath={setting.scratch}/cm/{host['port']}", "-o", "ControlPersist=30m"),
                *(f"{host['user']}@{host['address']}", "/bin/bash", "-s"),
            ]
            for host in setting.hosts
        ]

    def phase(self) -> None:
        """Run the script on all."""
        script = "\n".join(self._setting.script).encode()
        started = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            for command in self._commands
        ]
        for process in started:
            assert process.stdin is not None
            process.stdin.write(script)
            process.stdin.close()
            process.stdin = None
        self._setting.check([process.communicate()[0].decode() for process in started])

    def close(self) -> None:
        """End the shared connections."""
        for command in self._commands:
            subprocess.run([*command[:-2], "-O", "exit"], capture_output=True, check=False)


def master(setting: Setting) -> Ssh:
    """With ControlMaster."""
    return Ssh(setting)
