# Copyright (c) the ansible_env maintainers
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes to internal parts of Ansible, which save time with short tasks and many hosts.

PATCHES is the table of all of them. A patch is left out for an ansible-core that it is not known for, or when a part
that it changes is not as it expects: phases are slower then, never wrong.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import importlib
import inspect
import time
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import ansible.constants as C  # type: ignore[import-untyped]  # noqa: N812 - Ansible's own name for it

from ansible_env.engine.forkserver.batches import Batches, Results, Waiting


@dataclass(frozen=True, slots=True)
class Patch:
    """A change to a part of Ansible, and what it relies on."""

    name: str
    targets: Mapping[str, Any]
    """`module:attribute` of each part that it changes: the names of a function's first parameters, or the object."""
    saves: str
    test: str
    """The test in tests/unit/engine/test_patches.py that covers it."""
    apply: Callable[[], None]
    first: tuple[int, int] = (2, 18)
    last: tuple[int, int] = (2, 21)
    """The versions of ansible-core that it is known for."""

    def mismatch(self, version: str) -> str:
        """Return why it cannot be used with this ansible-core; empty, if it can."""
        with contextlib.suppress(ValueError):
            major, minor = (int(number) for number in version.split(".")[:2])
            if self.first <= (major, minor) <= self.last:
                return next(filter(None, (_difference(*target) for target in self.targets.items())), "")
        return f"it is not known for ansible-core {version}"


def _difference(target: str, expected: Any) -> str:
    """Return how a part of Ansible differs from what a patch expects."""
    try:
        actual = getattr(*_place(target))
        same = actual is expected
        if isinstance(expected, tuple):
            same = tuple(inspect.signature(actual).parameters)[: len(expected)] == expected
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        return f"{target}: {error}"
    return "" if same else f"{target} is not as expected"


def _place(target: str) -> tuple[Any, str]:
    """Return the module or class that has a part of Ansible, and the part's name there."""
    module, _, path = target.partition(":")
    *outer, name = path.split(".")
    return functools.reduce(getattr, outer, importlib.import_module(module)), name


def uncopied(load: Any) -> Any:
    """Return `DataLoader.load_from_file` without a needless copy, which takes longer than reading."""

    def load_from_file(self: Any, file_name: str, cache: str = "all", unsafe: bool = False, **options: Any) -> Any:
        return load(self, file_name, cache=cache, unsafe=unsafe or cache == "none", **options)

    return load_from_file


def cleaned(clean: Any) -> Any:
    """Return `clean_facts` that does nothing without facts: it would look for the files of all connection plugins."""
    return lambda facts: clean(facts) if facts else {}


def skip_hidden(display: Any) -> None:
    """Have `Display` do nothing for what is not shown; it is called some 60 times for each host.

    ansible-runner's callback (display_callback/callback/awx_display.py) makes a context for every call.
    """
    debug, verbose = display.debug, display.verbose

    def shown_debug(self: Any, *args: Any, **kwargs: Any) -> None:
        if C.DEFAULT_DEBUG:
            debug(self, *args, **kwargs)

    def shown_verbose(self: Any, msg: str, host: str | None = None, caplevel: int = 2) -> None:
        if self.verbosity > caplevel or self.log_verbosity > caplevel:
            verbose(self, msg, host=host, caplevel=caplevel)

    display.debug, display.verbose = shown_debug, shown_verbose


def _replace(target: str, change: Callable[[Any], Any]) -> None:
    """Replace a part of Ansible by what `change` makes of it."""
    owner, name = _place(target)
    setattr(owner, name, change(getattr(owner, name)))


def _skip_hidden() -> None:
    """Patch `Display` after `TaskQueueManager.load_callbacks`: ansible-runner's callback is one of them."""
    queue: Any = importlib.import_module("ansible.executor.task_queue_manager").TaskQueueManager
    load_callbacks = queue.load_callbacks
    done = False

    def load(self: Any) -> None:
        nonlocal done
        load_callbacks(self)
        if not done:
            skip_hidden(importlib.import_module("ansible.utils.display").Display)
        done = True

    queue.load_callbacks = load


def _wait_for_results() -> None:
    if C.config.get_config_value_and_origin("DEFAULT_INTERNAL_POLL_INTERVAL")[1] != "default":
        return  # somebody has chosen an interval
    strategy: Any = importlib.import_module("ansible.plugins.strategy")
    strategy.deque = Results
    waiting = Waiting()
    _replace_sleep(lambda _: waiting.sleep)


def _fork_in_batches() -> None:
    worker: Any = importlib.import_module("ansible.executor.process.worker").WorkerProcess
    batches = Batches(worker)
    for name in ("start", "is_alive", "terminate"):
        setattr(worker, name, _method(getattr(batches, name)))
    linear: Any = importlib.import_module("ansible.plugins.strategy.linear").StrategyModule
    linear.run = batches.during(linear.run)

    def flushing(sleep: Callable[[float], None]) -> Callable[[float], None]:
        def flush_and_sleep(seconds: float) -> None:
            batches.flush()
            sleep(seconds)

        return flush_and_sleep

    _replace_sleep(flushing)


def _method(function: Any) -> Any:
    return lambda self: function(self)


def _replace_sleep(replacement: Callable[[Callable[[float], None]], Callable[[float], None]]) -> None:
    """Replace `time.sleep` as strategies see it."""
    strategy: Any = importlib.import_module("ansible.plugins.strategy")
    strategy.time = types.SimpleNamespace(**{**vars(strategy.time), "sleep": replacement(strategy.time.sleep)})


LOAD = "ansible.parsing.dataloader:DataLoader.load_from_file"
CLEAN = "ansible.vars.manager:clean_facts"
WORKER = "ansible.executor.process.worker:WorkerProcess"
PATCHES = (
    Patch(
        "load without a copy",
        {LOAD: ("self", "file_name", "cache", "unsafe")},
        saves="the copy of an inventory that was read: as long as to read it",
        test="test_what_is_cached_is_still_copied_and_nothing_else",
        apply=lambda: _replace(LOAD, uncopied),
    ),
    Patch(
        "clean no facts",
        {CLEAN: ("facts",)},
        saves="for each host without facts, a search for the files of all connection plugins",
        test="test_facts_are_cleaned_where_there_are_any",
        apply=lambda: _replace(CLEAN, cleaned),
    ),
    Patch(
        "skip hidden messages",
        {
            "ansible.executor.task_queue_manager:TaskQueueManager.load_callbacks": ("self",),
            "ansible.utils.display:Display.debug": ("self", "msg", "host"),
            "ansible.utils.display:Display.verbose": ("self", "msg", "host", "caplevel"),
        },
        saves="some 60 contexts of ansible-runner's callback for each host",
        test="test_what_is_not_shown_costs_no_context",
        apply=_skip_hidden,
    ),
    Patch(
        "wait for results",
        {"ansible.plugins.strategy:deque": collections.deque, "ansible.plugins.strategy:time": time},
        saves="a thousand checks for results in a second, and the wait for the next one",
        test="test_a_result_ends_the_wait_for_one",
        apply=_wait_for_results,
    ),
    Patch(
        "fork in batches",
        {
            f"{WORKER}.start": ("self",),
            f"{WORKER}.is_alive": ("self",),
            f"{WORKER}.terminate": ("self",),
            "ansible.plugins.strategy.linear:StrategyModule.run": ("self", "iterator", "play_context"),
            "ansible.plugins.strategy:time": time,
        },
        saves="two thirds of the memory pages that are copied between forks of workers",
        test="test_a_batch_is_forked_in_order_when_it_is_full_and_the_rest_when_somebody_waits",
        apply=_fork_in_batches,
    ),
)
"""In the order in which they are applied: batches are forked before the sleep that the one before has put there."""


def apply_patches(version: str) -> Iterator[str]:
    """Apply what fits this ansible-core, in this process and those forked from it; yield why a patch is left out."""
    for patch, mismatch in [(patch, patch.mismatch(version)) for patch in PATCHES]:
        if mismatch:
            yield f"{patch.name}: {mismatch}"
        else:
            patch.apply()
