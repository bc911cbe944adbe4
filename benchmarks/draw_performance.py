"""The charts of docs/performance.md, from docs/performance.json: the JSON lines that `make bench` ended with.

    python benchmarks/draw_performance.py

Both axes are logarithmic: what grows with the rows is a straight line that rises one step a step.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import log10
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
WIDTH, HEIGHT, LEFT, BOTTOM, RIGHT, TOP = 640, 360, 70, 46, 150, 24
# Told apart by colour, by dash and by the name at their end.
STYLES = {"scan": ("#767676", "2 3"), "pipeline": ("#0b5cad", ""), "pandas": ("#a33c00", "7 4")}


def draw(title: str, unit: str, lines: dict[str, list[tuple[float, float]]], limit: float | None = None) -> str:
    """An SVG of values by rows; `limit` is a line across, what was to be reached."""
    values = [value for points in lines.values() for _, value in points] + ([limit] if limit else [])
    rows = [row for points in lines.values() for row, _ in points]
    low, high = 10 ** int(log10(min(values)) // 1), 10 ** -int(-log10(max(values)) // 1)

    def x(row: float) -> float:
        return LEFT + (log10(row) - log10(min(rows))) / log10(max(rows) / min(rows)) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - log10(value / low) / log10(high / low) * (HEIGHT - BOTTOM - TOP)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="15" font-weight="bold">{title}</text>',
    ]
    step = low
    while step <= high:
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(step):.1f}" y2="{y(step):.1f}" stroke="#ddd"/>'
            f'<text x="{LEFT - 6}" y="{y(step) + 4:.1f}" text-anchor="end">{step:,.10g} {unit}</text>'
        )
        step *= 10
    for row in sorted(set(rows)):
        parts.append(
            f'<text x="{x(row):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{row / 1e6:g}</text>'
            f'<line x1="{x(row):.1f}" x2="{x(row):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#eee"/>'
        )
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">million rows</text>')
    if limit:
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(limit):.1f}" y2="{y(limit):.1f}" stroke="#b00020"/>'
            f'<text x="{WIDTH - RIGHT + 6}" y="{y(limit) + 4:.1f}" fill="#b00020">target {limit:,.10g} {unit}</text>'
        )
    for name, points in lines.items():
        colour, dash = STYLES[name]
        path = " ".join(f"{x(row):.1f},{y(value):.1f}" for row, value in points)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>'
        )
        parts += [f'<circle cx="{x(row):.1f}" cy="{y(value):.1f}" r="3.5" fill="{colour}"/>' for row, value in points]
        row, value = points[-1]
        parts.append(
            f'<text x="{x(row) + 8:.1f}" y="{y(value) + 4:.1f}" fill="{colour}">{name} {value:,.3g} {unit}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


def _points(runs: Sequence[dict[str, float | None]], column: str) -> list[tuple[float, float]]:
    return [(run["rows"] or 0, value) for run in runs if (value := run[column]) is not None]


if __name__ == "__main__":
    runs = sorted(json.loads((DOCS / "performance.json").read_text(encoding="utf-8")), key=lambda run: run["rows"])
    seconds = {name: _points(runs, f"{name}_s") for name in STYLES}
    (DOCS / "pictures" / "performance_time.svg").write_text(draw("Time of a month", "s", seconds), encoding="utf-8")
    memory = {"pipeline": _points(runs, "peak_mb")}
    (DOCS / "pictures" / "performance_memory.svg").write_text(
        draw("Most memory at a time", "MB", memory, limit=2000), encoding="utf-8"
    )
