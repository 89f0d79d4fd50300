"""A call of a command that runs trials: its options, its directories, and how `attach` repeats it."""

from __future__ import annotations

import contextlib
import fnmatch
import json
import os
import shlex
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, fields
from importlib import import_module
from pathlib import Path
from typing import Any

from ansible_env.cli import ansible_call, console, tracing
from ansible_env.cli.budgets import Budgets, open_budgets, with_files, with_requirements, with_rules
from ansible_env.cli.exits import StopSignals
from ansible_env.cli.options import Display, Judged, Running
from ansible_env.cli.parameters import Values, given_values
from ansible_env.cli.trial_output import Writer
from ansible_env.common import pip_install
from ansible_env.config.model import EnvironmentConfig
from ansible_env.config.text import nearest
from ansible_env.config.times import parse_pause
from ansible_env.engine.ansible_cfg import working_directory
from ansible_env.environment.remote_env import RemoteEnv
from ansible_env.errors import ConfigError, Problem, StoreError
from ansible_env.report.formatting import plural, some
from ansible_env.report.trial_file import JUnitFile
from ansible_env.results.observer import TrialObserver
from ansible_env.results.trial import TrialRequest
from ansible_env.storage.bundle.bundle import BundleWriter
from ansible_env.storage.bundle.directories import CALL_FILE, new_call
from ansible_env.storage.bundle.files import Tolerant, make_private, to_json, write_private
from ansible_env.storage.bundle.origin import Origin
from ansible_env.storage.database.connection import without_password
from ansible_env.storage.store import Store
from ansible_env.storage.store_writer import StoreWriter
from ansible_env.trials.run_trial import HostFacts, attempt_name

_PATHS = ("environment", "private_key", "become_password_file", "connection_password_file")
_PATH_LISTS = ("params_file", "vault_password_file")
"""Options that are paths. The file of a call contains them as absolute paths."""


@dataclass(frozen=True)
class Call:
    """The environment of a call, and everything that records its trials."""

    options: Running
    phases: tuple[str, ...]
    directory: Path
    """Contains a directory for each trial. It is private, because output may contain anything."""
    values: Values
    env: RemoteEnv
    budgets: Budgets
    recorders: Sequence[TrialObserver]
    """Write the bundles, the store, and the files for other programs."""
    writer: Writer
    interrupts: StopSignals
    cancel: threading.Event
    facts: HostFacts = field(default_factory=HostFacts)

    def trial_directory(self, request: TrialRequest) -> Path:
        """Make and return the directory for one attempt at a trial. Raise ConfigError if that fails, or it exists."""
        path = self.directory / attempt_name(request)
        try:
            make_private(self.directory)
            path.mkdir(mode=0o700)
        except FileExistsError:
            where = path if path.exists() else self.directory
            raise ConfigError(Problem("exists already: choose another directory for results", file=where)) from None
        except OSError as error:
            raise _not_writable(path, error) from error
        return path

    def save(self, plan: Mapping[str, Any] | None = None, *, warn: bool = True) -> None:
        """Write the options into the directory of the call, for `attach`, and its plan, for `--resume`.

        Raise ConfigError if there can be no directory. `warn`: tell the user if the file cannot be written.
        """
        try:
            make_private(self.directory)
        except OSError as error:
            raise _not_writable(self.directory, error) from error
        report = console.say_warning if warn else lambda text: None
        with Tolerant("`attach` cannot resume a trial of this call", report)():
            write_private(self.directory / CALL_FILE, to_json({**self._saved(), "plan": plan}, indent=2) + "\n")

    def _saved(self) -> dict[str, Any]:
        """Return the data that is needed to repeat the call, with absolute paths."""
        data = asdict(self.options)
        data["inventory"] = list(self.env.inventory.sources) or None
        data |= {name: data[name] and _absolute(data[name]) for name in _PATHS}
        data |= {name: [_absolute(path) for path in data[name] or []] for name in _PATH_LISTS}
        data["store"] = self.options.store and without_password(self.options.store)
        return {"options": data, "phases": self.phases, "directory": str(working_directory())}

    def close(self) -> None:
        """Write the rest of the results, and show where they are."""
        self.writer.close()
        if not self.options.quiet:
            sys.stderr.write(f"results: {self.directory}\n")


def _pauses(options: Judged) -> dict[str, float]:
    """Return the waits that options set, by the key of the environment file.

    Raises:
        ConfigError: one is no time.
    """
    pauses = {}
    for name in ("settle", "cooldown", "splay", "wait_for_hosts"):
        if (text := getattr(options, name)) is not None:
            try:
                pauses[name] = parse_pause(text)
            except ConfigError as error:
                raise ConfigError(Problem(error.problems[0].message, f"--{name.replace('_', '-')}")) from None
    return pauses


def open_call(
    options: Running, phases: tuple[str, ...], stack: ExitStack, *, trials: int = 1, directory: Path | None = None
) -> Call:
    """Check everything that can be checked without a host, and list the hosts.

    `directory` is that of an earlier call that is resumed. The stack closes what the call opens.

    Raises:
        ConfigError: an option is wrong; no host has been touched.
    """
    interrupts = stack.enter_context(StopSignals())
    config = EnvironmentConfig.load(options.environment)
    if isinstance(options, Judged):
        config = with_requirements(with_rules(config, options.valid or []), options.require or [])
        config = with_files(config, options.collect or [])
        if options.stop_after is not None:
            config = config.model_copy(update={"stop_after": options.stop_after})
        config = config.model_copy(update=_pauses(options))
    values = given_values(config, options.params or [], options.params_file or [])
    for problem in values.ignored if not options.quiet else ():
        console.say_warning(str(problem))
    if not any(getattr(config, phase) or (phase == "setup" and config.wait_boot) for phase in phases):
        raise ConfigError(f"{config.source}: the environment file has no {phases[0]!r}")
    stack.enter_context(tracing.exported())
    engine = stack.enter_context(contextlib.closing(ansible_call.make_engine(options)))
    cancel = threading.Event()
    env = RemoteEnv(
        config=config,
        global_config=values.globals,
        inventory=options.inventory,
        limit=options.limit,
        engine=engine,
        options=ansible_call.ansible_options(options),
        cancel=cancel,
    )
    stack.enter_context(env)
    env.assign(values.tunables, values.for_trial(0, trials)[1])
    if not options.quiet:
        console.say_error(f"inventory: {env.inventory}")
    check_followed(options.follow or (), env.hosts)
    place = directory or options.artifacts
    place = (place.expanduser() if place else new_call(env.experiment)).absolute()
    budgets = open_budgets(config, options) if isinstance(options, Judged) and "run" in phases else Budgets()
    recorders = _recorders(options, config, phases, stack)
    env.once.values, env.once.observers = values.tunables, tuple(recorders[:1])  # the bundles
    env.once.lasts = "teardown" not in phases
    writer = Writer(options.output, sys.stdout)
    return Call(options, phases, place, values, env, budgets, recorders, writer, interrupts, cancel)


def _recorders(
    options: Running, config: EnvironmentConfig, phases: Sequence[str], stack: ExitStack
) -> list[TrialObserver]:
    recorders: list[TrialObserver] = [BundleWriter(Origin.of(config), console.say_warning)]
    if "run" in phases and not options.no_store:  # a setup or a teardown alone has no result
        try:
            recorders.append(StoreWriter(stack.enter_context(Store(options.store)), console.say_warning))
        except StoreError as error:  # the bundles have all of it
            console.say_warning(f"trials are not stored: {error}")
    if options.prometheus is not None:
        recorders.append(_prometheus_file(options.prometheus, console.say_warning))
    if options.junit is not None:
        recorders.append(JUnitFile(options.junit, console.say_warning))
    return recorders


def _prometheus_file(path: Path, report: Callable[[str], object]) -> TrialObserver:
    try:
        file: TrialObserver = import_module("ansible_env.report.prometheus").PrometheusFile(path, report)
    except ImportError as error:
        what = "needs a package that is not installed"
        raise ConfigError(Problem(what, "--prometheus", hint=pip_install("prometheus"))) from error
    return file


def check_followed(patterns: Sequence[str], hosts: Sequence[str]) -> None:
    """Raise ConfigError for a pattern of `--follow` that matches no host."""
    for pattern in patterns:
        if not fnmatch.filter(hosts, pattern):
            hint = nearest(pattern, hosts) or f"the hosts: {some(hosts)}"
            raise ConfigError(Problem("is not one of the hosts", f"--follow {pattern}", hint=hint))


def _not_writable(path: Path, error: OSError) -> ConfigError:
    what = f"no directory for results can be created here: {error.strerror}"
    return ConfigError(Problem(what, file=path, hint="--artifacts DIR"))


# The file of a call

_SHOWN = 8
"""So many commands are shown in a message."""


def attach_commands(directories: Sequence[Path]) -> list[str]:
    """Return the lines that say how to finish trials that nobody waits for any more."""
    commands = [f"  {console.PROGRAM} attach {shlex.quote(str(directory))}" for directory in directories[:_SHOWN]]
    more = len(directories) - len(commands)
    rest = [f"  and {plural(more, 'trial')} more in {directories[0].parent}"] if more else []
    return [f"to finish {'the trial' if len(directories) == 1 else 'the trials'}, teardown included:", *commands, *rest]


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


def read_call(path: Path, display: Display) -> tuple[Running, tuple[str, ...]]:
    """Return the options and the phases of a call from its directory. Options for the output are those of this call.

    The current directory becomes that of the call, because relative paths and ansible.cfg refer to it.

    Raises:
        ConfigError: the file of the call cannot be read.
    """
    path = path / CALL_FILE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        saved, phases = data["options"], tuple(data["phases"])
        options = _restored(saved, display)
        with contextlib.suppress(FileNotFoundError):
            os.chdir(data["directory"])
        return options, phases
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError(Problem(f"the options of the trial are not known: {error}", file=path)) from error


def _restored(saved: Mapping[str, Any], display: Display) -> Running:
    known = {field.name for field in fields(Judged)}
    values = {name: value for name, value in saved.items() if name in known}
    values |= {name: Path(values[name]) for name in _PATHS if values.get(name)}
    values |= {name: [Path(item) for item in values.get(name) or []] for name in _PATH_LISTS}
    shown = {field.name: getattr(display, field.name) for field in fields(Display)}
    values |= {name: _absolute(value) if isinstance(value, Path) else value for name, value in shown.items()}
    return Judged(**{**values, "artifacts": None})
