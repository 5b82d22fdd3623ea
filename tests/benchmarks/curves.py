"""Curves as SVG: a few lines with names at their ends, readable on light and dark pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Final

WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 56, 150, 16, 48
COLOURS: Final = (
    *("#888888", "#4477aa", "#66ccee", "#228833", "#ccbb44", "#ee6677", "#aa3377", "#0099cc"),
    *("#dd7788", "#997700", "#44bb99", "#bb5566", "#6699cc", "#aaaa00", "#ee8866", "#77aadd"),
)


def draw(curves: Mapping[str, Mapping[float, float]], x_label: str, y_label: str) -> str:
    """Return an SVG of curves, each a mapping from x to y."""
    xs = [x for curve in curves.values() for x in curve]
    ys = [y for curve in curves.values() for y in curve.values()]
    x_range, y_range = (min(xs), max(xs)), (10 * (min(ys) // 10), 100.0)
    parts = [*_frame(x_range, y_range, x_label, y_label)]
    ends = _apart([_y(curve[min(curve)], y_range) for curve in curves.values()])
    for (name, curve), colour, end in zip(curves.items(), COLOURS, ends, strict=False):
        points = " ".join(
            f"{_x(x, x_range):.1f},{_y(curve[x], y_range):.1f}" for x in sorted(curve)
        )
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )
        at = WIDTH - RIGHT + 10
        parts.append(f'<text x="{at}" y="{end + 4:.1f}" fill="{colour}">{escape(name)}</text>')
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="12">\n{body}\n</svg>\n'
    )


def _frame(
    x_range: tuple[float, float], y_range: tuple[float, float], x_label: str, y_label: str
) -> list[str]:
    """Return grid lines with numbers, and what they count."""
    parts = []
    for step in range(int(y_range[0]), int(y_range[1]) + 1, 10):
        y = _y(step, y_range)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#8884"/>')
        parts.append(
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" fill="#888" text-anchor="end">{step}</text>'
        )
    for tenth in range(10, 0, -1):
        if x_range[0] <= tenth / 10 <= x_range[1]:
            x = _x(tenth / 10, x_range)
            parts.append(
                f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" fill="#888" '
                f'text-anchor="middle">{tenth / 10:.0%}</text>'
            )
    middle = LEFT + (WIDTH - LEFT - RIGHT) / 2
    parts.append(
        f'<text x="{middle}" y="{HEIGHT - 10}" fill="#888" text-anchor="middle">{x_label}</text>'
    )
    parts.append(f'<text x="{LEFT}" y="12" fill="#888" text-anchor="end">{y_label}</text>')
    return parts


def _x(x: float, x_range: tuple[float, float]) -> float:
    """Return where a number lies across; the largest is on the left."""
    low, high = x_range
    return LEFT + (high - x) / (high - low) * (WIDTH - LEFT - RIGHT)


def _y(y: float, y_range: tuple[float, float]) -> float:
    low, high = y_range
    return TOP + (high - y) / (high - low) * (HEIGHT - TOP - BOTTOM)


def _apart(wanted: Sequence[float], least: float = 14) -> list[float]:
    """Move names apart that would lie on each other, and all of them up if need be."""
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    found = list(wanted)
    for before, after in pairwise(order):
        found[after] = max(found[after], found[before] + least)
    over = max([0.0, *(y - (HEIGHT - 6) for y in found)])
    for before, after in pairwise(reversed(order)):
        found[before] = min(found[before], HEIGHT - 6) if over else found[before]
        found[after] = min(found[after], found[before] - least)
    return found
