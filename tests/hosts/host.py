"""One host, as a test sees it: run things, look inside, break it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tests.hosts import files, procs
from tests.hosts.machine import BOUNDING_SET, make_key, read_pid
from tests.hosts.spec import PATH, HostsError, HostSpec, NeedsRoot, find

if TYPE_CHECKING:
    from tests.hosts.fleet import Hosts

Completed = subprocess.CompletedProcess[str]


class Host:
    """A fake host. Every method works from any process that knows the directory of the set."""

    def __init__(self, fleet: Hosts, spec: HostSpec, address: str, port: int) -> None:
        self.fleet = fleet
        self.spec = spec
        self.address = address
        self.port = port

    def __repr__(self) -> str:
        return f"<Host {self.name} {self.address}:{self.port} {'up' if self.is_up else 'down'}>"

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def dir(self) -> Path:
        """Its state directory on this side (/run/nshost on the other)."""
        return self.fleet.dir / self.name

    # -- state ---------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """The pid of its pid 1, out here; raise `HostsError` when it is off."""
        pid = read_pid(self.dir / "init.pid")
        if pid is None:
            raise HostsError(f"{self.name} is off")
        return pid

    @property
    def is_up(self) -> bool:
        """Whether its sshd listens."""
        return self._listener() is not None

    @property
    def boots(self) -> int:
        """How many times it has booted."""
        self._needs_namespaces("boots")
        return int((self.dir / "boots").read_text())

    @property
    def boot_id(self) -> str:
        """The boot_id of the current (or last) boot."""
        self._needs_namespaces("boot_id")
        return (self.dir / "boot_id").read_text().strip()

    @property
    def sshd_log(self) -> str:
        """What its sshd has logged since the first boot."""
        log = self.dir / "sshd.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def path(self, path: str) -> Path:
        """A file of the host, to look at from here. Absolute symlinks in it lead to *our* files."""
        if not self.fleet.namespaces:
            return Path(path)
        return Path(f"/proc/{self.pid}/root", path.lstrip("/"))

    def processes(self, marker: str) -> list[procs.Process]:
        """Its processes whose command line or environment contains the marker."""
        return procs.matching(self._pids(), marker)

    # -- run -----------------------------------------------------------------------------------------

    def exec_command(self, command: str, *, user: str = "root") -> tuple[list[str], dict[str, str] | None]:
        """Argv and environment that run a shell command in the host without ssh."""
        if not self.fleet.namespaces:
            return ["/bin/sh", "-c", command], None
        enter = ["--mount", "--uts", "--ipc", "--pid", "--net", "--root", "--wd"]
        if Path("/proc/self/ns/time").exists():  # also for the sshd that accept() starts
            enter.append("--time")
        prefix = [find("nsenter"), "--target", str(self.pid), *enter]
        prefix += ["setpriv", "--bounding-set", BOUNDING_SET]
        if user != "root":
            prefix += ["--reuid", user, "--regid", user, "--init-groups"]
        home = "/root" if user == "root" else f"/home/{user}"
        env = {"PATH": PATH, "HOME": home, "USER": user}
        return [*prefix, "/bin/sh", "-c", f"cd; {command}"], env

    def exec(self, command: str, *, check: bool = True, timeout: float = 30, user: str = "root") -> Completed:
        """Run a shell command in the host without ssh (so it also works while ssh is broken)."""
        words, env = self.exec_command(command, user=user)
        return _run(words, check=check, timeout=timeout, env=env)

    def ssh_command(self, *options: str, user: str | None = None) -> list[str]:
        """The argv of an ssh client for this host; append the command."""
        login = ["-l", user or self.fleet.user]
        program = [*self.fleet.controller_prefix, find("ssh"), "-F", str(self.fleet.ssh_config)]
        return [*program, *login, *options, self.name]

    def ssh(self, command: str, *, user: str | None = None, check: bool = True, timeout: float = 30) -> Completed:
        """Run a command by ssh."""
        return _run([*self.ssh_command(user=user), "--", command], check=check, timeout=timeout)

    # -- faults --------------------------------------------------------------------------------------

    def cut(self) -> int:
        """Drop every connection at once; what the sessions started lives on. Return how many processes fell."""
        sessions = self._sessions()
        procs.send(sessions, signal.SIGKILL)
        wait_for(lambda: not any(procs.start_time(pid) for pid in sessions), "sessions to end")
        return len(sessions)

    def refuse(self) -> None:
        """Refuse new connections; those that exist stay."""
        listener = self._listener()
        if listener is None:
            return
        if not self.fleet.namespaces:  # orphans will not be found under a listener any more
            self._remember(self._sessions())
        procs.send([listener], signal.SIGKILL)
        wait_for(lambda: procs.start_time(listener) is None, "the listener to end")
        with contextlib.suppress(FileNotFoundError):
            (self.dir / "sshd.pid").unlink()

    def accept(self) -> None:
        """Accept connections again."""
        if self.is_up:
            return
        if self.fleet.namespaces:
            self.exec("exec /usr/sbin/sshd -E /run/nshost/sshd.log -f /run/nshost/sshd_config")
        else:
            self._request("power_on")
        self.wait_up()

    def configure_sshd(self, text: str) -> None:
        """Put lines before those of sshd's configuration, so that they take precedence, and drop every connection."""
        self.refuse()
        self.cut()
        path = self.dir / "sshd_config"
        path.write_text(f"{text}\n{path.read_text()}")
        self.accept()

    def freeze(self) -> None:
        """Stop sshd with all its sessions: connections hang, new ones get no answer."""
        procs.send(self._sshd(), signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on after `freeze`."""
        procs.send(self._sshd(), signal.SIGCONT)

    def reboot(self, *, wait: bool = True) -> None:
        """Hard reset: everything dies at once, the host boots after the outage."""
        self._needs_namespaces("reboot")
        self._request("reboot")
        if wait:
            self.wait_up()

    def power_off(self) -> None:
        """Pull the plug."""
        self._needs_namespaces("power_off")
        self._request("power_off")

    def power_on(self) -> None:
        """Boot a host that is off."""
        self._needs_namespaces("power_on")
        self._request("power_on")
        self.wait_up()

    def change_host_key(self, *, update_known_hosts: bool = False) -> None:
        """Give sshd a new host key. Clients object, unless known_hosts is updated as well."""
        for suffix in ("", ".pub"):
            (self.dir / f"host_key{suffix}").unlink()
        make_key(self.dir / "host_key", self.name).wait()
        self.refuse()
        self.accept()
        if update_known_hosts:
            files.write_known_hosts(self.fleet.dir, self.fleet.state)

    def wait_up(self, timeout: float = 20, *, boots: int = 0) -> None:
        """Wait until sshd answers with its banner; with `boots`, also until that many boots."""
        wait_for(lambda: self.is_up and (boots == 0 or self.boots >= boots), f"{self.name} to be up", timeout)
        if self.fleet.namespaces and self.fleet.controller_prefix:
            return  # its address cannot be reached from here; it does listen
        wait_for(self._has_banner, f"{self.name} to answer", timeout)

    # -- inside --------------------------------------------------------------------------------------

    def _has_banner(self) -> bool:
        try:
            with socket.create_connection((self.address, self.port), timeout=5) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def _needs_namespaces(self, what: str) -> None:
        if not self.fleet.namespaces:
            raise NeedsRoot(f"{what} needs hosts in namespaces: {self.fleet.why_plain}")

    def _pids(self) -> list[int]:
        if self.fleet.namespaces:
            return procs.in_namespace_of(self.pid)
        return procs.descendants(self.fleet.state["pid"])

    def _sshd(self) -> list[int]:
        if self.fleet.namespaces:
            return [pid for pid in self._pids() if procs.name_of(pid) in procs.SSHD_NAMES]
        listener = self._listener()
        below = procs.descendants(listener) if listener else []
        pids = {*([listener] if listener else []), *below, *self._remembered()}
        return [pid for pid in pids if procs.name_of(pid) in procs.SSHD_NAMES]

    def _sessions(self) -> list[int]:
        listener = self._listener()
        return [pid for pid in self._sshd() if pid != listener]

    def _listener(self) -> int | None:
        """The outer pid of the listening sshd."""
        try:
            number = int((self.dir / "sshd.pid").read_text())
            init = self.pid
        except (OSError, ValueError, HostsError):
            return None
        if not self.fleet.namespaces:
            return init
        for pid in procs.in_namespace_of(init):
            with contextlib.suppress(OSError):
                if procs.host_pid(pid) == number and procs.name_of(pid) in procs.SSHD_NAMES:
                    return pid
        return None

    def _remember(self, pids: list[int]) -> None:
        pairs = [(pid, procs.start_time(pid)) for pid in pids]
        (self.dir / "orphans.json").write_text(json.dumps(pairs))

    def _remembered(self) -> list[int]:
        try:
            pairs = json.loads((self.dir / "orphans.json").read_text())
        except (OSError, ValueError):
            return []
        return [pid for pid, start in pairs if start and procs.is_alive(pid, start)]

    def _request(self, operation: str) -> None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(30)
            connection.connect(str(self.fleet.dir / "ctl"))
            connection.sendall(json.dumps({"op": operation, "host": self.name}).encode() + b"\n")
            answer = json.loads(connection.makefile().readline())
        if not answer["ok"]:
            raise HostsError(f"{operation} {self.name}: {answer['error']}")


def _run(command: list[str], *, check: bool, timeout: float, env: dict[str, str] | None = None) -> Completed:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        check=False,
        env=env if env is not None else dict(os.environ),
    )
    if check and done.returncode:
        raise HostsError(f"{command[-1]!r} ended with {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return done


def wait_for(condition: Callable[[], bool], what: str, timeout: float = 10) -> None:
    """Wait until a condition holds; raise `HostsError` when that takes too long."""
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise HostsError(f"waited {timeout:g} s in vain for {what}")
        time.sleep(0.01)
