"""`Artifacts`: the directory of one call, with a directory for each trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible_env.cli.options import Running
from ansible_env.errors import ConfigError, Problem
from ansible_env.results.trial import TrialRequest
from ansible_env.storage.bundle.directories import CALL_FILE, new_call
from ansible_env.storage.bundle.files import to_json, write_private
from ansible_env.storage.database.connection import without_password
from ansible_env.trials.run_trial import attempt_name


class Artifacts:
    """The directory of one call. It is private: output may hold anything."""

    def __init__(self, experiment: str, chosen: Path | None, call: Mapping[str, Any] | None) -> None:
        """Take the chosen directory, or select a new one, and what `attach` must know of the call; make nothing yet."""
        self.path = (chosen.expanduser() if chosen else new_call(experiment)).absolute()
        self._call = call

    def trial(self, request: TrialRequest) -> Path:
        """Make and return the directory for one attempt at a trial.

        Raises:
            ConfigError: it cannot be made, or exists.
        """
        path = self.path / attempt_name(request)
        try:
            self._make()
            path.mkdir(mode=0o700)
        except FileExistsError:
            where = path if path.exists() else self.path
            raise ConfigError(Problem("exists already: choose another directory for results", file=where)) from None
        except OSError as error:
            raise _not_here(path, error) from error
        return path

    def write_call(self) -> None:
        """Write how the call was made, for `attach`.

        Raises:
            ConfigError: the directory of the call cannot be made.
        """
        try:
            self._make()
        except OSError as error:
            raise _not_here(self.path, error) from error
        if self._call is not None:
            write_private(self.path / CALL_FILE, to_json(self._call, indent=2) + "\n")

    def _make(self) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)


def _not_here(path: Path, error: OSError) -> ConfigError:
    what = f"no directory for results can be made here: {error.strerror}"
    return ConfigError(Problem(what, file=path, hint="--artifacts DIR"))


def call_data(options: Running, phases: tuple[str, ...]) -> dict[str, Any]:
    """Return what must be known to repeat a call, with absolute paths."""
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
