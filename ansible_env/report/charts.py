"""The plots of a report."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from markupsafe import Markup

from ansible_env.report import svg
from ansible_env.report.data import Goal, ReportData, as_number
from ansible_env.report.formatting import duration, number, visible
from ansible_env.report.svg import BOTTOM, HEIGHT, LEFT, MAX_TITLED, RIGHT, TOP, WIDTH, Bands, Linear, Point, Scale
from ansible_env.storage.database.records import StoredTrial

MAX_METRICS = 12
MAX_PARAMS = 12
MAX_GOALS = 2
"""Metrics that are plotted over each parameter."""
MAX_BOXES = 6
"""Most values of a parameter that get a box each."""
MAX_HOSTS = 64
MAX_SERIES = 9
MAX_LINES = 300
"""Trials in the parallel coordinates: the best ones, and a sample of the others."""
_X = (LEFT, WIDTH - RIGHT)
_Y = (HEIGHT - BOTTOM, TOP)


@dataclass(frozen=True, slots=True)
class Chart:
    """A plot with its title and note."""

    title: str
    svg: Markup
    note: str = ""
    wide: bool = False
    legend: Sequence[str] = ()
    """Names of the lines, in the order of their colours."""


def by_trial(data: ReportData) -> Iterator[Chart]:
    """Yield a plot of each metric over the trials, with the best value so far or a running median."""
    failed = [
        float(data.places[trial.id])
        for trial in data.trials
        if trial.status.is_completed() and not trial.status.is_succeeded()
    ]
    for name in data.metrics()[:MAX_METRICS]:
        points = _points(data, name)
        if not points:
            continue
        x = Linear.over([point.x for point in points] + failed, *_X)
        y = svg.scale_of(name, [point.y for point in points], *_Y)
        goal = data.goal if data.goal and data.goal.metric == name else None
        trend, note = _best_so_far(points, goal) if goal else _running_median(points)
        ticks = "".join(f"M{x.at(number):.1f} {_Y[0]}v-6" for number in failed)
        marks = [f'<path class="failed" d="{ticks}"/>'] if failed else []
        parts = [
            *svg.axes(x, y, "trials in their order" if data.numbers_repeat else "trial"),
            *marks,
            *svg.dots(points, x, y),
            svg.line(trend, x, y),
        ]
        yield Chart(name, svg.plot(parts, f"{name} by trial"), note + ("; red: failed" if failed else ""))


def by_param(data: ReportData) -> Iterator[Chart]:
    """Yield a plot of the first metrics over each parameter that varies."""
    for name in data.metrics(varied=True)[:MAX_GOALS]:
        measured = [(t, value) for t in data.succeeded if (value := as_number(t.metrics.get(name))) is not None]
        if not measured:
            continue
        y = svg.scale_of(name, [value for _, value in measured], *_Y)
        for param in data.params()[:MAX_PARAMS]:
            pairs = [(t, t.params[param], value) for t, value in measured if param in t.params]
            drawn = _over(data, pairs, name, param, y)
            if drawn:
                yield Chart(f"{name} by {param}", svg.plot(drawn, f"{name} by {param}"))


def _over(
    data: ReportData, pairs: Sequence[tuple[StoredTrial, object, float]], name: str, param: str, y: Scale
) -> list[str]:
    """Return a plot of a metric over a parameter: boxes for a few values, points for many, nothing for only one."""
    floats = [as_number(value) for _, value, _ in pairs]
    known = sorted({value for value in floats if value is not None})
    if None in floats or len(known) <= MAX_BOXES:
        groups: dict[str, list[float]] = {}
        for _, value, measured in sorted(pairs, key=lambda pair: (as_number(pair[1]) or 0, str(pair[1]))):
            groups.setdefault(str(value), []).append(measured)
        return list(_boxes(groups, y, param)) if len(groups) > 1 else []
    x = svg.scale_for(known, *_X)
    few = len(pairs) <= MAX_TITLED
    points = [
        Point(at, measured, _words(data, trial, name) if few else "")
        for at, (trial, _, measured) in zip(floats, pairs, strict=True)
        if at is not None
    ]
    return [*svg.axes(x, y, param), *svg.dots(points, x, y)]


def by_host(data: ReportData) -> Iterator[Chart]:
    """Yield a plot of each metric by host."""
    hosts = list(dict.fromkeys(host.host for host in data.hosts))[:MAX_HOSTS]
    for name in data.metrics(varied=True)[:MAX_METRICS] if len(hosts) > 1 else ():
        groups: dict[str, list[float]] = {host: [] for host in hosts}
        for host in data.hosts:
            value = as_number(host.metrics.get(name))
            if value is not None and host.host in groups and host.status.is_succeeded():
                groups[host.host].append(value)
        if sum(map(bool, groups.values())) > 1:
            y = svg.scale_of(name, [value for values in groups.values() for value in values], *_Y)
            width = svg.width_for(hosts)
            drawn = _boxes(groups, y, "host", width)
            yield Chart(name, svg.plot(drawn, f"{name} by host", width), wide=width > WIDTH)


def parallel(data: ReportData) -> Iterator[Chart]:
    """Yield parallel coordinates of the parameters that vary and of one metric, or nothing if there are too few."""
    metrics, params = data.metrics(), data.params()[: MAX_PARAMS - 1]
    if not metrics or len(params) < 2:
        return
    metric = metrics[0]
    complete = [
        t for t in data.succeeded if all(p in t.params for p in params) and as_number(t.metrics.get(metric)) is not None
    ]
    if len(complete) < 2:
        return
    goal = data.goal or Goal(metric, up=True)
    ranked = goal.best(complete) if goal.metric == metric else complete
    best = ranked[: max(1, min(10, len(ranked) // 10))]
    rest = ranked[len(best) :]
    rest = rest[:: max(1, len(rest) // MAX_LINES)]
    width = max(2 * WIDTH, 140 * (len(params) + 1))
    shown = [*best, *rest]
    columns = [(p, [t.params[p] for t in shown]) for p in params] + [(metric, [t.metrics[metric] for t in shown])]
    above, places = _columns(columns, width)
    parts: list[str] = []
    lines = list(zip(*places, strict=True))
    for index in reversed(range(len(shown))):
        kind = "thread best" if index < len(best) and data.goal else "thread"
        title = f"<title>{svg.text(_words(data, shown[index], metric))}</title>"
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in lines[index])
        parts.append(f'<polyline class="{kind}" points="{path}">{title}</polyline>')
    note = f"{len(shown)} of {len(complete)} trials" + (f"; coloured: the best {len(best)}" if data.goal else "")
    yield Chart("Parameters side by side", svg.plot([*parts, *above], "parallel coordinates", width), note, wide=True)


def telemetry(data: ReportData) -> Iterator[Chart]:
    """Yield a plot of each quantity over one run, with a line for each host."""
    if data.telemetry is None:
        return
    samples = data.telemetry[1]
    begin = min(sample.time for sample in samples)
    by_name: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for sample in samples:
        value = as_number(sample.value)
        if value is not None:
            of_host = by_name.setdefault(sample.name, {}).setdefault(sample.host, [])
            of_host.append(((sample.time - begin).total_seconds(), value))
    for name, hosts in itertools.islice(by_name.items(), MAX_METRICS):
        every = [point for points in hosts.values() for point in points]
        factor, unit = _time_unit(max(at for at, _ in every))
        x = Linear.over([at / factor for at, _ in every], *_X)
        y = svg.scale_of(name, [value for _, value in every], *_Y)
        shown = [(host, [(at / factor, value) for at, value in points]) for host, points in hosts.items()][:MAX_SERIES]
        lines = [svg.line(points, x, y, f"line s{index % 9}") for index, (_, points) in enumerate(shown)]
        names = [svg.clipped(visible(host or "group"), 24) for host, _ in shown]
        yield Chart(name, svg.plot([*svg.axes(x, y, unit), *lines], f"{name} over a run"), legend=names)


def _time_unit(seconds: float) -> tuple[float, str]:
    """Return the seconds of the unit in which people read such a time, and its name."""
    units = ((3600.0, "hours", 3 * 3600), (60.0, "minutes", 300))
    return next(((factor, name) for factor, name, least in units if seconds >= least), (1.0, "seconds"))


def failures(data: ReportData) -> Iterator[Chart]:
    """Yield a plot of how often hosts failed, by kind, or nothing if none did."""
    kinds = data.kinds().most_common(12)
    if not kinds:
        return
    height = 24 * len(kinds) + 10
    x = Linear(0, kinds[0][1], 110, WIDTH - 45)
    parts = []
    for index, (kind, count) in enumerate(kinds):
        top = 5 + 24 * index
        parts.append(f'<text class="tick end" x="104" y="{top + 13}">{svg.text(kind)}</text>')
        parts.append(f'<rect class="bad" x="110" y="{top}" width="{x.at(count) - 110:.1f}" height="18"/>')
        parts.append(f'<text class="tick" x="{x.at(count) + 5:.1f}" y="{top + 13}">{count}</text>')
    yield Chart("Hosts by kind of failure", svg.plot(parts, "failures by kind", WIDTH, height))


def _points(data: ReportData, name: str) -> list[Point]:
    values = [(trial, as_number(trial.metrics.get(name))) for trial in data.succeeded]
    few = len(values) <= MAX_TITLED
    points = [
        Point(data.places[t.id], value, _words(data, t, name) if few else "")
        for t, value in values
        if value is not None
    ]
    return sorted(points, key=lambda point: point.x)  # a sweep does not begin its trials in the order of their numbers


def _words(data: ReportData, trial: StoredTrial, name: str) -> str:
    return f"trial {data.name_of(trial)}: {name} {number(trial.metrics.get(name))}, {duration(trial.elapsed)}"


def _best_so_far(points: Sequence[Point], goal: Goal) -> tuple[list[tuple[float, float]], str]:
    best = itertools.accumulate((point.y for point in points), max if goal.up else min)
    trend = [(point.x, value) for point, value in zip(points, best, strict=True)]
    steps: list[tuple[float, float]] = []
    for now, later in itertools.pairwise(trend):
        steps += [now, (later[0], now[1])]
    return _thin([*steps, trend[-1]]), f"line: best so far ({'more' if goal.up else 'less'} is better)"


def _running_median(points: Sequence[Point]) -> tuple[list[tuple[float, float]], str]:
    window = max(3, len(points) // 20)
    middle = [
        (points[index].x, median(point.y for point in points[max(0, index - window) : index + window + 1]))
        for index in range(0, len(points), max(1, window // 3))
    ]
    return middle, "line: running median"


def _thin(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Leave out the points inside of a level section."""
    kept = [
        here
        for before, here, after in zip(points, points[1:], points[2:], strict=False)
        if not before[1] == here[1] == after[1]
    ]
    return [points[0], *kept, points[-1]]


def _boxes(groups: dict[str, list[float]], y: Scale, label: str, width: int = WIDTH) -> Iterator[str]:
    x = Bands(list(groups), LEFT, width - RIGHT)
    yield from svg.axes(x, y, label, width)
    for index, (name, values) in enumerate(groups.items()):
        if not values:
            continue
        middle = quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
        words = f"{name}: median {number(middle[1])}, {len(values)} values"
        yield svg.box(x.at(index), min(16, x.step * 0.35), [min(values), *middle, max(values)], y, words)


def _columns(
    columns: Sequence[tuple[str, list[object]]], width: int
) -> tuple[list[str], list[list[tuple[float, float]]]]:
    """Return the axes of parallel coordinates, and the points of each trial on them."""
    parts: list[str] = []
    places: list[list[tuple[float, float]]] = []
    for index, (name, values) in enumerate(columns):
        at = 55 + index * (width - 110) / (len(columns) - 1)
        floats = [as_number(value) for value in values]
        names = sorted({str(value) for value in values})
        scale: Scale
        if None in floats:
            scale = Bands(names, *_Y)
            spots = [scale.at(names.index(str(value))) for value in values]
        else:
            known = [value for value in floats if value is not None]
            scale = svg.scale_for(known, *_Y)
            spots = list(map(scale.at, known))
        parts.append(f'<line class="axis" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        for value, tick in scale.ticks():
            place = f'x="{at + 4:.1f}" y="{scale.at(value) + 3:.1f}"'
            parts.append(f'<text class="tick over" {place}>{svg.text(svg.clipped(tick, 14))}</text>')
        parts.append(f'<text class="label mid" x="{at:.1f}" y="{HEIGHT - 14}">{svg.text(svg.clipped(name, 20))}</text>')
        places.append([(at, spot) for spot in spots])
    return parts, places
