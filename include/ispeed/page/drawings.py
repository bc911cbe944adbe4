"""Drawings as inline SVG: the communes on their places, bars and intervals beside a table's rows, months over time.

Every drawing repeats what a table says, so that it may be left out by who cannot see it, and tells by shape and length
what it tells by shade.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import ceil, floor, log10, sqrt
from typing import Final

from markupsafe import Markup

from ispeed.workbook.wording import number

Point = tuple[float, float]
Box = tuple[float, float, float, float]

# From few to many measurements: a cross, a hollow triangle, a pale square, a dark disc.
LEVELS: Final = ("none", "few", "some", "enough")
_MAP_WIDTH: Final = 620
_MAP_HEIGHT: Final = 640
_MARGIN: Final = 30
_LABELS_MAX: Final = 13
_BAR: Final = '<svg class="bar" viewBox="-6 0 252 18" preserveAspectRatio="xMinYMid meet" aria-hidden="true">'
_SPEED_BASE, _SPEED_HEIGHT = 190, 160
_COUNT_BASE, _COUNT_HEIGHT = 304, 76


@dataclass(frozen=True)
class Symbol:
    """A commune on the map: where it stands (degrees east and north), its level, and what it says when pointed at."""

    place: Point
    level: str
    title: str


@dataclass(frozen=True)
class MonthPoint:
    """A month of the series: measurements, and median download with its 95 % interval (Mbps) where there are any."""

    month: date
    n_measurements: int
    median: float | None
    low: float | None
    high: float | None


def symbol(level: str, x: float, y: float, radius: float) -> Markup:
    """The sign of a level round a point."""
    r = radius
    if level == "none":
        d = 0.75 * r
        path = f"M{_at(x - d)} {_at(y - d)}l{_at(2 * d)} {_at(2 * d)}m0 {_at(-2 * d)}l{_at(-2 * d)} {_at(2 * d)}"
        return Markup(f'<path class="l-none" d="{path}"/>')
    if level == "few":
        path = f"M{_at(x)} {_at(y - r)}l{_at(r)} {_at(1.75 * r)}h{_at(-2 * r)}z"
        return Markup(f'<path class="l-few" d="{path}"/>')
    if level == "some":
        side, corner = 1.7 * r, 0.85 * r
        box = f'x="{_at(x - corner)}" y="{_at(y - corner)}" width="{_at(side)}" height="{_at(side)}"'
        return Markup(f'<rect class="l-some" {box}/>')
    return Markup(f'<circle class="l-enough" cx="{_at(x)}" cy="{_at(y)}" r="{_at(r)}"/>')


def commune_map(symbols: Sequence[Symbol], labels: Mapping[str, Sequence[Point]], title: str, text: str) -> Markup:
    """The communes on their places, north up; `labels` are names with the places that they stand for.

    Empty without any symbol.
    """
    if not symbols:
        return Markup("")
    (west, east), (south, north) = (
        (min(values), max(values)) for values in zip(*(one.place for one in symbols), strict=True)
    )
    scale = min(
        (_MAP_WIDTH - 2 * _MARGIN) / max(east - west, 0.01), (_MAP_HEIGHT - 2 * _MARGIN) / max(north - south, 0.01)
    )
    width, height = (2 * _MARGIN + scale * extent for extent in (east - west, north - south))
    radius = min(8.0, max(4.0, 0.2 * sqrt(width * height / len(symbols))))

    def at(place: Point) -> Point:
        return _MARGIN + (place[0] - west) * scale, _MARGIN + (north - place[1]) * scale

    drawn = [
        Markup("<g>{}<title>{}</title></g>").format(symbol(one.level, *at(one.place), radius), one.title)
        for one in symbols
    ]
    taken = [(x - radius, y - radius, x + radius, y + radius) for x, y in (at(one.place) for one in symbols)]
    for name, places in labels.items():
        x, y, box = _free_place(name, [at(place) for place in places], taken, width, height)
        taken.append(box)
        drawn.append(Markup('<text class="place" x="{}" y="{}">{}</text>').format(_at(x), _at(y), name))
    return _head("map", width, height, title, text) + Markup("\n").join(drawn) + Markup("</svg>")


def _free_place(
    name: str, places: Sequence[Point], taken: Sequence[Box], width: float, height: float
) -> tuple[float, float, Box]:
    """Where a name hides least of what is drawn, as near as can be to the places it stands for; and its box."""
    half, rise = 3.4 * len(name), 11
    middle = (sum(x for x, _ in places) / len(places), sum(y for _, y in places) / len(places))
    best: tuple[float, float, float, Box] | None = None
    for across in range(-140, 141, 7):
        for down in range(-140, 141, 7):
            x = min(max(middle[0] + across, half + 3), width - half - 3)
            y = min(max(middle[1] + down, rise + 3), height - 5)
            box = (x - half, y - rise, x + half, y + 3)
            far = min(abs(x - px) + abs(y - py) for px, py in places)
            cost = 0.5 * far + 0.2 * (abs(across) + abs(down))
            # What it hides can only add to that, and takes long to count.
            if best is not None and cost >= best[0] - 1e-6:
                continue
            cost += sum(
                (min(box[2], other[2]) - max(box[0], other[0])) * (min(box[3], other[3]) - max(box[1], other[1]))
                for other in taken
                if box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]
            )
            if best is None or cost < best[0] - 1e-6:
                best = (cost, x, y, box)
    if best is None:
        raise AssertionError("there is always a first candidate")
    return best[1], best[2], best[3]


def legend_symbol(level: str) -> Markup:
    """A level's sign beside a word."""
    return Markup('<svg class="sign" viewBox="0 0 18 18" aria-hidden="true">{}</svg>').format(symbol(level, 9, 9, 6))


def interval_bar(median: object, low: object, high: object, most: float) -> Markup:
    """A median as a dot, and its interval as a bar, from 0 to `most`; empty where there is no median."""
    if not isinstance(median, (int, float)) or not most:
        return Markup("")
    per = 240 / most
    bar = ""
    if isinstance(low, (int, float)) and isinstance(high, (int, float)):
        bar = (
            f'<path class="whisker" d="M{_at(low * per)} 9H{_at(high * per)}'
            f'M{_at(low * per)} 4v10M{_at(high * per)} 4v10"/>'
        )
    dot = f'<circle class="dot" cx="{_at(median * per)}" cy="9" r="4"/>'
    return Markup(f'{_BAR}<path class="axis" d="M0 0v18"/>{bar}{dot}</svg>')


def nice_top(value: float) -> float:
    """A round number not below `value`, for the end of an axis."""
    if value <= 0:
        return 1
    step = 10.0 ** floor(log10(value))
    return next(step * factor for factor in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * factor >= value - 1e-9)


def waterfall_bars(kept: Sequence[int], removed: Sequence[int], start: int) -> list[Markup]:
    """A bar a step: what was received, what each reason took from what was left, what was accepted."""
    room = max(1, kept[0] - start)
    bars = []
    for index, (left, taken) in enumerate(zip(kept, removed, strict=True)):
        is_end = index in (0, len(kept) - 1)
        x = 0.0 if is_end else 240 * (left - start) / room
        width = 240 * ((left - start) if is_end else taken) / room
        look = "whole" if is_end else "taken"
        box = f'x="{_at(x)}" y="3" width="{_at(max(width, 1.5 if taken or is_end else 0))}" height="12"'
        # A cut through the bars of an axis that does not begin at 0.
        cut = '<path class="cut" d="M12 1l-5 16M17 1l-5 16"/>' if is_end and start else ""
        bars.append(Markup(f'{_BAR}<rect class="{look}" {box}/>{cut}</svg>'))
    return bars


def month_lines(points: Sequence[MonthPoint], title: str, text: str) -> Markup:
    """Median download with its interval, and measurements below it, month by month; a gap where none is published."""
    if not points:
        return Markup("")
    places = [12 * point.month.year + point.month.month for point in points]
    left, right, width = 62, 14, 720
    step = (width - left - right) / (places[-1] - places[0] + 1)
    bar = min(36.0, 0.6 * step)
    every = ceil(len(points) / _LABELS_MAX)
    speeds = [value for point in points for value in (point.median, point.low, point.high) if value is not None]
    low, high, between = _axis(min(speeds, default=0), max(speeds, default=1))
    most = nice_top(max(point.n_measurements for point in points))

    def speed_y(speed: float) -> float:
        return _SPEED_BASE - _SPEED_HEIGHT * (speed - low) / (high - low)

    n_lines = round((high - low) / between)
    speed_ticks = [(value, speed_y(value)) for value in (low + between * index for index in range(n_lines + 1))]
    count_ticks = [(most * part, _COUNT_BASE - _COUNT_HEIGHT * part) for part in (0, 0.5, 1)]
    unit = f"Mbps (trục bắt đầu từ {short(low)})" if low else "Mbps"
    parts = [_grid(left, width - right, speed_ticks, unit), _grid(left, width - right, count_ticks, "lượt đo")]
    line, before = "", 0
    for index, (place, point) in enumerate(zip(places, points, strict=True)):
        x = left + (place - places[0] + 0.5) * step
        height = _COUNT_HEIGHT * point.n_measurements / most
        box = f'x="{_at(x - bar / 2)}" y="{_at(_COUNT_BASE - height)}" width="{_at(bar)}" height="{_at(height)}"'
        parts.append(f'<rect class="taken" {box}/>')
        is_labelled = (len(points) - 1 - index) % every == 0
        if is_labelled:
            parts.append(f'<text x="{_at(x)}" y="{_COUNT_BASE + 16}">{point.month:%m/%Y}</text>')
            count = number(point.n_measurements)
            parts.append(f'<text x="{_at(x)}" y="{_at(_COUNT_BASE - height - 4)}">{count}</text>')
        if point.median is None:
            continue
        y = speed_y(point.median)
        line += f"{'L' if before == place - 1 else 'M'}{_at(x)} {_at(y)}"
        before = place
        if point.low is not None and point.high is not None:
            bottom, top = _at(speed_y(point.low)), _at(speed_y(point.high))
            ends = f"M{_at(x - 5)} {bottom}h10M{_at(x - 5)} {top}h10"
            parts.append(f'<path class="whisker" d="M{_at(x)} {bottom}V{top}{ends}"/>')
        parts.append(f'<circle class="dot" cx="{_at(x)}" cy="{_at(y)}" r="4"/>')
        if is_labelled:
            above = min(y, speed_y(point.high) if point.high is not None else y) - 7
            parts.append(f'<text class="value" x="{_at(x)}" y="{_at(above)}">{number(point.median, 2)}</text>')
    parts.append(f'<path class="line" d="{line}"/>')
    return _head("series", width, 328, title, text) + Markup("\n".join(parts)) + Markup("</svg>")


def _axis(low: float, high: float) -> tuple[float, float, float]:
    """First and last line of an axis that shows the values between `low` and `high`, and the step between lines.

    It begins at 0 unless that would leave most of it empty.
    """
    first = 0.0 if low < 0.6 * high else low - (high - low) / 2
    step = nice_top((high - first) / 3)
    return floor(first / step) * step, ceil(high / step + 1e-9) * step, step


def _grid(left: float, right: float, ticks: Sequence[tuple[float, float]], unit: str) -> str:
    lines = [
        f'<path class="grid" d="M{left} {_at(y)}H{right}"/>'
        f'<text class="tick" x="{left - 6}" y="{_at(y + 4)}">{short(value)}</text>'
        for value, y in ticks
    ]
    top = min(y for _, y in ticks)
    return "".join(lines) + f'<text class="unit" x="{left}" y="{_at(top - 9)}">{unit}</text>'


def short(value: float) -> str:
    """A number on an axis, without decimals that say nothing."""
    return number(round(value, 2), 2).rstrip("0").removesuffix(",")


def _head(name: str, width: float, height: float, title: str, text: str) -> Markup:
    return Markup(
        '<svg class="{0}" viewBox="0 0 {1} {2}" width="{1}" height="{2}" role="img" '
        'aria-labelledby="{0}-title {0}-text"><title id="{0}-title">{3}</title><desc id="{0}-text">{4}</desc>'
    ).format(name, _at(width), _at(height), title, text)


def _at(value: float) -> str:
    """A coordinate with one decimal at most, the same on every machine."""
    return f"{value:.1f}".removesuffix(".0") if abs(value) >= 0.05 else "0"
