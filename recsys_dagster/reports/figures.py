"""The style of all plots, and their conversion to PNG and SVG.

All plots have one width, which suits a phone as well as a wide page. `to_svg` uses the colours of the surrounding page,
so that a plot follows its light and dark scheme; `standalone_svg` replaces them by fixed colours for the Dagster UI.
There is no pyplot: no global state is changed and no display is needed. Margins are fixed, because a layout engine
would draw every plot two more times.
"""

import contextlib
import functools
import io
import re
import warnings
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from recsys_dagster.runtime.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from recsys_dagster.evaluation.store import MetricRow, SliceRow

    Estimated = MetricRow | SliceRow

WIDTH = 4.3
"""Inches; at the 72 points of an SVG that is 310 units, about what a phone shows one to one."""
NAMES_SHARE = 0.5
"""Largest share of the width that the names of rows may take."""

INK, MUTED, GRID = "#1c2128", "#66707c", "#e1e5ea"
ACCENT, SECOND = "#2f6db5", "#d07a1f"
PAPER = "#fdfdfd"
"""Colour of text on a filled shape."""
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
    with _saving(figure):
        figure.savefig(buffer, format="png", dpi=160, facecolor="white")
    return buffer.getvalue()


def to_svg(figure: "Figure") -> str:
    """Return the figure as an `<svg>` element that can be put into a page.

    It is as wide as its container, its text stays text, and its colours are the CSS variables --ink, --muted, --line,
    --accent, --second and --card of the page.
    """
    buffer = io.StringIO()
    with _saving(figure):
        no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=no_metadata)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r' id="[A-Za-z.]+_\d+"', "", svg)  # equal in all figures, and nothing refers to them
    svg = re.sub(r" xmlns(:\w+)?=\"[^\"]*\"", "", svg).replace("xlink:href", "href")
    svg = re.sub(r"font: ([^;\"]*?)([\d.]+)px [^;\"]*", r"font-size: \2px", svg)
    svg = re.sub(r"<[^>]+>", lambda tag: _LONG_NUMBER.sub(_rounded, tag[0]), svg)
    for color, name in _THEME.items():
        svg = svg.replace(color, f"var(--{name})")
    return svg


def standalone_svg(svg: str) -> str:
    """Return an SVG of `to_svg` as an independent image, on white in the light colours."""
    for color, name in _THEME.items():
        svg = svg.replace(f"var(--{name})", color)
    attributes = f'width="{WIDTH}in" style="background: white; font-family: sans-serif"'
    return svg.replace("<svg", f'<svg xmlns="http://www.w3.org/2000/svg" {attributes}', 1)


@functools.lru_cache(maxsize=256)
def cached_svg(plot: "Callable[..., Figure]", *data: Hashable, **options: Hashable) -> str:
    """Return `to_svg(plot(*data, **options))`, drawn once for the Dagster UI and for the page."""
    return to_svg(plot(*data, **options))


def _rounded(number: re.Match[str]) -> str:
    """Round a coordinate to a hundredth of a point, which is invisible and saves a third of the size."""
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")


@contextlib.contextmanager
def _saving(figure: "Figure") -> Iterator[None]:
    """Apply the style while the figure is saved, and show its texts literally."""
    _show_text_literally(figure)
    with plot_style(), warnings.catch_warnings():
        # DejaVu Sans has no Japanese, for instance. An SVG is shown in the fonts of the browser.
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        yield


def _show_text_literally(figure: "Figure") -> None:
    """Prepare the figure for names that hold any character.

    `$…$` is not parsed as a formula, and control characters, which an SVG must not hold, are replaced.
    """
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)
        text.set_text("\n".join(map(printable, text.get_text().split("\n"))))


def plot_style() -> contextlib.AbstractContextManager[None]:
    """Return a context manager that applies the style of all plots."""
    import matplotlib

    style: Any = _STYLE
    return matplotlib.rc_context(style)


def new_figure(height: float, **margins: float) -> "tuple[Figure, Axes]":
    """Return a figure of the common width with a single plot.

    Args:
        height: in inches.
        **margins: arguments of `set_margins`.
    """
    with plot_style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH, height))
        set_margins(figure, **margins)
        return figure, figure.subplots()


def set_margins(
    figure: "Figure", *, left: float = 0.8, right: float = 0.13, bottom: float = 0.5, top: float = 0.1
) -> None:
    """Set the margins of a figure in inches; the defaults leave room for tick labels and axis labels."""
    width, height = figure.get_size_inches()
    figure.subplots_adjust(left / width, bottom / height, 1 - right / width, 1 - top / height)


def new_row_plot(
    names: Sequence[str], row: float, *, size: float = 10, colors: Sequence[str] = (), top: float = 0.1
) -> "tuple[Figure, Axes]":
    """Return a figure with a single plot of named rows, the first row on top.

    Args:
        names: name of each row; row i is at y = i. A line longer than `NAMES_SHARE` of the width is truncated.
        row: height of a row in inches.
        size: font size of the names in points.
        colors: colour of each name; the default is the colour of text.
        top: margin above the plot in inches.
    """
    names = ["\n".join(_truncate(line, size) for line in name.split("\n")) for name in names]
    widest = max(_inches(line, size) for name in names for line in name.split("\n"))
    figure, axes = new_figure(0.6 + top + row * max(3, len(names)), left=widest + 0.12, top=top)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_yticks([])
    # Plain texts instead of tick labels, because a tick takes several times as long to draw.
    transform = axes.get_yaxis_transform()
    for place, (name, color) in enumerate(zip(names, colors or [INK] * len(names), strict=True)):
        axes.text(-0.02, place, name, transform=transform, ha="right", va="center", fontsize=size, color=color)
    axes.locator_params(axis="x", nbins=5)
    return figure, axes


def _inches(line: str, size: float) -> float:
    """Return the width of a line of text of `size` points."""
    inches: float = _font().getlength(line) * size / 7200
    return inches


def _truncate(line: str, size: float) -> str:
    """Return the line, shortened to `NAMES_SHARE` of the width."""
    room = NAMES_SHARE * WIDTH
    if _inches(line, size) <= room:
        return line
    fitting = next(end for end in range(len(line), 0, -1) if _inches(f"{line[:end]}…", size) <= room)
    return f"{line[:fitting].rstrip(' ,')}…"


@functools.cache
def _font() -> Any:
    """Return DejaVu Sans at 100 points; it is wider than the fonts of the page."""
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf", 100)


def draw_estimates(
    axes: "Axes",
    places: Sequence[float],
    rows: "Sequence[Estimated]",
    colors: str | Sequence[str],
    *,
    size: float = 5,
    thickness: float = 9,
) -> None:
    """Draw each value as a dot, and its 95 % interval as a bar if it has one.

    Args:
        axes: the plot.
        places: y coordinate of each row.
        rows: the values with their intervals.
        colors: one colour for all rows, or one for each.
        size, thickness: diameter of a dot and height of a bar in points.
    """
    each = [colors] * len(rows) if isinstance(colors, str) else colors
    bars = [
        (place, row.low, row.high, color)
        for place, row, color in zip(places, rows, each, strict=True)
        if row.low is not None and row.high is not None
    ]
    if bars:
        bar_places, lows, highs, bar_colors = zip(*bars, strict=True)
        axes.hlines(bar_places, lows, highs, colors=bar_colors, alpha=INTERVAL, linewidth=thickness)
    axes.scatter([row.value for row in rows], places, s=size**2, c=each, zorder=3)


def plot_columns(labels: Sequence[str], counts: Sequence[int], xlabel: str, ylabel: str) -> "Figure":
    """Draw named counts as vertical bars, in the given order."""
    figure, axes = new_figure(2.5)
    axes.bar(range(len(labels)), counts, width=0.8, color=ACCENT, alpha=0.85)
    axes.set_xticks(range(len(labels)), [printable(label) for label in labels])
    label_count_axes(axes, xlabel, ylabel)
    return figure


def label_count_axes(axes: "Axes", xlabel: str, ylabel: str) -> None:
    """Label the axes of a plot whose heights are counts."""
    axes.grid(visible=False, axis="x")
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.yaxis.set_major_formatter(lambda value, _: format_count(value))


def format_count(n: float, digits: int = 3) -> str:
    """Return a count in few characters with at most `digits` significant digits: 950, 1.25k, 35k, 1.5M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if n >= size:
            return f"{n / size:.{digits}g}{letter}" if n < 99.5 * size else f"{n / size:.0f}{letter}"
    return f"{n:g}"
