"""A set of hosts: start it, find it again, write an inventory for it, end it."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.hosts import files, network, procs
from tests.hosts.host import Host
from tests.hosts.inventory import inventory_dict, to_yaml
from tests.hosts.spec import HostsError, HostSpec, NeedsRoot, Shell, Sudo, check_programs, namespace_problem

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT = 60.0
# Control sockets of OpenSSH lie below the directory; a socket's path has at most 107 bytes.
LONGEST_DIR = 40


class Hosts:
    """A set of fake hosts; use it as a context manager, or call `up` and `down`.

    `n` is a number of equal hosts, or a list of `HostSpec`. With `detach` they outlive this process
    until `Hosts.attach(dir).down()`. Without root, or with `plain=True`, each host is only an sshd of
    the current user, and what needs more raises `NeedsRoot`.
    """

    def __init__(  # noqa: PLR0913 - each is an option of the test hosts
        self,
        n: int | Sequence[HostSpec] = 3,
        *,
        dir: str | Path | None = None,
        python: bool = True,
        sh: Shell = "dash",
        sudo: Sudo = "nopasswd",
        network: bool = False,
        outage: float = 1.0,
        detach: bool = False,
        plain: bool = False,
    ) -> None:
        if isinstance(n, int):
            n = [HostSpec(f"h{number}", python, sh, sudo) for number in range(1, n + 1)]
        self.specs = list(n)
        if not self.specs or len({spec.name for spec in self.specs}) < len(self.specs):
            raise ValueError("hosts need different names, and at least one host")
        self.why_plain = "plain=True" if plain else namespace_problem()
        self.network = network
        self.outage = outage
        self.detach = detach
        self.state: dict[str, Any] = {}
        self._given_dir = Path(dir) if dir is not None else None
        self._supervisor: subprocess.Popen[str] | None = None
        self._hosts: list[Host] = []

    @classmethod
    def attach(cls, dir: str | Path) -> Self:
        """Find a running set by its directory."""
        base = Path(dir).absolute()
        state = files.read_state(base)
        if state is None or not files.is_live(state):
            raise HostsError(f"no hosts are running in {base}")
        fields = ("name", "python", "sh", "sudo")
        specs = [HostSpec(**{field: entry[field] for field in fields}) for entry in state["hosts"]]
        hosts = cls(specs, detach=True, plain=not state["namespaces"])
        hosts._load(base, state)
        return hosts

    # -- life ----------------------------------------------------------------------------------------

    def up(self) -> Self:
        """Start the hosts; return when all of them answer."""
        self._check()
        base = self._make_dir()
        try:
            self._start(base)
        except BaseException:  # also Ctrl-C: nothing may be left
            self._end(base)
            raise
        return self

    def down(self) -> None:
        """End the hosts and remove their directory."""
        if self.state:
            self._end(self.dir)

    def __enter__(self) -> Self:
        return self.up()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def _check(self) -> None:
        if self.why_plain is not None:
            wanted = [f"{spec}" for spec in self.specs if not spec.is_plain] + ["network=True"] * self.network
            if wanted:
                raise NeedsRoot(f"{wanted[0]} needs hosts in namespaces: {self.why_plain}")
        check_programs(self.specs, namespaces=self.why_plain is None, network=self.network)

    def _make_dir(self) -> Path:
        temporary = Path(tempfile.gettempdir())
        if len(str(temporary)) > LONGEST_DIR - 20:
            temporary = Path("/tmp")  # macOS-like or CI temp dirs are too long for sockets
        files.clean_stale(temporary)
        if self._given_dir is None:
            return Path(tempfile.mkdtemp(prefix=files.PREFIX, dir=temporary))
        base = self._given_dir.absolute()
        if len(str(base)) > LONGEST_DIR:
            raise HostsError(f"{base}: choose a path of at most {LONGEST_DIR} bytes, sockets lie in there")
        if files.is_live(files.read_state(base)) or files.supervisors(base):
            raise HostsError(f"hosts are already running in {base}")
        if (base / "spec.json").exists():
            shutil.rmtree(base)  # ours, and dead
        try:
            base.mkdir(mode=0o700, parents=True)
        except FileExistsError:
            raise HostsError(f"{base} exists and is not ours: it would be deleted in the end") from None
        return base

    def _start(self, base: Path) -> None:
        me = (os.getpid(), procs.start_time(os.getpid()))
        spec = {
            "hosts": [spec.to_dict() for spec in self.specs],
            "namespaces": self.why_plain is None,
            "network": self.network,
            "outage": self.outage,
            "sudo_password": secrets.token_urlsafe(9),
            "maker": me,
            "owner": None if self.detach else me,
        }
        files.write(base / "spec.json", json.dumps(spec))
        command = [sys.executable, "-m", "tests.hosts.supervisor", str(base)]
        if self.why_plain is None:  # exec'd in place: the pid is the supervisor's
            command = ["unshare", "--mount", "--propagation", "private", *command]
        with (base / "supervisor.log").open("w") as log:
            self._supervisor = subprocess.Popen(
                command,
                cwd="/",
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,  # a Ctrl-C is for us; we end the supervisor
            )
        answer = self._first_answer(base)
        if not answer["ok"]:
            raise HostsError(answer["error"])
        state = files.read_state(base)
        assert state is not None
        self._load(base, state)

    def _first_answer(self, base: Path) -> dict[str, Any]:
        assert self._supervisor is not None
        assert self._supervisor.stdout is not None
        with self._supervisor.stdout as out:
            ready, _, _ = select.select([out], [], [], START_TIMEOUT)
            line = out.readline() if ready else ""
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        log = (base / "supervisor.log").read_text() if base.exists() else ""
        return {"ok": False, "error": f"the supervisor said nothing: {log.strip()}"}

    def _load(self, base: Path, state: dict[str, Any]) -> None:
        self.dir = base
        self.state = state
        self._hosts = [
            Host(self, spec, entry["address"], entry["port"])
            for spec, entry in zip(self.specs, state["hosts"], strict=True)
        ]

    def _end(self, base: Path) -> None:
        """End the supervisor, which ends the hosts and removes the directory."""
        if self._supervisor is not None:
            self._supervisor.terminate()
            try:
                self._supervisor.wait(20)
            except subprocess.TimeoutExpired:
                self._supervisor.kill()
                self._supervisor.wait()
            self._supervisor = None
        elif self.state and files.is_live(self.state):
            _end_process(self.state["pid"])
        self.state, self._hosts = {}, []
        shutil.rmtree(base, ignore_errors=True)

    # -- members -------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Host]:
        return iter(self._hosts)

    def __len__(self) -> int:
        return len(self._hosts)

    def __getitem__(self, key: int | str) -> Host:
        if isinstance(key, int):
            return self._hosts[key]
        for host in self._hosts:
            if host.name == key:
                return host
        raise KeyError(key)

    # -- where and who -------------------------------------------------------------------------------

    @property
    def namespaces(self) -> bool:
        """Whether these are hosts in namespaces (else plain sshd processes)."""
        return bool(self.state["namespaces"])

    @property
    def user(self) -> str:
        """Who logs in unless told otherwise."""
        return "root" if self.namespaces else getpass.getuser()

    @property
    def sudo_password(self) -> str:
        """The password of the user `bench`, for hosts with `sudo="password"`."""
        return str(self.state["sudo_password"])

    @property
    def key(self) -> Path:
        """The private key that root and bench accept."""
        return self.dir / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """The hosts' public keys."""
        return self.dir / "known_hosts"

    @property
    def ssh_config(self) -> Path:
        """For `ssh -F`, which then knows the hosts by name."""
        return self.dir / "ssh_config"

    @property
    def controller_prefix(self) -> list[str]:
        """What to put before a command that must reach the hosts; empty unless they have own networks."""
        controller = self.state["controller"]
        return network.enter(controller) if controller else []

    def inventory_dict(self, **options: Any) -> dict[str, Any]:
        """The inventory as data; see `inventory`."""
        return inventory_dict(self, **options)

    def inventory(
        self, *, user: str | None = None, become: bool = False, become_user: str | None = None, name: str | None = None
    ) -> Path:
        """Write a YAML inventory, with host key checking on, and return its path (new for each kind)."""
        parts = [user, "become" if become else None, become_user]
        name = name or "-".join(["inventory", *(part for part in parts if part)]) + ".yml"
        data = inventory_dict(self, user=user, become=become, become_user=become_user)
        files.write(self.dir / name, to_yaml(data))
        return self.dir / name


def _end_process(pid: int) -> None:
    """End a process that is not our child, and wait until it has gone."""
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            for number in (signal.SIGTERM, signal.SIGKILL):
                signal.pidfd_send_signal(descriptor, number)
                if select.select([descriptor], [], [], 20)[0]:
                    return
        finally:
            os.close(descriptor)
