"""What all commands share: errors, logging, and the engine, which tests replace."""

from __future__ import annotations

import contextlib
import logging
import sys
import traceback
from collections.abc import Iterator

import typer
from rich.console import Console

from ansible_env.cli.exits import Exit
from ansible_env.cli.interrupts import StopWaiting
from ansible_env.cli.options import Common, Place
from ansible_env.cli.screen import PROGRAM, say
from ansible_env.cli.text import visible
from ansible_env.engine.container import ContainerEngine
from ansible_env.engine.protocol import Engine
from ansible_env.engine.worker import WorkerEngine
from ansible_env.environment.remote_env import ENGINES
from ansible_env.errors import AnsibleEnvError, ConfigError, Problem


def make_engine(place: Place | None = None) -> Engine:
    """Return the engine that runs the playbooks: here, at a worker, or in a container.

    Raises:
        ConfigError: the worker is none that can be reached, or two places are asked for.
    """
    place = place or Place()
    image, worker = place.execution_environment, place.worker
    if image is None and (place.container_engine or place.container_mount):
        raise ConfigError("--container-engine and --container-mount go with --execution-environment")
    if image is None:
        return WorkerEngine(worker) if worker else ENGINES[place.engine]()
    if worker:
        raise ConfigError("--worker and --execution-environment: Ansible can run in one place only")
    return ContainerEngine(image, place.container_engine, place.container_mount or ())


def errors_console() -> Console:
    """Return the console for people: stderr, where nothing that a host says is read as markup."""
    return Console(file=sys.stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)


@contextlib.contextmanager
def guarded(options: Common) -> Iterator[None]:
    """Turn errors into a line each and an exit code, and show what the library logs."""
    _set_up_logging(options.verbose)
    try:
        yield
    except ConfigError as error:
        _say(error, options)
        raise typer.Exit(Exit.USAGE) from None
    except AnsibleEnvError as error:
        _say(error, options)
        raise typer.Exit(Exit.FAILED) from None
    except (StopWaiting, KeyboardInterrupt):
        say_error("canceled")
        raise typer.Exit(Exit.CANCELED) from None


def say_error(text: str) -> None:
    """Print a line about what is wrong."""
    say(f"{PROGRAM}: {visible(text)}")


def say_problem(problem: Problem | str) -> None:
    """Print a line about an error."""
    say_error(f"error: {' '.join(str(problem).split())}")


def _say(error: AnsibleEnvError, options: Common) -> None:
    if options.debug:
        sys.stderr.write("".join(traceback.format_exception(error)))
    for problem in error.problems if isinstance(error, ConfigError) else [str(error)]:
        say_problem(problem)


def _set_up_logging(verbosity: int) -> None:
    logger = logging.getLogger("ansible_env")
    handler = _Handler()
    handler.setFormatter(_Formatter(f"{PROGRAM}: %(levelname)s: %(about)s%(message)s"))
    for former in [h for h in logger.handlers if getattr(h, "of_the_command", False)]:
        logger.removeHandler(former)
    handler.of_the_command = True  # type: ignore[attr-defined]
    logger.addHandler(handler)
    logger.setLevel(logging.INFO if verbosity else logging.WARNING)


class _Handler(logging.Handler):
    """Shows what the library logs."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            say(self.format(record))
        except Exception:
            self.handleError(record)


class _Formatter(logging.Formatter):
    """A log message may quote a host."""

    def format(self, record: logging.LogRecord) -> str:
        about = [f"trial {trial}" if (trial := getattr(record, "trial", "")) else "", getattr(record, "host", "")]
        record.about = "".join(f"{text}: " for text in about if text)
        return "\n".join(map(visible, super().format(record).split("\n")))
