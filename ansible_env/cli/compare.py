"""`compare`: whether trials differ from others, metric by metric."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ansible_env.cli import console
from ansible_env.cli.options import argument, option
from ansible_env.cli.results import StoreOptions
from ansible_env.cli.tabular import RowOutput, rows_as_table, write_rows
from ansible_env.config.text import nearest
from ansible_env.errors import ConfigError, Problem
from ansible_env.report import comparison
from ansible_env.report.comparison import Comparison, Side
from ansible_env.report.formatting import number, plural, some, visible
from ansible_env.results.values import is_number
from ansible_env.storage.database.records import StoredHost, StoredTrial
from ansible_env.storage.fingerprint_differences import MACHINE, Difference, differences
from ansible_env.storage.selection import select
from ansible_env.storage.store import Store
from ansible_env.storage.store_writer import recover

Values = dict[str, list[float]]

MAX_HOSTS = 4
"""Hosts that a warning names."""


@dataclass(kw_only=True)
class CompareOptions(StoreOptions):
    """Options of `compare`."""

    first: str = argument("A", "EXPERIMENT, EXPERIMENT:name=value, ids as in 3,5-9, or a bundle.")
    second: str = argument("B", "What A is compared with.")
    metric: list[str] | None = option("-m, --metric NAME", "Only this metric. Repeatable.")
    undisturbed: bool = option(
        "--undisturbed", "Leave out trials that something else on a host disturbed.", default=False
    )
    alpha: float = option("--alpha", "How often noise may count as a difference.", default=0.05, min=0.0001, max=0.5)


def compare(options: CompareOptions) -> str:
    """Decide whether trials A differ from trials B or whether the difference is noise, with significance tests."""
    with Store(options.store) as store:
        recover(store, console.say_warning)
        a, b = (_counted(store, name, options) for name in (options.first, options.second))
        paired = len(a) == len(b) == 1
        first, second, what = _pairs(store, a[0], b[0]) if paired else (_by_metric(a), _by_metric(b), "trials")
        if paired and what == "hosts":  # on other hosts: nothing to pair
            paired = False
        unlike = differences(*(store.fingerprints(side).values() for side in (a, b)))
    common = [name for name in first if name in second]
    for name in options.metric or ():
        if name not in common:
            raise ConfigError(
                Problem(f"A and B do not both have the metric {name!r}", "--metric", hint=nearest(name, common))
            )
    chosen = {name: first[name] for name in options.metric or common}
    if not chosen:
        raise ConfigError("A and B have no numeric metric in common")
    for line in warnings(unlike):
        console.say_error(f"warning: {line}")
    compared = comparison.compare(chosen, second, paired=paired, alpha=options.alpha)
    if options.output is not RowOutput.TABLE:
        write_rows([_row(item) for item in compared], options.output, "metrics")
        return ""
    counts = f"A: {visible(options.first)}, {plural(len(a), 'trial')}; B: {visible(options.second)}, {len(b)}"
    table = rows_as_table([_cells(item) for item in compared])
    return f"{counts}; the values are those of {what}\n{table}" + "".join(f"{line}\n" for line in sentences(compared))


def _counted(store: Store, name: str, options: CompareOptions) -> list[StoredTrial]:
    """Return the trials that succeeded, without those that were disturbed if that is requested."""
    good = _succeeded(select(store, name), name)
    disturbed = {host.trial for host in store.hosts(good) if host.disturbed}
    if not disturbed:
        return good
    what = (
        f"{name}: {plural(len(disturbed), 'trial')} of {len(good)} {'was' if len(disturbed) == 1 else 'were'} disturbed"
    )
    if not options.undisturbed:
        console.say_error(f"{what}; --undisturbed leaves them out")
        return good
    if len(disturbed) == len(good):
        raise ConfigError(Problem("each of these trials was disturbed", name))
    console.say_error(f"{what}: not counted")
    return [trial for trial in good if trial.id not in disturbed]


def _succeeded(trials: Sequence[StoredTrial], name: str) -> list[StoredTrial]:
    """Return the trials that succeeded."""
    good = [trial for trial in trials if trial.status.is_succeeded()]
    if not good:
        raise ConfigError(Problem("none of these trials has succeeded", name))
    if len(good) < len(trials):
        console.say_error(f"{name}: {plural(len(trials) - len(good), 'trial')} did not succeed: not counted")
    return good


def _pairs(store: Store, a: StoredTrial, b: StoredTrial) -> tuple[Values, Values, str]:
    """Return the values of two trials by host: in pairs where the hosts are the same."""
    hosts_of_a, hosts_of_b = store.hosts([a]), store.hosts([b])
    of_a, of_b = ({host.host: dict(_numbers(host)) for host in hosts} for hosts in (hosts_of_a, hosts_of_b))
    same = [host for host in of_a if host in of_b]
    if same != list(of_a) or len(of_a) != len(of_b):
        return _by_metric(hosts_of_a), _by_metric(hosts_of_b), "hosts"
    first, second = [of_a[host] for host in same], [of_b[host] for host in same]
    complete = [name for name in first[0] if all(name in values for values in (*first, *second))]
    return (
        {name: [values[name] for values in first] for name in complete},
        {name: [values[name] for values in second] for name in complete},
        "the same hosts, in pairs",
    )


def _by_metric(measured: Sequence[StoredTrial | StoredHost]) -> Values:
    by_metric: Values = {}
    for one in measured:
        for name, value in _numbers(one):
            by_metric.setdefault(name, []).append(value)
    return by_metric


def _numbers(measured: StoredTrial | StoredHost) -> Iterator[tuple[str, float]]:
    for name, value in measured.metrics.items():
        if is_number(value) and math.isfinite(value) and "{" not in name:
            yield name, float(value)


def warnings(unlike: Sequence[Difference]) -> Iterator[str]:
    """Yield the differences between the hosts of both sides; a difference of metrics may be due to them."""
    for difference in unlike:
        if difference.fact == MACHINE:
            a, b = (
                some(sorted({*itertools.chain(*side.values())}), MAX_HOSTS) for side in (difference.a, difference.b)
            )
            where = f"A: {a}; B: {b}" if a != b else f"{a} was replaced or reinstalled"
            yield f"A and B were not run on the same machines: {where}"
        else:
            name = visible(difference.fact)
            yield f"the hosts differ: {name} is {_side(difference.a)} in A, {_side(difference.b)} in B"


def _side(values: Mapping[Any, Sequence[str]]) -> str:
    """Return values, with their hosts where there are several values."""
    texts = [(visible(str(value)), some(hosts, MAX_HOSTS)) for value, hosts in values.items()]
    if len(texts) == 1:
        return texts[0][0]
    return ", ".join(f"{value} ({hosts})" for value, hosts in texts)


def _row(compared: Comparison) -> dict[str, Any]:
    row = asdict(compared)
    for side in ("a", "b"):
        row |= {f"{side}_{name}": value for name, value in row.pop(side).items()}
    return {**row, "verdict": compared.verdict}


def _cells(compared: Comparison) -> dict[str, str]:
    return {
        "metric": compared.metric,
        "verdict": compared.verdict,
        "A median": number(compared.a.median),
        "B median": number(compared.b.median),
        "change": _percent(compared.change),
        "p": "-" if compared.p is None else f"{compared.p:.4f}",
        "A 95 % CI": _interval(compared.a),
        "B 95 % CI": _interval(compared.b),
    }


def _interval(side: Side) -> str:
    if side.low is None or side.high is None:
        return "-"
    return f"{number(side.low)} to {number(side.high)}"


def _percent(part: float | None) -> str:
    return "-" if part is None else f"{part * 100:+.1f} %"


def sentences(compared: Sequence[Comparison]) -> Iterator[str]:
    """Yield the meaning in words."""
    yield ""
    for item in compared:
        name = visible(item.metric)
        if item.verdict in ("higher", "lower", "differs"):
            interval = ""
            if item.change_low is not None:
                interval = f", 95 % CI {_percent(item.change_low)} to {_percent(item.change_high)}"
            how = "differs in B, with the same median" if item.verdict == "differs" else ""
            how = how or f"is {item.verdict} in B: {_percent(item.change)}{interval}"
            yield f"{name} {how} (p = {item.p:.4f})"
    if noise := [visible(c.metric) for c in compared if c.verdict == "noise"]:
        yield f"noise: {', '.join(noise)}. Every difference between A and B may be chance"
    if few := [c for c in compared if c.verdict == "too few"]:
        names = ", ".join(visible(c.metric) for c in few)
        counts = f"{few[0].a.count} and {few[0].b.count}"
        yield f"too few values: {names}. With {counts}, no difference can be distinguished from chance; run more trials"
