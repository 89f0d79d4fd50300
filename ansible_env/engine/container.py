"""An engine whose ansible-playbook runs in an execution environment: a container, by ansible-runner's isolation.

The image has Ansible, the collection and this library. The files that a job needs from this machine are mounted at the
same paths: the private directory and logs, and read-only the inventory, what
lies beside the environment file, ansible.cfg and ~/.ssh.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_env.common import get_logger
from ansible_env.engine.ansible_cfg import working_directory
from ansible_env.engine.arguments import limit_files, without_input
from ansible_env.engine.cold import ColdEngine
from ansible_env.engine.environ import is_among
from ansible_env.engine.inventory import Inventory
from ansible_env.engine.private import PrivateDir
from ansible_env.engine.protocol import Cancellation, Job, Listener, Options
from ansible_env.engine.run import Run
from ansible_env.engine.watch import Watch
from ansible_env.errors import ConfigError, EngineError, Problem
from ansible_env.supervisor.interrupts import CANCEL_SIGNAL

logger = get_logger(__name__)

PROGRAMS = ("podman", "docker")
OPTIONS = ("--network=host", "--security-opt=label=disable")
"""The container can reach what this machine can reach. Mounted files keep their SELinux labels."""
NOT_ITS = (
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH", "XDG_*", "ANSIBLE_HOME",
    "ANSIBLE_CALLBACK_PLUGINS", "DOCKER_*", "CONTAINER_HOST",
)  # fmt: skip
"""Variables that describe this machine, not Ansible."""
SOCKETS = "/runner/cp"
"""In the private directory, by its short name there; shared connections end with the container."""
QUERY_TIMEOUT = 60
"""Seconds for a command of the container engine."""


class ContainerEngine(ColdEngine):
    """Runs each job in a container of an image that has Ansible and ansible-env.

    `localhost` is the container. A key that is neither in ~/.ssh nor beside the inventory must be in `mounts`.
    """

    def __init__(self, image: str, program: str | None = None, mounts: Sequence[str] = ()) -> None:
        """Use an image, `podman` or `docker` (default: the first that is installed), and further mounts as for `-v`.

        Raises:
            ConfigError: this cannot be the name of an image, or the program is not known.
        """
        super().__init__()
        if not image.strip() or image.startswith("-"):
            raise ConfigError(f"--execution-environment {image!r}: is not the name of an image")
        if program is not None and program not in PROGRAMS:
            raise ConfigError(f"--container-engine {program}: must be one of {', '.join(PROGRAMS)}")
        self.image = image
        self._wanted = program
        self._program: str | None = None
        self._mounts = tuple(mounts)
        self._ready = threading.Lock()

    @property
    def program(self) -> str:
        """Return the program that runs containers. The first call fetches the image if it is missing.

        Raises:
            EngineError: no such program is installed, or it cannot get the image.
        """
        with self._ready:
            if self._program is None:
                self._program = find_program(self._wanted)
                fetch(self._program, self.image)
            return self._program

    def volumes(self, inventory: Inventory, options: Options, env: Mapping[str, str], *own: Path) -> list[str]:
        """Return the mounts: `own` for writing, the rest only for reading."""
        read = [path for source in inventory.sources if "," not in source for path in _with_variables(source, own)]
        read += [*options.extra_vars_files, *_named(options.arguments), *shared_directory(*own)]
        if "ANSIBLE_CONFIG" in env:
            read.append(Path(env["ANSIBLE_CONFIG"]).parent)
        read += [Path(word) for name, value in env.items() if name.startswith("ANSIBLE_") for word in value.split(":")]
        if socket := env.get("SSH_AUTH_SOCK"):
            own = (*own, Path(socket))
        keys = Path.home() / ".ssh"
        # Ansible's images have the one home or the other, and users often give the path of a key.
        homes = ["/home/runner/.ssh", "/root/.ssh", str(keys)] if keys.is_dir() else []
        writable = _outermost(own)
        readable = [p for p in _outermost(read) if not any(p == w or w in p.parents for w in writable)]
        mounts = [f"{path}:{path}" for path in writable] + [f"{path}:{path}:ro" for path in readable]
        mounts += [f"{keys}:{home}:ro" for home in dict.fromkeys(homes) if f"{home}:{home}:ro" not in mounts]
        return [*mounts, *self._mounts]

    def _new_run(self, job: Job, private: PrivateDir, listener: Listener | None, cancel: Cancellation) -> Run:
        return _ContainerRun(self, job, private, listener, cancel)

    def _command(self, program: str, env: Mapping[str, str]) -> tuple[str, Sequence[str]]:
        return without_input(program)  # the one in the image's PATH

    def _listing(
        self, inventory: Inventory, options: Options, env: Mapping[str, str], private: Path
    ) -> tuple[Sequence[str], Mapping[str, str]]:
        volumes = self.volumes(inventory, options, env, private)
        user = [f"--user={os.getuid()}"] if self.program == "docker" else []
        command = [self.program, "run", "--rm", *OPTIONS, *user, *(word for v in volumes for word in ("-v", v))]
        command += [word for name in env for word in ("--env", name)]
        command += [f"--workdir={path}" for path in shared_directory(private)]
        return [*command, self.image, "ansible"], {**os.environ, **env}

    def _environment(self, options: Options, run: str, private: PrivateDir, job: Job | None = None) -> dict[str, str]:
        env = super()._environment(options, run, private, job)
        if env.get("ANSIBLE_SSH_CONTROL_PATH_DIR") == str(self._directory() / "cp"):
            env["ANSIBLE_SSH_CONTROL_PATH_DIR"] = SOCKETS
        return {name: value for name, value in env.items() if not is_among(name, NOT_ITS)}


class _ContainerRun(Run):
    """One job in a separate container."""

    def __init__(
        self,
        engine: ContainerEngine,
        job: Job,
        private: PrivateDir,
        listener: Listener | None,
        cancel: Cancellation,
    ) -> None:
        super().__init__(job, private, listener, cancel)
        self._engine = engine
        self._container = Container(engine.program, f"ansible_runner_{self.id}")
        self._watch = _ContainerWatch(job, self.id, private, cancel, container=self._container)
        self._watch.follow(self._logs, self._listener)

    def end(self) -> None:
        self._container.kill("KILL")
        super().end()

    def _message(self, rc: int | None) -> str:
        message = super()._message(rc)
        if "couldn't resolve module/action 'ansible_env.bench." in message:
            message += f" (the image {self._engine.image} must have ansible-env, from its wheel)"
        return message

    def isolation(self, env: Mapping[str, str]) -> dict[str, Any]:
        job = self._job
        self._private.write("inventory", "all: {}\n")  # ansible-runner names it besides ours, there or not
        own = [path for path in (self._private.path, job.logs, job.results) if path is not None]
        volumes = self._engine.volumes(job.inventory, job.options, env, *own)
        beside = [path for path in (job.base_dir, *job.beside) if path is not None]
        beside += limit_files(job.limit)
        volumes += [v for path in _outermost(beside) if (v := f"{path}:{path}:ro") not in volumes]
        return {
            "ident": self.id,  # the container has its name from this
            "process_isolation": True,
            "process_isolation_executable": self._engine.program,
            "container_image": self._engine.image,
            "container_volume_mounts": volumes,
            "container_options": list(OPTIONS),
            "container_workdir": next(map(str, shared_directory(*own)), None),
        }


class Container:
    """A running container, to be signaled. Its processes have their own pids in it."""

    def __init__(self, program: str, name: str) -> None:
        self.name = name
        self._program = program

    def kill(self, number: str) -> None:
        """Send a signal to its first process, ansible-playbook or what the image has before that."""
        self._call("kill", "--signal", number, self.name)

    def signal(self, pids: Sequence[int], number: int) -> None:
        """Send a signal to some of its processes."""
        self._call("exec", self.name, "/bin/sh", "-c", f"kill -{number} {' '.join(map(str, pids))}")  # kill is built in

    def _call(self, *words: str) -> None:
        with contextlib.suppress(EngineError):  # it may have ended by itself
            _query(self._program, *words)


class _ContainerWatch(Watch):
    """The same three steps, each through the container engine."""

    def __init__(self, *arguments: Any, container: Container) -> None:
        super().__init__(*arguments)
        self._container = container

    def _ask(self, workers: Sequence[int]) -> None:
        if workers:
            self._container.signal(workers, int(CANCEL_SIGNAL))

    def _terminate(self) -> None:
        self._container.kill("TERM")

    def _kill(self) -> None:
        self._container.kill("KILL")
        super()._kill()


def shared_directory(*own: Path) -> list[Path]:
    """Return the current directory, which relative paths start from, unless the container has to write into it.

    This applies to home directories in Ansible's images, and to directories that contain one of `own`.
    """
    here = working_directory()
    homes = [Path.home(), Path("/root"), Path("/home/runner")]
    return [] if any(here == path or here in path.parents for path in (*own, *homes)) else [here]


def find_program(wanted: str | None) -> str:
    """Return podman or docker.

    Raises:
        EngineError: none is installed.
    """
    for program in (wanted,) if wanted else PROGRAMS:
        if shutil.which(program):
            return program
    names = wanted or " or ".join(PROGRAMS)
    raise EngineError(
        str(Problem(f"--execution-environment needs {names}, which is not in the PATH", hint="apt install podman"))
    )


def fetch(program: str, image: str) -> None:
    """Fetch an image if it is missing.

    Raises:
        EngineError: the container engine does not work, or cannot get the image.
    """
    if _query(program, "image", "inspect", "--format", "{{.Id}}", image).returncode == 0:
        return
    working = _query(program, "version")
    if working.returncode:
        raise EngineError(f"{program} does not work: {_last(working.stderr or working.stdout)}")
    logger.info("%s has no image %s yet: fetching it", program, image)
    done = _query(program, "pull", "--quiet", image, timeout=None)
    if done.returncode:
        hint = "build one with ansible-builder from examples/execution-environment.yml"
        raise EngineError(str(Problem(f"{program} cannot get the image {image}: {_last(done.stderr)}", hint=hint)))


def _query(program: str, *words: str, timeout: float | None = QUERY_TIMEOUT) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            [program, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError(f"{program} does not work: {error}") from error


def _last(text: str) -> str:
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no reason was given"


def _with_variables(source: str, own: Sequence[Path]) -> list[Path]:
    """Return an inventory's directory, with its variables, plugins and keys; of one like /tmp only its own."""
    path = Path(source)
    if path.is_dir():
        return [path]
    if not any(path.parent in other.parents for other in own):
        return [path.parent]
    return [path, path.parent / "group_vars", path.parent / "host_vars"]


def _named(arguments: Sequence[str]) -> list[Path]:
    """Return the files that arguments of Ansible name, as `--vault-id prod@/etc/vault-password`."""
    words = [word.rpartition("=")[2].rpartition("@")[2] for word in arguments]
    return [Path(word) for word in words if word.startswith("/")]


def _outermost(paths: Sequence[Path]) -> list[Path]:
    """Return those that exist and lie in none of the others."""
    there = {path for path in paths if path.is_absolute() and path != Path("/") and path.exists()}
    return sorted(path for path in there if not any(parent in there for parent in path.parents))
