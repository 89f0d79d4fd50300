"""The supervisor's side of one host: boot it, notice its end, end it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.hosts import image, network, procs
from tests.hosts.spec import PATH, HostSpec, find

# Root inside a host still is root of this kernel: it must not set the clock or load modules.
BOUNDING_SET = "-sys_time,-sys_module,-sys_rawio"


@dataclass
class Machine:
    """One host as its supervisor has it."""

    spec: HostSpec
    base: Path
    index: int
    namespaces: bool
    controller: int | None
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    boot_at: float | None = None
    unplugged: bool = False
    boots: int = 0
    _reserved: socket.socket | None = field(default=None, repr=False)

    @property
    def dir(self) -> Path:
        return self.base / self.spec.name

    @property
    def address(self) -> str:
        return network.address(self.index) if self.controller else "127.0.0.1"

    def prepare(self, public_key: str, sudo_password: str) -> subprocess.Popen[bytes]:
        """Write the host's files; the process returned is making its host key."""
        self.dir.mkdir()
        if self.controller:
            self.port = 22
        else:
            self._reserve_port()
        directory = "/run/nshost" if self.namespaces else str(self.dir)
        address = "0.0.0.0" if self.controller else "127.0.0.1"
        config = image.sshd_config(directory, address=address, port=self.port, own_keys=not self.namespaces)
        (self.dir / "sshd_config").write_text(config)
        if self.namespaces:
            image.Image(self.base / "fs" / self.spec.name, self.spec, public_key, sudo_password).build()
        else:
            (self.dir / "authorized_keys").write_text(public_key)
        return make_key(self.dir / "host_key", self.spec.name)

    def _reserve_port(self) -> None:
        """Hold a free port for the host's whole life, whether or not its sshd is listening.

        Our socket is bound and never listens: with SO_REUSEADDR on both, sshd can bind and listen
        beside it, others get "address in use", and clients are refused while there is no sshd.
        """
        self._reserved = socket.socket()
        self._reserved.bind(("127.0.0.1", 0))
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.port = int(self._reserved.getsockname()[1])

    def boot(self) -> None:
        """Start the host; it is up when its sshd has written sshd.pid."""
        self.boot_at = None
        self.boots += 1
        for name in ("init.pid", "sshd.pid", "power"):
            (self.dir / name).unlink(missing_ok=True)
        # The hosts end with the supervisor, however that ends.
        command = [find("setpriv"), "--pdeathsig", "KILL"]
        env = {"PATH": PATH}
        if self.namespaces:
            if Path("/proc/self/ns/time").exists():  # /proc/uptime then counts from this boot; needs CAP_SYS_TIME
                uptime = _uptime()
                if self.boots > 1:  # the offset is in whole seconds, and a reboot must not look older than it is
                    time.sleep(1.01 - uptime % 1)
                    uptime = _uptime()
                command += [find("unshare"), "--time", "--boottime", str(-int(uptime)), find("setpriv")]
            command += ["--bounding-set", BOUNDING_SET]
            command += [find("unshare"), "--pid", "--mount", "--uts", "--ipc", "--fork", "--kill-child=KILL"]
            command += ["--net"] if self.controller else []
            command += ["/bin/sh", str(image.GUEST / "init.sh")]
            env |= {
                "NSHOST_NAME": self.spec.name,
                "NSHOST_DIR": str(self.dir),
                "NSHOST_FS": str(self.base / "fs" / self.spec.name),
                "NSHOST_IP": f"{self.address}/{network.PREFIX}" if self.controller else "",
            }
            self.unplugged = bool(self.controller)
        else:
            command += [find("sshd"), "-D", "-E", f"{self.dir}/sshd.log", "-f", f"{self.dir}/sshd_config"]
        with (self.dir / "console.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
            )
        if not self.namespaces:
            (self.dir / "init.pid").write_text(str(self.process.pid))

    def try_plug(self) -> None:
        """Connect the host's network once its pid 1 is known."""
        pid = read_pid(self.dir / "init.pid")
        if pid and self.controller:
            network.plug(self.controller, pid, f"v{self.index}b{self.boots}")
            self.unplugged = False

    @property
    def answers(self) -> bool:
        return (self.dir / "sshd.pid").exists()

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def ended(self, outage: float) -> None:
        """The process has gone: find out why, and plan the next boot when it was a reboot."""
        assert self.process is not None
        code = self.process.wait()
        power = self.dir / "power"
        wants_reboot = power.exists() and power.read_text().strip() == "reboot"
        # The reboot system call in a pid namespace ends its pid 1 with SIGHUP, a halt with SIGINT.
        if wants_reboot or code == -signal.SIGHUP:
            self.boot_at = time.monotonic() + outage
        self._clear()

    def strike(self) -> None:
        """Kill the host's pid 1, and with it everything in there; do not wait.

        Not `unshare`, its parent: that one then reaps pid 1 and ends by itself, when all are gone.
        """
        if self.process is not None and self.process.poll() is None:
            below = procs.children(self.process.pid) if self.namespaces else []
            procs.send(below or [self.process.pid], signal.SIGKILL)

    def kill(self) -> None:
        """Power off, hard."""
        self.boot_at = None
        self.strike()
        if self.process is not None:
            self.process.wait()
        self._clear()

    def _clear(self) -> None:
        self.process = None
        self.unplugged = False
        for name in ("init.pid", "sshd.pid"):
            (self.dir / name).unlink(missing_ok=True)

    def log_tail(self) -> str:
        """The last words, for an error message."""
        logs = [self.dir / name for name in ("console.log", "sshd.log")]
        text = "".join(log.read_text(errors="replace") for log in logs if log.exists())
        return "\n".join(text.splitlines()[-5:])


def make_key(path: Path, comment: str) -> subprocess.Popen[bytes]:
    """Start making a key pair."""
    return subprocess.Popen([find("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)])


def read_pid(path: Path) -> int | None:
    """The pid in a file, when there is one and it is alive."""
    try:
        pid = int(path.read_text())
        os.kill(pid, 0)
    except (OSError, ValueError):
        return None
    return pid if procs.start_time(pid) is not None else None


def _uptime() -> float:
    return float(Path("/proc/uptime").read_text().split()[0])
