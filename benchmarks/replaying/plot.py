"""The figures as bars, in SVG written by hand."""

import math
from collections.abc import Callable, Sequence
from html import escape

from benchmarks.replaying.figures import Figures, span

BAR, GAP, LEFT, WIDTH = 18, 6, 150, 640
COLORS = ("#2563eb", "#9ca3af", "#d97706", "#7c3aed")

Show = Callable[[float], str]
PANELS: tuple[tuple[str, Callable[[Figures], float], Show, bool], ...] = (
    ("Light tasks: 95th percentile of the wait (log)", lambda f: f.light_wait_p95, span, True),
    ("Light tasks: mean wait (log)", lambda f: f.light_wait_mean, span, True),
    ("Trainings: mean time from arrival to end", lambda f: f.completion_mean, span, False),
    ("Makespan", lambda f: f.makespan, span, False),
    ("Jobs that failed", lambda f: f.failed, lambda value: f"{value:.0f}", False),
    ("Trainings: device-hours lost", lambda f: f.lost, lambda value: f"{value:.1f} h", False),
    ("Device use", lambda f: f.use, lambda value: f"{value:.1%}", False),
)


def plot(rows: Sequence[Figures]) -> str:
    """One panel for each figure, one bar for each policy."""
    panel = 30 + len(rows) * (BAR + GAP)
    height = len(PANELS) * panel + 10
    drawn = [_panel(10 + at * panel, rows, *given) for at, given in enumerate(PANELS)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="sans-serif" font-size="12">\n'
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>\n'
        + "\n".join(drawn)
        + "\n</svg>\n"
    )


def _panel(
    top: int,
    rows: Sequence[Figures],
    title: str,
    value_of: Callable[[Figures], float],
    show: Show,
    logarithmic: bool,
) -> str:
    values = [value_of(row) for row in rows]
    lengths = [math.log10(1 + value) if logarithmic else value for value in values]
    longest = max(lengths) or 1.0
    lines = [f'<text x="10" y="{top + 14}" font-weight="bold">{escape(title)}</text>']
    for at, (row, value, length) in enumerate(zip(rows, values, lengths, strict=True)):
        y = top + 22 + at * (BAR + GAP)
        width = length / longest * (WIDTH - LEFT - 90)
        color = COLORS[at % len(COLORS)]
        lines += [
            f'<text x="{LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(row.policy)}</text>',
            f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{color}"/>',
            f'<text x="{LEFT + width + 6:.1f}" y="{y + 13}">{show(value)}</text>',
        ]
    return "\n".join(lines)
