"""Fixtures for everybody: real OpenSSH servers to run against (see `tests.hosts`)."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from typing import Any

import hypothesis
import pytest

from tests.hosts import Host, Hosts, MissingProgram, NeedsRoot, namespace_problem

MakeHosts = Callable[..., Hosts]

# Tests that run at the same time share this machine. Those of leases remove it.
os.environ["ANSIBLE_ENV_EXCLUSIVE"] = "false"

for _number in (signal.SIGINT, signal.SIGQUIT):  # ignored by what is started with `&`, and so by every local script
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL)


# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("ansible_env", deadline=None)
hypothesis.settings.load_profile("ansible_env")


def _skip(error: Exception) -> None:
    """Skip for want of something; where nothing should be wanting (CI), fail."""
    if isinstance(error, MissingProgram) and os.environ.get("CI"):
        pytest.fail(str(error), pytrace=False)
    pytest.skip(str(error))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    """A fixture, or the mark `root`, that wants root or a program skips its test and says why."""
    try:
        problem = namespace_problem() if item.get_closest_marker("root") else None
        if problem:
            raise NeedsRoot(f"{item.name} needs root and namespaces: {problem}")
        return (yield)
    except (NeedsRoot, MissingProgram) as error:
        _skip(error)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """The same for the test itself."""
    try:
        return (yield)
    except (NeedsRoot, MissingProgram) as error:
        _skip(error)


@pytest.fixture(scope="session")
def ssh_hosts() -> Iterator[Hosts]:
    """Three hosts for the session. Break them only in ways that you repair; else use `make_hosts`.

    Each pytest-xdist worker is a session of its own, with its own hosts, ports and directory.
    """
    with Hosts(3) as hosts:
        yield hosts


@pytest.fixture
def ssh_host(ssh_hosts: Hosts) -> Host:
    """The first of `ssh_hosts`."""
    return ssh_hosts[0]


def _factory(stack: ExitStack) -> MakeHosts:
    def make(n: Any = 1, **options: Any) -> Hosts:
        return stack.enter_context(Hosts(n, **options))

    return make


@pytest.fixture
def make_hosts() -> Iterator[MakeHosts]:
    """Make hosts of your own, `make_hosts(n=1, **options of Hosts)`; they go after the test."""
    with ExitStack() as stack:
        yield _factory(stack)


@pytest.fixture(scope="module")
def make_module_hosts() -> Iterator[MakeHosts]:
    """The same for all tests of a module."""
    with ExitStack() as stack:
        yield _factory(stack)
