"""What a call leaves on disk: for each trial its result, the playbooks that were run, and the full output."""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible_env.cli.options import Running
from ansible_env.cli.record import Trial, to_json, versions
from ansible_env.environment import RemoteEnv
from ansible_env.errors import ConfigError, Problem

CALL_FILE = "call.json"
ROOT_VARIABLE = "ANSIBLE_ENV_ARTIFACTS"


class Artifacts:
    """The directory of one call. Nobody else can read it: output may hold anything."""

    def __init__(self, name: str, chosen: Path | None) -> None:
        """Find the directory; nothing is made yet."""
        self.path = (chosen.expanduser() if chosen else _default(name)).absolute()

    def trial(self, number: int) -> Path:
        """Make the directory of a trial.

        Raises:
            ConfigError: it cannot be made, or holds another result.
        """
        path = self.path / f"trial-{number}"
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.mkdir(mode=0o700)
        except FileExistsError:
            where = path if path.exists() else self.path
            raise ConfigError(Problem("exists already: choose another directory for results", file=where)) from None
        except OSError as error:
            what = f"no directory for results can be made here: {error.strerror}"
            raise ConfigError(Problem(what, file=path, hint="--artifacts DIR")) from error
        return path

    def call(self, options: Running, phases: tuple[str, ...]) -> None:
        """Keep how the call was made, for `attach`."""
        _write(self.path / CALL_FILE, to_json(call_data(options, phases), indent=2) + "\n")

    @staticmethod
    def playbook(directory: Path, phase: str, env: RemoteEnv) -> None:
        """Keep the playbook that a phase is about to run."""
        _write(directory / f"{phase}.yml", env.render(phase))

    @staticmethod
    def result(directory: Path, trial: Trial) -> None:
        """Keep what came of a trial."""
        _write(
            directory / "result.json", to_json({**trial.to_dict(output=True), "versions": versions()}, indent=2) + "\n"
        )


def root() -> Path:
    """Return where results lie unless another place is chosen."""
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(os.environ.get(ROOT_VARIABLE) or Path(state) / "ansible-env").expanduser()


def call_data(options: Running, phases: tuple[str, ...]) -> dict[str, Any]:
    """Return what has to be known to call again, with absolute paths."""
    data = asdict(options)
    data["environment"] = options.environment.absolute()
    data["inventory"] = [
        source if "," in source else str(Path(source).expanduser().absolute()) for source in options.inventory or []
    ] or None
    for name in ("private_key", "become_password_file", "connection_password_file"):
        data[name] = data[name] and Path(data[name]).expanduser().absolute()
    for name in ("params_file", "vault_password_file"):
        data[name] = [path.expanduser().absolute() for path in data[name] or []]
    data["output"] = options.output.value
    return {"options": data, "phases": phases}


def _default(name: str) -> Path:
    return root() / _slug(name) / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def _slug(name: str) -> str:
    """Return a name that is one for a directory: no name leads out of the place where it belongs."""
    return re.sub(r"[^A-Za-z0-9_.]+", "-", name).strip("-.")[:80] or "environment"


def _write(path: Path, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(text)
