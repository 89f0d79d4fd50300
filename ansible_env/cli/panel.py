"""The live view as lines of text: a line for each host, or a summary and the hosts that want to be looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from ansible_env.cli.pace import Pace, about, bar, clock
from ansible_env.cli.view import HostView, PhaseView, State
from ansible_env.report.formatting import number, visible

LONGEST_HOST = 24
FOLDED_ROWS = 12
"""Hosts that are shown beside a summary, unless more of them want to be looked at."""
MOST_METRICS = 3
"""Metrics whose spread over the hosts is shown in a summary."""

_STYLES = {
    State.FAILED: "red",
    State.LATE: "yellow",
    State.RUNNING: "cyan",
    State.WAITING: "dim",
    State.DONE: "green",
}
_WORDS = {
    State.FAILED: "failed",
    State.LATE: "late",
    State.RUNNING: "running",
    State.WAITING: "waiting",
    State.DONE: "done",
}


_SIGNS = dict(zip(State, "✗!●·✓", strict=True))


def panel(
    view: PhaseView,
    title: str,
    *,
    width: int,
    height: int,
    now: float,
    pace: Pace | None = None,
    required: Sequence[str] = (),
) -> list[Text]:
    """Return the lines of the view, each at most `width` cells, at most `height` of them."""
    top = [_header(view, title, now, width)]
    if pace is not None and pace.total is not None and pace.total > 1:
        top.append(_pace(pace, now, width))
    hosts = list(view.hosts.values())
    room = height - len(top)
    rows = _rows(view, hosts, width, now) if len(hosts) <= room else _folded(view, hosts, width, room, now, required)
    lines = [*top, *rows][:height]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines


def _header(view: PhaseView, title: str, now: float, width: int) -> Text:
    counts = {state: count for state, count in view.count().items() if count}
    right = Text("  ").join(
        Text.assemble((_SIGNS[state], _STYLES[state]), f" {count} {_WORDS[state]}")
        for state, count in sorted(counts.items(), key=lambda item: item[0])
    )
    left = Text.assemble((visible(title), "bold"), "  ", (view.phase, "bold"), f" {clock(now - view.begun)}")
    gap = width - left.cell_len - right.cell_len
    if gap < 2:
        left.truncate(max(0, width - right.cell_len - 2), overflow="ellipsis")
        gap = width - left.cell_len - right.cell_len
    return Text.assemble(left, " " * max(gap, 1), right)


def _pace(pace: Pace, now: float, width: int) -> Text:
    assert pace.total is not None  # noqa: S101 - for mypy
    words = f"  {pace.ended} of {pace.total} trials, {about(pace.left(now))}"
    line = bar(pace.ended, pace.total, max(4, min(40, width - cell_len(words))))
    return Text.assemble((line, "cyan"), words)


def _folded(
    view: PhaseView, hosts: Sequence[HostView], width: int, room: int, now: float, required: Sequence[str]
) -> Iterator[Text]:
    """Yield the spread of some metrics, the hosts that want to be looked at, and how many are left out."""
    spread = list(_spread(view, required))[: max(0, min(MOST_METRICS, room - 4))]
    yield from spread
    room -= len(spread) + 1
    wanted = sum(view.state in (State.FAILED, State.LATE) for view in hosts)
    shown = sorted(hosts, key=lambda host: host.state)[: max(1, min(room, max(FOLDED_ROWS, wanted)))]
    order = {host.host: index for index, host in enumerate(hosts)}
    shown.sort(key=lambda host: (min(host.state, State.RUNNING), order[host.host]))
    yield from _rows(view, shown, width, now)
    rest = [view.state for view in hosts if view not in shown]
    words = ", ".join(f"{rest.count(state)} {_WORDS[state]}" for state in State if state in rest)
    yield Text(f"… and {len(rest)} more: {words}", "dim")


def _spread(view: PhaseView, required: Sequence[str]) -> Iterator[Text]:
    rows = [
        (visible(name), number(low), number(middle), number(high), str(count))
        for name, low, middle, high, count in view.spread(required)[:MOST_METRICS]
    ]
    if not rows:
        return
    widths = [max(cell_len(row[column]) for row in rows) for column in range(5)]
    widths[0] = min(widths[0], LONGEST_HOST)
    for row in rows:
        name, low, middle, high, count = (
            set_cell_size(cell, size) if index == 0 else cell.rjust(size)
            for index, (cell, size) in enumerate(zip(row, widths, strict=True))
        )
        found = (("  min ", "dim"), low, ("  median ", "dim"), middle, ("  max ", "dim"), high)
        yield Text.assemble(name, *found, (f"  of {count}", "dim"))


def _rows(view: PhaseView, hosts: Sequence[HostView], width: int, now: float) -> Iterator[Text]:
    longest = max((cell_len(visible(host.host)) for host in hosts), default=0)
    names = min(longest, LONGEST_HOST, max(8, width // 4))
    times = [_time(view, host, now) for host in hosts]
    longest_time = max(map(len, times), default=0)
    rest = max(0, width - names - len(view.phase) - longest_time - 7)
    metrics = [_metrics(host) for host in hosts]
    # Of the only host all lines are seen already, so that there is room.
    share = min(max(map(cell_len, metrics), default=0), rest if len(view.hosts) == 1 else rest * 2 // 3)
    for host, spent, found in zip(hosts, times, metrics, strict=True):
        name = Text(visible(host.host))
        name.truncate(names, overflow="ellipsis", pad=True)
        yield Text.assemble(
            (_SIGNS[host.state], _STYLES[host.state]),
            " ",
            name,
            f"  {view.phase} ",
            (spent.rjust(longest_time), "" if host.state in (State.RUNNING, State.LATE) else "dim"),
            "  ",
            _rest(host, found, share, rest),
        )


def _rest(host: HostView, metrics: str, share: int, width: int) -> Text:
    """Return metrics and last line; of a host that failed, why."""
    if host.state is State.FAILED:
        text = Text.assemble((visible(" ".join(host.fault.split())), "red"), f"  {host.line}")
    else:
        left = Text(metrics)
        left.truncate(share, overflow="ellipsis", pad=True)
        says = f"task: {visible(host.task)}" if host.task else host.line
        text = Text.assemble(left, "  " if share else "", (says, "dim"))
    text.truncate(width, overflow="ellipsis")
    return text


def _time(view: PhaseView, host: HostView, now: float) -> str:
    spent = clock(host.elapsed(now))
    return f"{spent}/{clock(view.timeout)}" if view.timeout else spent


def _metrics(host: HostView) -> str:
    return " ".join(f"{visible(name)}={number(value)}" for name, value in host.metrics.items())
