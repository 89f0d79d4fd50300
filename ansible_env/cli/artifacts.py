"""What a call leaves on disk: how it was made, and the bundle of each trial."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible_env.cli.options import Running
from ansible_env.environment.remote_env import RemoteEnv
from ansible_env.errors import ConfigError, Problem
from ansible_env.storage.bundle.bundle import Bundle
from ansible_env.storage.bundle.files import to_json, write_private
from ansible_env.storage.bundle.origin import Origin
from ansible_env.storage.bundle.place import CALL_FILE, new_call
from ansible_env.storage.database.connection import without_password


class Artifacts:
    """The directory of one call. Nobody else can read it: output may hold anything."""

    def __init__(self, env: RemoteEnv, chosen: Path | None) -> None:
        """Find the directory; nothing is made yet."""
        self._origin = Origin.of(env.config)
        self.path = (chosen.expanduser() if chosen else new_call(experiment_of(env))).absolute()

    def begin(self) -> None:
        """Make the directory of the call.

        Raises:
            ConfigError: it cannot be made.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _not_here(self.path, error) from error

    def trial(self, number: int, env: RemoteEnv, attempt: int = 1) -> Bundle:
        """Make the directory of a trial, whose parameters the environment has by now.

        Raises:
            ConfigError: it cannot be made, or holds another result.
        """
        path = self.path / (f"trial-{number}" + (f"-attempt-{attempt}" if attempt > 1 else ""))
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.mkdir(mode=0o700)
            return Bundle.create(path, self._origin, experiment=experiment_of(env), number=number, params=env.params)
        except FileExistsError:
            where = path if path.exists() else self.path
            raise ConfigError(Problem("exists already: choose another directory for results", file=where)) from None
        except OSError as error:
            raise _not_here(path, error) from error

    def call(self, options: Running, phases: tuple[str, ...]) -> None:
        """Keep how the call was made, for `attach`."""
        write_private(self.path / CALL_FILE, to_json(call_data(options, phases), indent=2) + "\n")


def _not_here(path: Path, error: OSError) -> ConfigError:
    what = f"no directory for results can be made here: {error.strerror}"
    return ConfigError(Problem(what, file=path, hint="--artifacts DIR"))


def experiment_of(env: RemoteEnv) -> str:
    """Return the name under which the trials of an environment are kept."""
    return str(env.params.get("experiment_id") or env.name)


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
    data["store"] = options.store and without_password(options.store)
    return {"options": data, "phases": phases}
