"""How many hosts a trial needs, and of which roles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ansible_env.config.fields import ONCE, PHASES
from ansible_env.config.steps import steps_of
from ansible_env.environment.remote_env import RemoteEnv
from ansible_env.errors import ConfigError, InventoryError, Problem


@dataclass(frozen=True, slots=True)
class Need:
    """Hosts that each trial needs."""

    count: int
    hosts: frozenset[str] | None = None
    """The hosts that they may be; any if None."""

    def allows(self, host: str) -> bool:
        """Whether a host may be one of them."""
        return self.hosts is None or host in self.hosts


def choose(hosts: Sequence[str], needs: Sequence[Need]) -> tuple[str, ...] | None:
    """Return the first hosts that fulfil all needs; None if there are too few."""
    chosen: list[str] = []
    for need in needs:
        allowed = [host for host in hosts if need.allows(host)][: need.count]
        if len(allowed) < need.count:
            return None
        chosen += allowed
    return tuple(chosen)


def needs_of(env: RemoteEnv, hosts: Sequence[str], per_trial: int | Mapping[str, int]) -> tuple[Need, ...]:
    """Return what each trial of an environment needs of these hosts.

    `per_trial` is a number, or the number of hosts of each host pattern.

    Raises:
        ConfigError: there are too few hosts, a host would have two roles, or a step would have no host.
    """
    if not isinstance(per_trial, Mapping):
        if not 1 <= per_trial <= len(hosts):
            raise ConfigError(f"{env.name}: each trial needs {per_trial} hosts, and there are {len(hosts)}")
        needs = {"": Need(per_trial)}
    else:
        needs = {pattern: Need(count, env.hosts_of(pattern) & set(hosts)) for pattern, count in per_trial.items()}
        _check_roles(env, needs)
    _check_steps(env, hosts, tuple(needs.values()))
    return tuple(needs.values())


def _check_roles(env: RemoteEnv, needs: Mapping[str, Need]) -> None:
    owners: dict[str, str] = {}
    if not needs:
        raise ConfigError(f"{env.name}: a trial needs at least one host")
    for pattern, need in needs.items():
        known = need.hosts or ()
        if not 1 <= need.count <= len(known):
            what = f"each trial needs {need.count} hosts of {pattern!r}, and there are {len(known)}"
            raise ConfigError(f"{env.name}: {what}")
        for host in known:
            if (other := owners.setdefault(host, pattern)) != pattern:
                raise ConfigError(f"{env.name}: {host} is one of {other!r} and of {pattern!r}: it can have one role")


def _check_steps(env: RemoteEnv, hosts: Sequence[str], needs: Sequence[Need]) -> None:
    """Refuse needs with which a step might have no host."""
    patterns = {s.hosts for phase in (*PHASES, *ONCE) for s in steps_of(getattr(env.config, phase)) if s.hosts}
    for pattern in sorted(patterns):
        try:
            matching = env.hosts_of(pattern)
        except InventoryError:  # hosts that a task adds, or none: the first trial reports it
            continue
        if not any(sum(need.allows(h) for h in hosts if h not in matching) < need.count for need in needs):
            what = f"{env.name}: a trial may have no host for the step with the hosts {pattern!r}"
            raise ConfigError(Problem(what, hint=f"give a number for each pattern: --hosts-per-trial '{pattern}=1,…'"))
