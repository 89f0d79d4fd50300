"""`compare`: whether trials differ from others, metric by metric."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ansible_env.cli import context
from ansible_env.cli.query_options import CompareOptions, RowOutput
from ansible_env.cli.replay import recover
from ansible_env.cli.results import table_text
from ansible_env.cli.rows import write, write_rows
from ansible_env.cli.selection import select
from ansible_env.cli.text import number, plural, some, visible
from ansible_env.config.text import nearest
from ansible_env.errors import ConfigError, Problem
from ansible_env.report.comparison import Comparison, Side, compare
from ansible_env.storage.database.records import StoredTrial
from ansible_env.storage.fingerprint_differences import MACHINE, Difference, differences
from ansible_env.storage.store import Store

Values = dict[str, list[float]]

MOST_HOSTS = 4
"""Hosts that a warning names."""


def run_compare(options: CompareOptions) -> None:
    """Print what the store says about two sets of trials.

    Raises:
        ConfigError: there are no such trials, or none with a metric in common.
        StoreError: the store cannot be read.
    """
    with Store(options.store) as store:
        recover(store)
        a, b = (_succeeded(select(store, name), name) for name in (options.first, options.second))
        paired = len(a) == len(b) == 1
        first, second, what = _pairs(store, a[0], b[0]) if paired else (_of_groups(a), _of_groups(b), "trials")
        if paired and what == "hosts":  # on other hosts: nothing to pair
            paired = False
        unlike = differences(*(store.fingerprints(side).values() for side in (a, b)))
    wanted = [name for name in first if name in second]
    for name in options.metric or ():
        if name not in wanted:
            raise ConfigError(Problem(f"not both have the metric {name!r}", "--metric", hint=nearest(name, wanted)))
    chosen = {name: first[name] for name in options.metric or wanted}
    if not chosen:
        raise ConfigError("the trials have no number in common")
    for line in warnings(unlike):
        context.say_error(f"warning: {line}")
    found = compare(chosen, second, paired=paired, alpha=options.alpha)
    if options.output is not RowOutput.TABLE:
        write_rows([_row(comparison) for comparison in found], options.output, "metrics")
        return
    counts = f"A: {visible(options.first)}, {plural(len(a), 'trial')}; B: {visible(options.second)}, {len(b)}"
    write(f"{counts}; the values are those of {what}\n")
    write(table_text([_cells(comparison) for comparison in found]))
    write("".join(f"{line}\n" for line in sentences(found)))


def _succeeded(trials: Sequence[StoredTrial], name: str) -> list[StoredTrial]:
    """Return the trials that say something about the benchmark."""
    good = [trial for trial in trials if trial.status.is_succeeded()]
    if not good:
        raise ConfigError(Problem("none of these trials has succeeded", name))
    if len(good) < len(trials):
        context.say_error(f"{name}: {plural(len(trials) - len(good), 'trial')} did not succeed and not counted")
    return good


def _of_groups(trials: Sequence[StoredTrial]) -> Values:
    found: Values = {}
    for trial in trials:
        for name, value in _numbers(trial.metrics):
            found.setdefault(name, []).append(value)
    return found


def _pairs(store: Store, a: StoredTrial, b: StoredTrial) -> tuple[Values, Values, str]:
    """Return the values of two trials host by host: in pairs where the hosts are the same."""
    of_a, of_b = ({host.host: dict(_numbers(host.metrics)) for host in store.hosts([trial])} for trial in (a, b))
    same = [host for host in of_a if host in of_b]
    if same != list(of_a) or len(of_a) != len(of_b):
        return _by_metric(of_a.values()), _by_metric(of_b.values()), "hosts"
    first, second = [of_a[host] for host in same], [of_b[host] for host in same]
    complete = [name for name in first[0] if all(name in values for values in (*first, *second))]
    return (
        {name: [values[name] for values in first] for name in complete},
        {name: [values[name] for values in second] for name in complete},
        "the same hosts, in pairs",
    )


def _by_metric(hosts: Any) -> Values:
    found: Values = {}
    for values in hosts:
        for name, value in values.items():
            found.setdefault(name, []).append(value)
    return found


def _numbers(metrics: Any) -> Iterator[tuple[str, float]]:
    for name, value in metrics.items():
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and "{" not in name:
            yield name, float(value)


def warnings(unlike: Sequence[Difference]) -> Iterator[str]:
    """Yield in what the hosts of the two sides differ: what is found then may be due to that."""
    for difference in unlike:
        if difference.fact == MACHINE:
            a, b = (
                some(sorted({*itertools.chain(*side.values())}), MOST_HOSTS) for side in (difference.a, difference.b)
            )
            where = f"A: {a}; B: {b}" if a != b else f"{a} was replaced, or installed anew"
            yield f"A and B were not run on the same machines: {where}"
        else:
            name = visible(difference.fact)
            yield f"the hosts are not alike: {name} is {_side(difference.a)} in A, {_side(difference.b)} in B"


def _side(values: Mapping[Any, Sequence[str]]) -> str:
    """Return values, and whose they are where there are several."""
    texts = [(visible(str(value)), some(hosts, MOST_HOSTS)) for value, hosts in values.items()]
    if len(texts) == 1:
        return texts[0][0]
    return ", ".join(f"{value} ({hosts})" for value, hosts in texts)


def _row(comparison: Comparison) -> dict[str, Any]:
    row = asdict(comparison)
    for side in ("a", "b"):
        row |= {f"{side}_{name}": value for name, value in row.pop(side).items()}
    return {**row, "verdict": comparison.verdict}


def _cells(comparison: Comparison) -> dict[str, str]:
    return {
        "metric": comparison.metric,
        "verdict": comparison.verdict,
        "A median": number(comparison.a.median),
        "B median": number(comparison.b.median),
        "change": _percent(comparison.change),
        "p": "-" if comparison.p is None else f"{comparison.p:.4f}",
        "A 95 % CI": _interval(comparison.a),
        "B 95 % CI": _interval(comparison.b),
    }


def _interval(side: Side) -> str:
    if side.low is None or side.high is None:
        return "-"
    return f"{number(side.low)} to {number(side.high)}"


def _percent(part: float | None) -> str:
    return "-" if part is None else f"{part * 100:+.1f} %"


def sentences(found: Sequence[Comparison]) -> Iterator[str]:
    """Yield what it means, in words."""
    yield ""
    for comparison in found:
        name = visible(comparison.metric)
        if comparison.verdict in ("higher", "lower", "differs"):
            interval = ""
            if comparison.change_low is not None:
                interval = f", 95 % CI {_percent(comparison.change_low)} to {_percent(comparison.change_high)}"
            how = "differs in B, with the same median" if comparison.verdict == "differs" else ""
            how = how or f"is {comparison.verdict} in B: {_percent(comparison.change)}{interval}"
            yield f"{name} {how} (p = {comparison.p:.4f})"
    noise = [c for c in found if c.verdict == "noise"]
    if noise:
        names = ", ".join(visible(c.metric) for c in noise)
        yield f"noise: {names}. No difference between A and B that could not be chance"
    few = [c for c in found if c.verdict == "too few"]
    if few:
        names = ", ".join(visible(c.metric) for c in few)
        counts = f"{few[0].a.count} and {few[0].b.count}"
        yield f"too few values to tell: {names}. With {counts}, no difference can be told from chance; run more trials"
