"""`python -m tests.benchmarks [SCENARIO…]`: the figures of docs/performance.md."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.benchmarks import followed, measure, resources
from tests.benchmarks.contenders.setting import Setting
from tests.benchmarks.delay import delayed
from tests.benchmarks.measure import (
    COLD,
    MLOS,
    NAIVE,
    PYINFRA,
    RUNNER,
    SESSION,
    SHELL,
    SSH,
    WARM,
    WITH_MITOGEN,
    Contender,
)
from tests.hosts import Hosts
from tests.hosts.inventory import to_yaml

Report = dict[str, Any]
SHARED = Contender("ansible_env, threads that share an engine", "ours.warm_shared")


def setting(hosts: Hosts, ports: Sequence[int] | None = None, **options: Any) -> Setting:
    """Return what contenders need to reach these hosts, perhaps by other ports."""
    known = hosts.known_hosts
    inventory = hosts.inventory_dict()
    if ports is not None:
        known = hosts.dir / "known_hosts.proxied"
        lines = []
        for host, port in zip(hosts, ports, strict=True):
            inventory["fleet"]["hosts"][host.name] = {"ansible_host": "127.0.0.1", "ansible_port": port}
            name, at = f"[{host.address}]:{host.port} ", f"[127.0.0.1]:{port} "
            lines += [
                at + line.removeprefix(name)
                for line in hosts.known_hosts.read_text().splitlines()
                if line.startswith(name)
            ]
        known.write_text("".join(f"{line}\n" for line in lines))
        arguments = inventory["fleet"]["vars"]["ansible_ssh_common_args"]
        inventory["fleet"]["vars"]["ansible_ssh_common_args"] = arguments.replace(str(hosts.known_hosts), str(known))
    path = hosts.dir / f"bench-{'direct' if ports is None else 'proxied'}.yml"
    path.write_text(to_yaml(inventory))
    reached = [
        {
            "name": host.name,
            "address": host.address if ports is None else "127.0.0.1",
            "port": host.port if ports is None else ports[number],
            "user": hosts.user,
            "key": str(hosts.key),
            "known_hosts": str(known),
        }
        for number, host in enumerate(hosts)
    ]
    return Setting(str(path), reached, Path(), **options)


def steady(count: int, rounds: int) -> Report:
    """One phase on some hosts, again and again."""
    contenders = [WARM, SESSION, COLD, RUNNER, SHELL, NAIVE, WITH_MITOGEN, PYINFRA, MLOS, SSH]
    if count > 4:
        contenders.remove(SESSION)  # it works ahead, and here all cores are busy
    if count > 16:
        contenders.remove(NAIVE)  # more than a minute each time
    with Hosts(count) as hosts:
        slow = [NAIVE, WITH_MITOGEN] if count > 4 else []
        series = measure.in_turn(contenders, setting(hosts), rounds, once=slow)
    print(measure.table(f"{count} host(s), steady state, one phase", series))
    print(measure.table(f"{count} host(s), the first phase of a new process, its start included", series, of="first"))
    return {"series": [item.to_dict() for item in series]}


def latency(rounds: int) -> Report:
    """A round trip time of 20 ms."""
    with Hosts(1) as hosts, delayed(hosts[0].port, 0.02) as port:
        series = measure.in_turn([WARM, RUNNER, SHELL, PYINFRA, MLOS, SSH], setting(hosts, [port]), rounds)
    print(measure.table("1 host, 20 ms away, steady state", series))
    return {"series": [item.to_dict() for item in series]}


def threads(rounds: int) -> Report:
    """Environments side by side: phases in a second."""
    report: Report = {}
    for count in (1, 2, 4, 8):
        with Hosts(min(count, 4)) as hosts:
            series = measure.in_turn([SHARED, RUNNER], setting(hosts, threads=count), rounds)
        rates = [count / item.median if item.median else 0.0 for item in series]
        report[str(count)] = {"series": [item.to_dict() for item in series], "phases_per_second": rates}
        ratio = rates[0] / rates[1] if rates[1] else float("nan")
        print(f"{count} thread(s): {rates[0]:.1f} phases/s, ansible_runner.run {rates[1]:.2f}, ratio {ratio:.1f}")
    return report


def output(rounds: int) -> Report:
    """A script that prints much."""
    report: Report = {}
    with Hosts(1) as hosts:
        for size in (0, 10**6, 10**8):
            others = [RUNNER] if size < 10**8 else []
            series = measure.in_turn([WARM, *others, SSH], setting(hosts, size=size), min(rounds, 5))
            print(measure.table(f"1 host, {size:,} bytes of stdout", series))
            report[str(size)] = [item.to_dict() for item in series]
    return report


def follow(rounds: int) -> Report:
    """What following costs."""
    with Hosts(1) as hosts:
        report: Report = {"cpu_bound": followed.followed(hosts, rounds * 60), "target": resources.on_target(hosts)}
    with Hosts(1) as hosts:
        report["one_percent"] = followed.control(hosts, rounds * 20)
    with Hosts(16) as hosts:
        report["idle"] = resources.idle(hosts)
    print(json.dumps(report, indent=1))
    return report


def memory(rounds: int) -> Report:
    """A thousand phases."""
    with Hosts(1) as hosts:
        report = resources.memory(hosts)
    print(json.dumps(report))
    return report


SCENARIOS: dict[str, Callable[[int], Report]] = {
    "1": lambda rounds: steady(1, rounds),
    "4": lambda rounds: steady(4, rounds),
    "16": lambda rounds: steady(16, min(rounds, 5)),
    "64": lambda rounds: steady(64, min(rounds, 5)),
    "latency": latency,
    "threads": threads,
    "output": output,
    "follow": follow,
    "memory": memory,
}


def main() -> int:
    """Run scenarios, print tables, write JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("scenario", nargs="*", choices=[*SCENARIOS, []], help="all, unless named")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path, help="write all times there")
    options = parser.parse_args()
    names = ("ansible-env", "ansible-core", "ansible-runner")
    report: Report = {"python": platform.python_version(), **{name: version(name) for name in names}}
    print(json.dumps(report), file=sys.stderr)
    for name in options.scenario or SCENARIOS:
        print(f"\n== {name}", flush=True)
        report[name] = SCENARIOS[name](options.rounds)
        if options.json:
            options.json.write_text(json.dumps(report, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
