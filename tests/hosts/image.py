"""The files of a host: what differs from the machine that lends its file system as the overlay's lower layer."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import secrets
import shutil
import stat
from functools import cache
from pathlib import Path

from tests.hosts.spec import PATH, HostSpec, find, sshd_knows

GUEST = Path(__file__).parent / "guest"
USERS = {"bench": 61001, "worker": 61002}
PYTHON_DIRS = ("usr/bin", "usr/local/bin", "usr/sbin", "usr/local/sbin", "bin", "sbin", "usr/libexec")
PYTHON_NAMES = ("python*", "pypy*", "platform-python*")
DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
POWER_COMMANDS = ("shutdown", "reboot", "halt", "poweroff")


@cache
def crypt(password: str) -> str:
    """SHA-512 hash for /etc/shadow, by the libcrypt that PAM uses (Python 3.13 has no crypt module)."""
    library = ctypes.CDLL(ctypes.util.find_library("crypt") or "libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    salt = f"$6${secrets.token_hex(6)}$".encode()
    return str(library.crypt(password.encode(), salt).decode())


def sshd_config(directory: str, *, address: str, port: int, own_keys: bool) -> str:
    """The server's configuration; `own_keys` names one key file instead of each user's own."""
    lines = [
        f"ListenAddress {address}:{port}",
        f"HostKey {directory}/host_key",
        f"PidFile {directory}/sshd.pid",
        "UsePAM no",
        "UseDNS no",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitRootLogin prohibit-password",
        "AcceptEnv LANG LC_*",
        "PrintMotd no",
        "MaxStartups 200",
        "MaxSessions 200",
        "LogLevel VERBOSE",
        "Subsystem sftp internal-sftp",
    ]
    if own_keys:
        lines += [f"AuthorizedKeysFile {directory}/authorized_keys", "StrictModes no"]
    if sshd_knows("PerSourcePenalties=no"):
        lines.append("PerSourcePenalties no")  # cut() would look like an attack
    return "\n".join(lines) + "\n"


class Image:
    """The directory `fs/NAME` of one host: upper layer of its root, and what outlives a reboot."""

    def __init__(self, root: Path, spec: HostSpec, public_key: str, sudo_password: str) -> None:
        self.root = root
        self.upper = root / "upper"
        self.spec = spec
        self.public_key = public_key
        self.sudo_password = sudo_password

    def build(self) -> None:
        """Write everything. Directories of the upper layer get the owner and mode of the real ones."""
        for name in ("upper", "work", "merged", "root", "home", "vartmp", "dev/pts", "dev/shm"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        (self.root / "vartmp").chmod(0o1777)
        self._accounts()
        self._devices()
        self._names()
        self._power()
        self._shell()
        if not self.spec.python:
            self._hide_python()

    def _file(self, path: str, text: str, mode: int = 0o644, group: int | None = None) -> None:
        file = self._directory(path) / Path(path).name
        file.write_text(text)
        file.chmod(mode)
        if group is not None:
            os.chown(file, 0, group)

    def _directory(self, path: str) -> Path:
        """The upper layer's directory of a path, made with the real one's mode."""
        current = self.upper
        for part in Path(path).parent.parts:
            current = current / part
            if not current.exists():
                current.mkdir()
                real = Path("/") / current.relative_to(self.upper)
                if real.exists():
                    shutil.copystat(real, current)
        return current

    def _accounts(self) -> None:
        login = "/bin/sh" if self.spec.sh == "busybox" else "/bin/bash"
        for name, root_line, line in (
            ("passwd", f"root:x:0:0:root:/root:{login}", "{u}:x:{i}:{i}::/home/{u}:" + login),
            ("group", "root:x:0:", "{u}:x:{i}:"),
            # `*` has no password but may log in with a key; `!` would be a locked account to sshd.
            ("shadow", "root:*:20000:0:99999:7:::", "{u}:{hash}:20000:0:99999:7:::"),
            ("gshadow", "root:*::", "{u}:!::"),
        ):
            real = Path("/etc") / name
            kept = [ln for ln in real.read_text().splitlines() if ln.split(":")[0] not in ("root", *USERS)]
            hashes = {"bench": crypt(self.sudo_password), "worker": "*"}
            added = [line.format(u=user, i=number, hash=hashes[user]) for user, number in USERS.items()]
            secret = "shadow" in name
            text = "\n".join([root_line, *kept, *added]) + "\n"
            group = real.stat().st_gid if secret else None
            self._file(f"etc/{name}", text, 0o640 if secret else 0o644, group)
        for user, number in USERS.items():
            home = self.root / "home" / user
            home.mkdir(mode=0o755, exist_ok=True)
            if user == "bench":
                self._authorize(home, number)
            os.chown(home, number, number)
        (self.root / "root").chmod(0o700)
        self._authorize(self.root / "root", 0)
        rule = {"nopasswd": "bench ALL=(ALL:ALL) NOPASSWD: ALL\n", "password": "bench ALL=(ALL:ALL) ALL\n"}
        sudoers = f'Defaults env_reset,use_pty,secure_path="{PATH}"\nroot ALL=(ALL:ALL) ALL\n'
        self._file("etc/sudoers", sudoers + rule.get(self.spec.sudo, ""), 0o440)

    def _authorize(self, home: Path, user: int) -> None:
        keys = home / ".ssh" / "authorized_keys"
        keys.parent.mkdir(mode=0o700, exist_ok=True)
        keys.write_text(self.public_key)
        keys.chmod(0o600)
        for path in (keys, keys.parent):
            os.chown(path, user, user)

    def _devices(self) -> None:
        dev = self.root / "dev"
        for name, numbers in DEVICES.items():
            os.mknod(dev / name, stat.S_IFCHR, os.makedev(*numbers))
            (dev / name).chmod(0o666)
        for name, target in {
            "ptmx": "pts/ptmx",
            "fd": "/proc/self/fd",
            "stdin": "fd/0",
            "stdout": "fd/1",
            "stderr": "fd/2",
        }.items():
            (dev / name).symlink_to(target)

    def _names(self) -> None:
        name = self.spec.name
        self._file("etc/hostname", f"{name}\n")
        self._file("etc/hosts", f"127.0.0.1 localhost {name}\n::1 localhost ip6-localhost\n")
        resolv = Path("/etc/resolv.conf")
        if resolv.exists():  # often a mount or a link into /run: the overlay would not show it
            self._file("etc/resolv.conf", resolv.read_text())

    def _power(self) -> None:
        self._file("usr/bin/systemctl", (GUEST / "power.sh").read_text(), 0o755)
        for command in POWER_COMMANDS:
            (self._directory(f"usr/sbin/{command}") / command).symlink_to("/usr/bin/systemctl")
        # Where /sbin/init is systemd, Ansible takes that for the one that starts services, running or not.
        self._file("usr/sbin/init", (GUEST / "init.sh").read_text(), 0o755)

    def _shell(self) -> None:
        sh = Path("/bin").resolve() / "sh"  # /usr/bin/sh on a merged /usr
        path = str(sh.relative_to("/"))
        (self._directory(path) / "sh").symlink_to(find(self.spec.sh))

    def _hide_python(self) -> None:
        for directory in PYTHON_DIRS:
            real = Path("/") / directory
            if real.is_symlink():
                continue  # /bin of a merged /usr
            for pattern in PYTHON_NAMES:
                for program in real.glob(pattern):
                    path = str(program.relative_to("/"))
                    # A character device 0:0 is overlayfs's way to say "deleted".
                    os.mknod(self._directory(path) / program.name, stat.S_IFCHR, os.makedev(0, 0))
