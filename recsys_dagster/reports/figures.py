"""The look of every plot, and how it becomes a PNG or an SVG; one width, for a phone and a wide page alike.

`to_png` gives a figure its light colours (for the Dagster UI); `to_svg` leaves the colours to the page that it is put
into, so that it follows light and dark. No pyplot: nothing global is touched, and no display is needed.
"""

import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 4.3
"""Inches; at the 72 points of an SVG that is 310 units, about what a phone shows one to one."""

INK, MUTED, GRID = "#1c2128", "#66707c", "#e1e5ea"
ACCENT, SECOND = "#2f6db5", "#d07a1f"
PAPER = "#fdfdfd"
"""What is written with on a filled shape."""

_THEME = {INK: "ink", MUTED: "muted", GRID: "line", ACCENT: "accent", SECOND: "second", PAPER: "card"}

_LONG_NUMBER = re.compile(r"\d+\.\d{3,}")

_STYLE: dict[str, Any] = {
    "font.size": 10,
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.color": GRID,
    "ytick.labelcolor": MUTED,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "recsys",
}


def to_png(figure: "Figure") -> bytes:
    """Return the figure as a PNG on white, at twice the resolution of a screen."""
    buffer = io.BytesIO()
    with styled():
        figure.savefig(buffer, format="png", dpi=160, facecolor="white")
    return buffer.getvalue()


def to_svg(figure: "Figure") -> str:
    """Return the figure as an `<svg>` element to put into a page.

    It is as wide as its container, its text is text, and its colours are the page's CSS variables --ink, --muted,
    --line, --accent and --second.
    """
    buffer = io.StringIO()
    with styled():
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r' id="[A-Za-z.]+_\d+"', "", svg)  # the same in every figure; nothing refers to them
    svg = re.sub(r" xmlns(:\w+)?=\"[^\"]*\"", "", svg).replace("xlink:href", "href")
    svg = re.sub(r"font: ([^;\"]*?)([\d.]+)px [^;\"]*", r"font-size: \2px", svg)
    svg = re.sub(r"<[^>]+>", lambda tag: _LONG_NUMBER.sub(_rounded, tag[0]), svg)
    for color, name in _THEME.items():
        svg = svg.replace(color, f"var(--{name})")
    return svg


def _rounded(number: re.Match[str]) -> str:
    """A coordinate to a hundredth of a point, which nobody sees; a third of the size."""
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")


def styled() -> Any:
    """The style of every plot, as a context."""
    import matplotlib

    style: Any = _STYLE
    return matplotlib.rc_context(style)


def new_figure(height: float) -> "tuple[Figure, Axes]":
    """Return a figure of the page's width and so many inches, and its one plot."""
    with styled():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        return figure, figure.subplots()


def plot_columns(labels: Sequence[str], counts: Sequence[int], xlabel: str, ylabel: str) -> "Figure":
    """Draw named counts as columns, in the order given."""
    figure, axes = new_figure(2.5)
    axes.bar(range(len(labels)), counts, width=0.8, color=ACCENT, alpha=0.85)
    axes.set_xticks(range(len(labels)), labels)
    label_counts(axes, xlabel, ylabel)
    return figure


def label_counts(axes: "Axes", xlabel: str, ylabel: str) -> None:
    """Label a plot whose heights are counts."""
    axes.grid(visible=False, axis="x")
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.yaxis.set_major_formatter(lambda value, _: short(value))


def short(n: float, digits: int = 3) -> str:
    """A count in few characters, of so many significant digits: 950, 1.25k, 35k, 1.5M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if n >= size:
            return f"{n / size:.{digits}g}{letter}" if n < 99.5 * size else f"{n / size:.0f}{letter}"
    return f"{n:g}"
