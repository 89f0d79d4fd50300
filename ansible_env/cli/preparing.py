"""`prepare`: makes the session of a call from its options."""

from __future__ import annotations

import contextlib
import fnmatch
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from ansible_env.cli import ansible_call, console, tracing
from ansible_env.cli.ansible_call import ansible_options
from ansible_env.cli.artifacts import Artifacts, call_data
from ansible_env.cli.budgets import Budgets, open_budgets
from ansible_env.cli.exits import Exit, Interrupts
from ansible_env.cli.live import make_progress
from ansible_env.cli.options import Judged, Running
from ansible_env.cli.parameters import given_values
from ansible_env.cli.published import published
from ansible_env.cli.session import Session
from ansible_env.cli.writer import Writer
from ansible_env.config.fields import PHASES
from ansible_env.config.model import EnvironmentConfig
from ansible_env.config.text import nearest
from ansible_env.environment.remote_env import RemoteEnv
from ansible_env.errors import ConfigError, Problem
from ansible_env.report.formatting import some
from ansible_env.results.observer import TrialObserver
from ansible_env.storage.bundle.bundle_writer import BundleWriter
from ansible_env.storage.bundle.origin import Origin
from ansible_env.storage.store import Store
from ansible_env.storage.store_writer import StoreWriter


def run_session(options: Running, phases: tuple[str, ...] = PHASES, trials: int = 1) -> Exit:
    """Run trials of these phases and return the exit code.

    Raises:
        ConfigError: something that was given is wrong; no host has been touched.
    """
    with ExitStack() as stack:
        interrupts = stack.enter_context(Interrupts())
        return prepare(options, phases, trials, interrupts, stack).run()


def prepare(
    options: Running,
    phases: tuple[str, ...],
    trials: int,
    interrupts: Interrupts,
    stack: ExitStack,
    artifacts: Path | None = None,
) -> Session:
    """Check everything that can be checked without a host, and list the hosts.

    `artifacts` is the directory of an earlier call that is resumed.
    """
    config = EnvironmentConfig.load(options.environment)
    values = given_values(config, options.params or [], options.params_file or [])
    if not options.quiet:
        for problem in values.ignored:
            console.say_warning(str(problem))
    _check_phases(config, phases)
    progress = make_progress(
        sys.stderr,
        config,
        form=options.progress,
        quiet=options.quiet,
        verbosity=options.verbose,
        follow=options.follow or (),
    )
    stack.callback(progress.stop)
    stack.enter_context(tracing.exported())
    engine = stack.enter_context(contextlib.closing(ansible_call.make_engine(options)))
    cancel = threading.Event()
    env = RemoteEnv(
        config=config,
        global_config=values.globals,
        inventory=options.inventory,
        limit=options.limit,
        engine=engine,
        options=ansible_options(options),
        cancel=cancel,
    )
    stack.enter_context(env)
    env.assign(values.tunables, values.for_trial(0, trials)[1])
    check_followed(options.follow or (), env.hosts)
    call = call_data(options, phases) if artifacts is None else None
    place = Artifacts(env.experiment, artifacts or options.artifacts, call)
    budgets = open_budgets(config, options) if isinstance(options, Judged) and "run" in phases else Budgets()
    recorders: list[TrialObserver] = [BundleWriter(Origin.of(config))]
    if "run" in phases and not options.no_store:  # a setup or a teardown alone has no result
        recorders.append(StoreWriter(stack.enter_context(Store(options.store)), console.say_warning))
    recorders += published(options)
    writer = Writer(options.output, sys.stdout)
    return Session(
        env, values, phases, trials, progress, place, writer, interrupts, cancel, options.quiet, budgets, recorders
    )


def check_followed(patterns: Sequence[str], hosts: Sequence[str]) -> None:
    """Check that each pattern of `--follow` matches a host.

    Raises:
        ConfigError: a pattern matches none.
    """
    for pattern in patterns:
        if not fnmatch.filter(hosts, pattern):
            hint = nearest(pattern, hosts) or f"the hosts: {some(hosts)}"
            raise ConfigError(Problem("is none of the hosts", f"--follow {pattern}", hint=hint))


def _check_phases(config: EnvironmentConfig, phases: tuple[str, ...]) -> None:
    """Check that there is something to run. A setup may consist of waiting for the hosts."""
    if not any(getattr(config, phase) or (phase == "setup" and config.wait_boot) for phase in phases):
        raise ConfigError(f"{config.source}: the environment file has no {phases[0]!r}")
