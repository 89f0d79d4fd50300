"""Plots as SVG that takes its colours from the page: light, dark and printed alike.

Plotting libraries fix the colours or draw on a canvas, and add megabytes to a page.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

from ansible_env.report.formatting import visible

WIDTH, HEIGHT = 420, 240
LEFT, RIGHT, TOP, BOTTOM = 50, 10, 10, 40
MAX_TITLED = 1500
"""Most points that get an element and a tooltip each."""
_CHARACTER = 5.6
"""Approximate width of a character of an axis, in pixels."""
LONGEST_NAME = 40
"""Characters of a name that has room below its band."""
SPREAD = 100
"""Ratio of the largest to the smallest value from which a scale is logarithmic."""
_BYTES = ((2.0**40, "TiB"), (2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"))
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True, slots=True)
class Point:
    """A point with a tooltip."""

    x: float
    y: float
    words: str = ""


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear scale, from pixel `start` to pixel `end`."""

    low: float
    high: float
    start: float
    end: float
    whole: bool = False
    """Whether all values are integers; then the labels are, too."""

    @classmethod
    def over(cls, values: Iterable[float], start: float, end: float) -> Linear:
        """Return the scale for the values, with a margin."""
        values = list(values) or [0.0, 1.0]
        low, high = min(values), max(values)
        room = (high - low) * 0.05 or abs(low) * 0.05 or 1.0
        room = max(room, 1e-9 * max(abs(low), abs(high)))  # floats that are almost equal leave no digits for ticks
        # The scale includes 0 if it is near: otherwise noise looks like a difference.
        bottom = 0.0 if 0 <= low <= 0.5 * high else low - room
        return cls(bottom, high + room, start, end, all(float(value).is_integer() for value in values))

    def at(self, value: float) -> float:
        """Return the position of a value, in pixels."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[tuple[float, str]]:
        """Return round values and their labels."""
        step = 10 ** math.floor(math.log10((self.high - self.low) / 4))
        step *= next(factor for factor in (1, 2, 2.5, 5, 10) if (self.high - self.low) / (step * factor) <= 5)
        step = max(1.0, round(step)) if self.whole else step
        first = math.ceil(self.low / step)
        values = [n * step for n in range(first, math.floor(self.high / step) + 1)]
        return [(value, short_number(value, step, max(map(abs, values), default=0))) for value in values]


class Log(Linear):
    """A logarithmic scale."""

    @classmethod
    def over(cls, values: Iterable[float], start: float, end: float) -> Log:
        """Return the scale for the values, with a margin."""
        values = list(values)
        room = (max(values) / min(values)) ** 0.05
        return cls(min(values) / room, max(values) * room, start, end)

    def at(self, value: float) -> float:
        """Return the position of a value, in pixels."""
        return self.start + math.log(value / self.low) / math.log(self.high / self.low) * (self.end - self.start)

    def ticks(self) -> list[tuple[float, str]]:
        """Return powers of ten, or of two if there are few of those, and their labels."""
        for base in (10.0, 2.0):
            first, last = math.ceil(math.log(self.low, base)), math.floor(math.log(self.high, base))
            if last - first >= 2:
                break
        every = math.ceil((last - first + 1) / 7)
        return [(base**n, short_number(base**n)) for n in range(first, last + 1, every)]


class Bytes(Linear):
    """A linear scale whose labels are KiB, MiB and so on."""

    def ticks(self) -> list[tuple[float, str]]:
        """Return round values of the largest unit that fits, and their labels."""
        factor, unit = next(((f, u) for f, u in _BYTES if self.high >= f), (1.0, "B"))
        inner = Linear(self.low / factor, self.high / factor, self.start, self.end)
        return [(value * factor, f"{value:g} {unit}") for value, _ in inner.ticks()]


@dataclass(frozen=True, slots=True)
class Bands:
    """A scale with a band for each name."""

    names: Sequence[str]
    start: float
    end: float

    @property
    def step(self) -> float:
        """Width of a band, in pixels."""
        return abs(self.end - self.start) / max(1, len(self.names))

    def at(self, value: float) -> float:
        """Return the middle of a band, given its index, in pixels."""
        return self.start + (value + 0.5) / max(1, len(self.names)) * (self.end - self.start)

    def ticks(self) -> list[tuple[float, str]]:
        """Return as many of the names as fit."""
        every = math.ceil(max(map(len, self.names), default=1) * _CHARACTER / self.step) if len(self.names) > 8 else 1
        return [(index, name) for index, name in enumerate(self.names) if index % every == 0]


Scale = Linear | Bands


def scale_of(name: str, values: Iterable[float], start: float, end: float) -> Linear:
    """Return a linear scale for a quantity; one for bytes if its name says so."""
    is_bytes = name.endswith(("_bytes", "_bytes_per_s")) or name == "bytes"
    return (Bytes if is_bytes else Linear).over(values, start, end)


def scale_for(values: Sequence[float], start: float, end: float) -> Linear:
    """Return a logarithmic scale if the values differ so much that a linear one would show most in one corner."""
    wide = min(values) > 0 and max(values) / min(values) >= SPREAD
    return Log.over(values, start, end) if wide else Linear.over(values, start, end)


def width_for(names: Sequence[str]) -> int:
    """Return the width of a plot in which each of these names has room below its band."""
    longest = min(max(map(len, names), default=0), LONGEST_NAME)
    return max(WIDTH, LEFT + RIGHT + math.ceil(len(names) * (longest + 1) * _CHARACTER))


def short_number(value: float, step: float = 0, largest: float = 0) -> str:
    """Return a number for an axis. `step` determines the digits, `largest` the unit prefix."""
    size = largest or abs(value)
    if not value:
        return "0"
    factor, prefix = next(((f, p) for f, p in _PREFIXES if size >= f * 10), (1.0, ""))
    scaled, scaled_step = value / factor, step / factor
    if scaled and (abs(scaled) < 1e-4 or abs(scaled) >= 1e5):
        return f"{scaled:.3g}{prefix}"
    digits = max(0, math.ceil(-math.log10(scaled_step) - 1e-9)) if scaled_step else 3
    text = f"{scaled:.{min(digits + 1, 6)}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + prefix


def text(value: object) -> str:
    """Return untrusted text for a page, escaped and without control characters."""
    return escape(visible(str(value)))


def clipped(value: str, size: int) -> str:
    """Return text, cut to `size` characters."""
    return value if len(value) <= size else value[: size - 1] + "…"


def plot(parts: Iterable[str], label: str, width: int = WIDTH, height: int = HEIGHT) -> Markup:
    """Return a complete plot. It is safe in a page: all text from hosts was escaped when the parts were drawn."""
    least = f' style="min-width:{width}px"' if width > WIDTH else ""  # it scrolls; its labels stay readable
    head = f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{text(label)}"{least}>'
    return Markup(head + "".join(parts) + "</svg>")  # noqa: S704


def axes(x: Scale, y: Scale, x_label: str, width: int = WIDTH, height: int = HEIGHT) -> Iterable[str]:
    """Yield the grid and the labels of the axes."""
    bottom = height - BOTTOM
    for value, name in y.ticks():
        at = y.at(value)
        yield f'<line class="grid" x1="{LEFT}" x2="{width - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
        yield f'<text class="tick end" x="{LEFT - 5}" y="{at + 3.5:.1f}">{text(clipped(name, 9))}</text>'
    ticks = x.ticks()
    room = max(2, int((width - LEFT - RIGHT) / max(1, len(ticks)) / _CHARACTER))
    for value, name in ticks:
        place = f'x="{x.at(value):.1f}" y="{bottom + 14}"'
        yield f'<text class="tick mid" {place}>{text(clipped(name, room))}</text>'
    yield f'<line class="axis" x1="{LEFT}" x2="{width - RIGHT}" y1="{bottom}" y2="{bottom}"/>'
    yield f'<text class="label mid" x="{(LEFT + width - RIGHT) / 2}" y="{height - 6}">{text(x_label)}</text>'


def dots(points: Sequence[Point], x: Scale, y: Scale, kind: str = "dot") -> Iterable[str]:
    """Yield the points: an element for each, or one path if there are many."""
    if len(points) > MAX_TITLED:
        places = "".join(f"M{x.at(p.x):.1f} {y.at(p.y):.1f}h0" for p in points)
        yield f'<path class="{kind} many" d="{places}"/>'
        return
    for point in points:
        title = f"<title>{text(point.words)}</title>" if point.words else ""
        yield f'<circle class="{kind}" cx="{x.at(point.x):.1f}" cy="{y.at(point.y):.1f}" r="2.5">{title}</circle>'


def line(points: Iterable[tuple[float, float]], x: Scale, y: Scale, kind: str = "line") -> str:
    """Return a line through the points."""
    places = " ".join(f"{x.at(a):.1f},{y.at(b):.1f}" for a, b in points)
    return f'<polyline class="{kind}" points="{places}"/>'


def box(at: float, half: float, quantiles: Sequence[float], y: Scale, words: str = "") -> str:
    """Return a box plot: a box between the quartiles, the median, and lines to minimum and maximum."""
    low, first, middle, third, high = (y.at(value) for value in quantiles)
    lines = f"M{at:.1f} {low:.1f}V{first:.1f}M{at:.1f} {third:.1f}V{high:.1f}"
    tall = max(first - third, 0.5)
    return (
        f'<g class="box"><title>{text(words)}</title><path class="whisker" d="{lines}"/>'
        f'<rect x="{at - half:.1f}" y="{third:.1f}" width="{2 * half:.1f}" height="{tall:.1f}"/>'
        f'<path class="median" d="M{at - half:.1f} {middle:.1f}H{at + half:.1f}"/></g>'
    )
