"""Rows as a bar chart in SVG: one group of bars a work, of the first figure that its rows have in common."""

from __future__ import annotations

from html import escape
from typing import Any

FIGURES = (
    "steps_per_s",
    "rate",
    "runs_per_s",
    "events_per_s",
    "ms",
    "median_ms",
    "median_s",
    "seconds",
    "mb",
)
WIDTH, BAR, LABEL = 900, 22, 300


def draw(rows: list[dict[str, Any]]) -> str:
    """Return the chart."""
    lines, y = [], 0
    for work in dict.fromkeys(row["work"] for row in rows):
        mine = [row for row in rows if row["work"] == work]
        figure = next((name for name in FIGURES if any(row.get(name) for row in mine)), "")
        values = [(_name(row), float(row.get(figure) or 0)) for row in mine]
        y += BAR
        lines.append(f'<text x="4" y="{y + 15}" font-weight="bold">{escape(f"{work}: {figure}")}</text>')
        for name, value in values:
            y += BAR
            length = (WIDTH - LABEL - 90) * value / (max(each for _, each in values) or 1)
            lines.append(f'<text x="4" y="{y + 15}">{escape(name)}</text>')
            lines.append(
                f'<rect x="{LABEL}" y="{y + 3}" width="{length:.1f}" height="{BAR - 6}" fill="#2a6f97"/>'
            )
            lines.append(f'<text x="{LABEL + length + 6:.1f}" y="{y + 15}">{value:g}</text>')
        y += BAR // 2
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + BAR}" '
    return head + 'font-family="sans-serif" font-size="12">\n' + "\n".join(lines) + "\n</svg>\n"


def _name(row: dict[str, Any]) -> str:
    return str(
        next(
            (row[key] for key in ("case", "crowd", "waits", "asleep", "workers", "minute") if key in row), ""
        )
    )
