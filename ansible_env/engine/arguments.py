"""The arguments of Ansible's programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible_env.engine.private import PrivateDir
from ansible_env.engine.protocol import Job, Options
from ansible_env.playbook.scripts import SECRETS_VAR

MAX_FORKS = 50
_WITHOUT_INPUT = """\
! command -v python3 >/dev/null || exec python3 -c '
import fcntl, os, signal, sys, termios
signal.signal(signal.SIGHUP, signal.SIG_IGN)
try:
    fcntl.ioctl(0, termios.TIOCNOTTY)
except OSError:
    pass
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
os.execvp(sys.argv[1], sys.argv[1:])' "$0" "$@"
exec "$0" "$@" </dev/null"""


def playbook_arguments(job: Job, sources: Iterable[str], variables: Iterable[str | Path]) -> list[str]:
    """Return the arguments of ansible-playbook, with inventory sources and variable files as Ansible sees them."""
    options = job.options
    arguments = inventory_arguments(sources)
    arguments += [f"--limit={job.limit}"] if job.limit else []
    arguments += ["--forks", str(options.forks or min(max(len(job.hosts), 5), MAX_FORKS))]
    arguments += [word for path in variables for word in ("-e", f"@{path}")]
    arguments += ["--check"] * options.check + ["--diff"] * options.diff
    arguments += [f"-{'v' * options.verbosity}"] if options.verbosity else []
    return [*arguments, *options.arguments]


def without_input(program: str) -> tuple[str, list[str]]:
    """Return a command that runs a program with nothing to read, on a terminal of another program.

    Where there is a Python, it gives up the controlling terminal, too: before ansible-core 2.19, ssh would ask there.
    """
    return "/bin/sh", ["-c", _WITHOUT_INPUT, program]


def limit_files(limit: str | None) -> list[Path]:
    """Return the files that a limit names, as `@FILE`."""
    return [Path(part[1:]).expanduser().absolute() for part in (limit or "").split(",") if part.startswith("@")]


def inventory_arguments(sources: Iterable[str]) -> list[str]:
    """Return an option `-i` for each inventory source."""
    return [word for source in sources for word in ("-i", source)]


def vault_arguments(options: Options) -> list[str]:
    """Return the arguments for ansible-playbook that are needed to read an inventory as well."""
    selected: list[str] = []
    names = ("--vault-id", "--vault-password-file", "--vault-pass-file")
    arguments = iter(options.arguments)
    for argument in arguments:
        if argument in names:
            selected += [argument, next(arguments, "")]
        elif argument.startswith(tuple(f"{name}=" for name in names)):
            selected.append(argument)
    return selected


def write_variables(job: Job, private: PrivateDir) -> list[Path]:
    """Write the job's extra variables and secrets to files that only their owner can read, and return the files."""
    files = {
        "extra_vars": job.options.extra_vars,
        "secrets": {SECRETS_VAR: marked_unsafe(job.secrets)} if job.secrets else {},
    }
    return [private.write_variables(name, values) for name, values in files.items() if values]


def write_passwords(options: Options, private: PrivateDir) -> dict[str, Path]:
    """Write the passwords to files that only their owner can read, and return the files by option."""
    passwords = {"connection": options.connection_password, "become": options.become_password}
    return {
        f"--{name}-password-file": private.write(f"env/{name}_password", password)
        for name, password in passwords.items()
        if password
    }


def marked_unsafe(value: Any) -> Any:
    """Mark each string in JSON data as unsafe for templates (ansible/parsing/ajson.py)."""
    if isinstance(value, Mapping):
        return {key: marked_unsafe(item) for key, item in value.items()}
    return {"__ansible_unsafe": str(value)}
