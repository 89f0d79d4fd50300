"""The process behind a set of hosts: it boots them, reboots them and takes them down.

It runs in a mount namespace of its own, so that no mount is visible on the machine. It ends when told
(SIGTERM), or when the process that owns the hosts has ended; nothing is left then. Started as
`python -m tests.hosts.supervisor DIR`, with DIR/spec.json saying what is wanted; it answers one line of
JSON on its stdout, and after that obeys requests on the Unix socket DIR/ctl.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.hosts import files, network, procs
from tests.hosts.machine import Machine, make_key
from tests.hosts.spec import HostsError, HostSpec, find

UP_TIMEOUT = 30.0
PR_SET_CHILD_SUBREAPER = 36


class Supervisor:
    """Owner of the machines and of their directory."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.spec: dict[str, Any] = json.loads((base / "spec.json").read_text())
        self.namespaces: bool = self.spec["namespaces"]
        self.selector = selectors.DefaultSelector()
        self.controller: subprocess.Popen[bytes] | None = None
        self.machines: dict[str, Machine] = {}
        self.watches: dict[str, int] = {}
        self.stopping = False

    # -- start ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Bring every host up, and write down where they are."""
        if self.namespaces:
            (self.base / "fs").mkdir()
            options = "mode=755,size=75%,nr_inodes=0"
            subprocess.run([find("mount"), "-t", "tmpfs", "-o", options, "hosts", str(self.base / "fs")], check=True)
        else:  # orphans of the sessions come to us, so that we can end them
            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        if self.spec["network"]:
            self._start_controller()
        make_key(self.base / "id_ed25519", "controller").wait()
        public_key = (self.base / "id_ed25519.pub").read_text()
        keys = []
        for index, entry in enumerate(self.spec["hosts"]):
            controller = self.controller.pid if self.controller else None
            machine = Machine(HostSpec(**entry), self.base, index, self.namespaces, controller)
            self.machines[machine.spec.name] = machine
            keys.append(machine.prepare(public_key, self.spec["sudo_password"]))
        for key in keys:
            key.wait()
        for machine in self.machines.values():
            machine.boot()
        self._wait_up()
        files.write_state(self.base, self._state())
        for machine in self.machines.values():
            self._watch(machine)

    def _start_controller(self) -> None:
        sleeper = [find("setpriv"), "--pdeathsig", "KILL", find("unshare"), "--net", "sleep", "infinity"]
        self.controller = subprocess.Popen(sleeper, stdin=subprocess.DEVNULL, start_new_session=True)
        own = Path("/proc/self/ns/net").readlink()
        while Path(f"/proc/{self.controller.pid}/ns/net").readlink() == own:
            time.sleep(0.002)
        network.build_controller(self.controller.pid)

    def _wait_up(self) -> None:
        """Until every sshd listens."""
        end = time.monotonic() + UP_TIMEOUT
        waiting = list(self.machines.values())
        while waiting and not self.stopping:
            for machine in waiting:
                if machine.unplugged:
                    machine.try_plug()
                if not machine.is_running or time.monotonic() > end:
                    raise HostsError(f"{machine.spec.name} did not come up: {machine.log_tail()}")
            waiting = [machine for machine in waiting if not machine.answers]
            time.sleep(0.005)

    def _state(self) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "start": procs.start_time(os.getpid()),
            "namespaces": self.namespaces,
            "controller": self.controller.pid if self.controller else None,
            "sudo_password": self.spec["sudo_password"],
            "hosts": [
                {**machine.spec.to_dict(), "address": machine.address, "port": machine.port}
                for machine in self.machines.values()
            ],
        }

    # -- life ----------------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until told to stop."""
        self._watch_signals()
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(self.base / "ctl"))
        server.listen(16)
        self.selector.register(server, selectors.EVENT_READ, self._serve)
        if self.spec["owner"]:
            self._watch_owner(*self.spec["owner"])
        say({"ok": True})
        while not self.stopping:
            for key, _ in self.selector.select(self._next_timer()):
                key.data(key.fileobj)
            now = time.monotonic()
            for machine in self.machines.values():
                if machine.boot_at is not None and now >= machine.boot_at:
                    self._boot(machine)
                if machine.unplugged:
                    machine.try_plug()

    def _next_timer(self) -> float | None:
        machines = self.machines.values()
        if any(machine.unplugged for machine in machines):
            return 0.01
        times = [machine.boot_at for machine in machines if machine.boot_at is not None]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _watch_signals(self) -> None:
        """A signal handler alone would not end a select() that is waiting."""
        reader, writer = socket.socketpair()
        writer.setblocking(False)
        signal.set_wakeup_fd(writer.fileno())
        self.selector.register(reader, selectors.EVENT_READ, lambda _: reader.recv(64))
        self._keep = (reader, writer)

    def _watch_owner(self, pid: int, start: int) -> None:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            self.stopping = True
            return
        self.selector.register(descriptor, selectors.EVENT_READ, lambda _: self.stop())
        if not procs.is_alive(pid, start):
            self.stopping = True

    def stop(self) -> None:
        """End the loop."""
        self.stopping = True

    def _boot(self, machine: Machine) -> None:
        machine.boot()
        self._watch(machine)

    def _watch(self, machine: Machine) -> None:
        assert machine.process is not None
        descriptor = os.pidfd_open(machine.process.pid)  # a child of ours: not reaped yet, so still its pid
        self.watches[machine.spec.name] = descriptor

        def ended(_: Any) -> None:
            if machine.process is None or machine.process.poll() is None:
                return  # a request in the same round of events has dealt with it
            self._unwatch(machine)
            machine.ended(self.spec["outage"])

        self.selector.register(descriptor, selectors.EVENT_READ, ended)

    def _unwatch(self, machine: Machine) -> None:
        descriptor = self.watches.pop(machine.spec.name, None)
        if descriptor is not None:
            self.selector.unregister(descriptor)
            os.close(descriptor)

    def _serve(self, server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.settimeout(5)
            try:
                request = json.loads(connection.makefile().readline())
                self._obey(self.machines[request["host"]], request["op"])
                answer: dict[str, Any] = {"ok": True}
            except (OSError, ValueError, KeyError, HostsError) as error:
                answer = {"ok": False, "error": f"{type(error).__name__}: {error}"}
            with contextlib.suppress(OSError):
                connection.sendall(json.dumps(answer).encode() + b"\n")

    def _obey(self, machine: Machine, operation: str) -> None:
        if operation == "power_on":
            if not machine.is_running:
                self._boot(machine)
        elif operation in ("power_off", "reboot"):
            self._unwatch(machine)
            machine.kill()
            if operation == "reboot":
                machine.boot_at = time.monotonic() + float(self.spec["outage"])
        else:
            raise HostsError(f"unknown operation {operation}")

    # -- end -----------------------------------------------------------------------------------------

    def clean(self) -> None:
        """End every process and remove every file."""
        for machine in self.machines.values():
            machine.strike()  # all first, then wait for each
        for machine in self.machines.values():
            machine.kill()
        if self.controller is not None:
            self.controller.kill()
            self.controller.wait()
        if not self.namespaces:
            procs.send(procs.descendants(os.getpid()), signal.SIGKILL)
        elif (self.base / "fs").is_mount():
            subprocess.run([find("umount"), "-l", str(self.base / "fs")], check=False)
        shutil.rmtree(self.base, ignore_errors=True)


def say(answer: dict[str, Any]) -> None:
    """Tell who started us how it went; they wait for this line and for the end of our stdout."""
    print(json.dumps(answer), flush=True)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def main(directory: str) -> int:
    """Run a supervisor until it is done."""
    supervisor = Supervisor(Path(directory))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: supervisor.stop())
    try:
        supervisor.start()
        supervisor.run()
    except Exception as error:  # whoever started us shows it
        say({"ok": False, "error": f"{type(error).__name__}: {error}"})
        return 1
    finally:
        supervisor.clean()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
