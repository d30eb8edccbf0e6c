"""Draw architecture.toml as architecture.svg, beside it."""

import pathlib
import tomllib
from typing import Any
from xml.sax.saxutils import escape

HERE = pathlib.Path(__file__).parent
STYLE = """
text { font: 13px ui-sans-serif, system-ui, sans-serif; fill: #1f2937 }
.title { font-weight: 600 }
.label { font-size: 12px; fill: #6b7280 }
.box { fill: #f9fafb; stroke: #9ca3af; rx: 8px }
.strong { fill: #ecfdf5; stroke: #059669 }
.arrow { fill: none; stroke: #6b7280; stroke-width: 1.5; marker-end: url(#tip) }
"""
TIP = (
    '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
    'orient="auto"><path d="M0 0 8 4 0 8z" fill="#6b7280"/></marker>'
)
LINE = 18


def draw(picture: dict[str, Any]) -> str:
    """The whole SVG document."""
    width, height = picture["size"]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        'aria-label="The parts of gpurun and what they say to each other">',
        f"<style>{STYLE}</style><defs>{TIP}</defs>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        *(box(b) for b in picture["box"]),
        *(arrow(a) for a in picture["arrow"]),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def box(box: dict[str, Any]) -> str:
    """A rectangle with a title and lines of text."""
    x, y, width, height = box["at"]
    kind = "box strong" if box.get("strong") else "box"
    parts = [f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}"/>']
    parts.append(text(x + 12, y + 24, box["title"], "title"))
    lines = enumerate(box["lines"], start=1)
    parts += [text(x + 12, y + 26 + LINE * number, line) for number, line in lines]
    return "".join(parts)


def arrow(arrow: dict[str, Any]) -> str:
    """A line with a tip, and its label."""
    points = " ".join(f"{x},{y}" for x, y in arrow["points"])
    line = f'<polyline class="arrow" points="{points}"/>'
    if "label" not in arrow:
        return line
    x, y, words = arrow["label"]
    return line + text(x, y, words, "label")


def text(x: float, y: float, words: str, kind: str = "") -> str:
    """One line of text."""
    return f'<text x="{x}" y="{y}" class="{kind}">{escape(words)}</text>'


if __name__ == "__main__":
    picture = tomllib.loads((HERE / "architecture.toml").read_text(encoding="utf-8"))
    (HERE / "architecture.svg").write_text(draw(picture), encoding="utf-8")
