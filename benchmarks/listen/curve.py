"""A picture of how much is found at how many false alarms, in SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

Curve = Sequence[tuple[float, float]]
"""Points: the share of good takes called damaged, and of damaged ones found."""

WIDTH, HEIGHT, MARGIN = 420, 300, 45
MAX_ALARMS = 0.25
COLOURS = ("#1b6ca8", "#b3541e", "#2d7d46", "#7a3b8f")


def draw(path: Path, titles_and_curves: Mapping[str, Mapping[str, Curve]]) -> None:
    """Draw a diagram for each title, side by side."""
    total = WIDTH * len(titles_and_curves)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="{HEIGHT}" font-family="sans-serif" '
        f'font-size="11"><rect width="{total}" height="{HEIGHT}" fill="white"/>'
    ]
    for number, (title, curves) in enumerate(titles_and_curves.items()):
        parts += _diagram(number * WIDTH, title, curves)
    path.write_text("\n".join([*parts, "</svg>"]) + "\n", encoding="utf-8")


def _diagram(left: int, title: str, curves: Mapping[str, Curve]) -> list[str]:
    right, bottom = left + WIDTH - 15, HEIGHT - MARGIN

    def place(alarms: float, found: float) -> str:
        x = left + MARGIN + min(alarms, MAX_ALARMS) / MAX_ALARMS * (right - left - MARGIN)
        return f"{x:.1f},{bottom - found * (bottom - 30):.1f}"

    parts = [f'<text x="{left + MARGIN}" y="18" font-size="13">{title}</text>']
    for tenth in range(0, 11, 2):
        x, y = place(0, tenth / 10).split(",")
        parts.append(f'<line x1="{x}" y1="{y}" x2="{right}" y2="{y}" stroke="#ddd"/>')
        parts.append(f'<text x="{float(x) - 6}" y="{float(y) + 4}" text-anchor="end">{10 * tenth} %</text>')
    for percent in range(0, 26, 5):
        x, _ = place(percent / 100, 0).split(",")
        parts.append(f'<text x="{x}" y="{bottom + 16}" text-anchor="middle">{percent} %</text>')
    parts.append(f'<text x="{(left + right) / 2}" y="{HEIGHT - 8}" text-anchor="middle">false alarms</text>')
    for row, ((name, curve), colour) in enumerate(zip(curves.items(), COLOURS, strict=False)):
        points = " ".join(place(*point) for point in sorted(curve))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        y = bottom - 12 - 16 * (len(curves) - 1 - row)
        parts.append(f'<text x="{right - 8}" y="{y}" text-anchor="end" fill="{colour}">{name}</text>')
    return parts
