"""The look of every plot, and how it becomes a PNG or an SVG; one width, for a phone and a wide page alike.

`to_svg` leaves the colours to the page that it is put into, so that it follows light and dark; `standalone` gives them
back, for the Dagster UI. No pyplot: nothing global is touched, and no display is needed. Margins are fixed and not
searched for: a layout engine draws every plot two times more.
"""

import functools
import io
import re
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from recsys_dagster.evaluation.store import MetricRow, SliceRow

    Estimated = MetricRow | SliceRow

WIDTH = 4.3
"""Inches; at the 72 points of an SVG that is 310 units, about what a phone shows one to one."""
NAMES_SHARE = 0.5
"""Of the width, that the names of rows may take."""

INK, MUTED, GRID = "#1c2128", "#66707c", "#e1e5ea"
ACCENT, SECOND = "#2f6db5", "#d07a1f"
PAPER = "#fdfdfd"
"""What is written with on a filled shape."""
INTERVAL = 0.35
"""Opacity of the bar of a 95 % interval."""

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


def standalone(svg: str) -> str:
    """Return what `to_svg` returned as an image of its own: on white, in its light colours."""
    for color, name in _THEME.items():
        svg = svg.replace(f"var(--{name})", color)
    look = f'width="{WIDTH}in" style="background: white; font-family: sans-serif"'
    return svg.replace("<svg", f'<svg xmlns="http://www.w3.org/2000/svg" {look}', 1)


@functools.lru_cache(maxsize=256)
def drawn(plot: "Callable[..., Figure]", *data: Hashable, **named: Hashable) -> str:
    """Return `to_svg` of `plot(*data, **named)`, drawn once: an asset shows in Dagster what the page shows later on."""
    return to_svg(plot(*data, **named))


def _rounded(number: re.Match[str]) -> str:
    """A coordinate to a hundredth of a point, which nobody sees; a third of the size."""
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")


def styled() -> Any:
    """The style of every plot, as a context."""
    import matplotlib

    style: Any = _STYLE
    return matplotlib.rc_context(style)


def new_figure(height: float, **margins: float) -> "tuple[Figure, Axes]":
    """Return a figure of the page's width and so many inches, and its one plot; see `set_margins`."""
    with styled():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH, height))
        set_margins(figure, **margins)
        return figure, figure.subplots()


def set_margins(
    figure: "Figure", *, left: float = 0.8, right: float = 0.13, bottom: float = 0.5, top: float = 0.1
) -> None:
    """Leave so many inches around the plots; by default what numbers and a label beside and beneath them take."""
    width, height = figure.get_size_inches()
    figure.subplots_adjust(left / width, bottom / height, 1 - right / width, 1 - top / height)


def new_rows(
    names: Sequence[str], row: float, *, size: float = 10, colors: Sequence[str] = (), top: float = 0.1
) -> "tuple[Figure, Axes]":
    """Return a figure of rows of so many inches with their names at the left, the first on top, and its one plot.

    Args:
        names: in the order of the rows, which are at 0, 1, …; what takes more than its share of the width is cut.
        row: height of each.
        size: of the names, in points.
        colors: of each name; by default that of text.
        top: inches above the plot.
    """
    names = ["\n".join(_cut(line, size) for line in name.split("\n")) for name in names]
    widest = max(_inches(line, size) for name in names for line in name.split("\n"))
    figure, axes = new_figure(0.6 + top + row * max(3, len(names)), left=widest + 0.12, top=top)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_yticks([])
    # Not as labels of ticks: with all that belongs to one, a tick takes several times as long to draw as a text.
    across = axes.get_yaxis_transform()
    for place, (name, color) in enumerate(zip(names, colors or [INK] * len(names), strict=True)):
        axes.text(-0.02, place, name, transform=across, ha="right", va="center", fontsize=size, color=color)
    axes.locator_params(axis="x", nbins=5)
    return figure, axes


def _inches(line: str, size: float) -> float:
    """Return the width of a line of text of so many points."""
    inches: float = _font().getlength(line) * size / 7200
    return inches


def _cut(line: str, size: float) -> str:
    """Return the line, or as much of it as NAMES_SHARE of the width holds."""
    room = NAMES_SHARE * WIDTH
    if _inches(line, size) <= room:
        return line
    fitting = next(end for end in range(len(line), 0, -1) if _inches(f"{line[:end]}…", size) <= room)
    return f"{line[:fitting].rstrip(' ,')}…"


@functools.cache
def _font() -> Any:
    """DejaVu Sans, 100 points high; the fonts of a page are narrower."""
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf", 100)


def draw_rows(
    axes: "Axes",
    places: Sequence[float],
    rows: "Sequence[Estimated]",
    colors: str | Sequence[str],
    *,
    size: float = 5,
    thickness: float = 9,
) -> None:
    """Draw one value a row of the plot: a dot, and its 95 % interval as a bar where it has one.

    Args:
        axes: where.
        places: of the rows.
        rows: what has a value, and may have a low and a high.
        colors: one for all, or one a row.
        size, thickness: of a dot and of a bar, in points.
    """
    each = [colors] * len(rows) if isinstance(colors, str) else colors
    bars = [
        (place, row.low, row.high, color)
        for place, row, color in zip(places, rows, each, strict=True)
        if row.low is not None and row.high is not None
    ]
    if bars:
        at, lows, highs, shades = zip(*bars, strict=True)
        axes.hlines(at, lows, highs, colors=shades, alpha=INTERVAL, linewidth=thickness)
    axes.scatter([row.value for row in rows], places, s=size**2, c=each, zorder=3)


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
