"""Telemetry: samples that are taken on a target at intervals while a script runs there.

The supervisor starts the sampler beside the script and ends it with it (supervisor.sh). The samples stay in the run
directory until the script has ended and are fetched then: nothing is sent during a measurement. A sample of /proc uses
builtins of the shell only; its one process is the `sleep` until the next.
"""

from __future__ import annotations

import itertools
import math
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

from ansible_env.errors import MetricsTimeoutError
from ansible_env.results.metrics.parse import MetricsParseError, Value, parse
from ansible_env.results.metrics.pattern import compile_pattern

SAMPLER = re.sub(r"^\s*#.*\n", "", files(__package__).joinpath("sampler.sh").read_text("utf-8"), flags=re.MULTILINE)
LIMIT = 100_000
"""Largest number of values in a result; of more, every n-th sample is kept."""
SECTOR = 512
"""Bytes: the unit of /proc/diskstats on every disk (Documentation/admin-guide/iostats.rst)."""

Sample = tuple[datetime, str, Value]


@dataclass(frozen=True, slots=True)
class Probe:
    """One source of samples."""

    every: float = 1.0
    """Seconds between two samples."""
    command: str | None = None
    """Shell text; without it, /proc is read for CPU, memory, disks and network."""
    pattern: str | None = None
    """Pattern for metrics in the command's stdout, as `results_stdout_pattern`."""


def probes_of(items: Iterable[Mapping[str, Any]]) -> tuple[Probe, ...]:
    """Return the probes in a task's argument. Raise ValueError if an item is not one."""
    return tuple(_probe(item) for item in items)


def _probe(item: Mapping[str, Any]) -> Probe:
    try:
        probe = Probe(**{**item, "every": float(item.get("every", 1.0))})
    except TypeError as error:
        raise ValueError(f"telemetry: {error}") from error
    if probe.every <= 0 or (probe.command is None) != (probe.pattern is None):
        raise ValueError("telemetry: `every` is more than 0, and a command and its pattern go together")
    if probe.pattern is not None:
        compile_pattern(probe.pattern)
    return probe


def sampler(probes: Sequence[Probe], *, exports: str, shell: str, mark: str) -> str:
    """Return the shell text that the supervisor sources to take samples: one group, read completely before it runs."""
    lines = ["true >sampler", f"ae_mark={shlex.quote(mark)} ae_shell={shlex.quote(shell)}", SAMPLER, exports]
    for number, probe in enumerate(probes):
        what = "system" if probe.command is None else f"probe {shlex.quote(probe.command)}"
        lines.append(f"again {number} {probe.every:g} {what} &")
    return "\n".join(["{", *lines, "wait", "}", ""])


def read_samples(data: bytes, probes: Sequence[Probe], mark: str) -> list[Sample]:
    """Return the values that a sampler has written. Those that cannot be read are left out."""
    base: tuple[float, float] | None = None
    samples: list[tuple[int, float, str]] = []
    header = re.compile(rf"^@{re.escape(mark)} (\w+) (\S+)(?: (\S+))?$", re.MULTILINE)
    text = data.decode("utf-8", "replace")
    marks = list(header.finditer(text))
    for match, after in itertools.zip_longest(marks, marks[1:]):
        try:
            if match[1] == "base":
                base = float(match[2]), float(match[3])
            else:
                body = text[match.end() + 1 : after.start() if after else len(text)]
                samples.append((int(match[1]), float(match[2]), body))
        except (TypeError, ValueError):
            continue
    if base is None:
        return []
    clock, uptime = base
    values: list[Sample] = []
    for number, probe in enumerate(probes):
        bodies = [(clock + up - uptime, body) for which, up, body in samples if which == number]
        values += _system(bodies) if probe.command is None else _of_command(bodies, probe.pattern or "")
    return _thinned(sorted(values, key=lambda sample: sample[0]))


def _thinned(values: list[Sample]) -> list[Sample]:
    step = math.ceil(len(values) / LIMIT)
    if step <= 1:
        return values
    times = set(sorted({sample[0] for sample in values})[::step])
    return [sample for sample in values if sample[0] in times]


def _of_command(bodies: Iterable[tuple[float, str]], pattern: str) -> Iterator[Sample]:
    compiled = compile_pattern(pattern)
    for time, body in bodies:
        try:
            metrics = parse([body], compiled)
        except (MetricsParseError, MetricsTimeoutError):
            continue
        for name, value in metrics.items():
            yield datetime.fromtimestamp(time, UTC), name, value


def _system(bodies: Iterable[tuple[float, str]]) -> Iterator[Sample]:
    before: tuple[float, list[list[int]]] | None = None
    for time, body in bodies:
        try:
            counted = [
                [int(float(word)) for word in part.split() if word != "cpu"] for part in body.strip().split("|")[:4]
            ]
            load = float(body.strip().split("|")[4])
            now = datetime.fromtimestamp(time, UTC)
            total, available = counted[1]
        except (IndexError, ValueError):
            continue
        yield now, "memory_used_bytes", (total - available) * 1024
        yield now, "memory_available_bytes", available * 1024
        yield now, "load_1m", load
        if before is not None and time > before[0]:
            for name, value in _rates(before[1], counted, time - before[0]):
                yield now, name, round(value, 3)
        before = time, counted


def _rates(before: list[list[int]], after: list[list[int]], seconds: float) -> Iterator[tuple[str, float]]:
    """Yield the rates between two samples. Columns of /proc/stat: user nice system idle iowait irq softirq steal."""
    spent = [max(0, late - early) for early, late in zip(before[0][:8], after[0][:8], strict=False)]
    total = sum(spent)
    if total and len(spent) == 8:
        user, nice, system, idle, iowait, irq, softirq, steal = spent
        shares = {"user": user + nice, "system": system + irq + softirq, "iowait": iowait, "steal": steal}
        yield "cpu_percent", 100 * (total - idle - iowait) / total
        for name, part in shares.items():
            yield f"cpu_{name}_percent", 100 * part / total
    names = (("disk_read", "disk_written"), ("network_received", "network_sent"))
    for pair, early, late, unit in zip(names, before[2:], after[2:], (SECTOR, 1), strict=True):
        for name, old, new in zip(pair, early, late, strict=True):
            yield f"{name}_bytes_per_s", max(0, new - old) * unit / seconds
