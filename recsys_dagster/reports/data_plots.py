"""Plots of the data: ratings, activity of users and items, kinds, genres, years, and words in titles."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from recsys_dagster.reports.data_profile import MEAN_BIN, Profile
from recsys_dagster.reports.figures import (
    ACCENT,
    INK,
    MUTED,
    SECOND,
    WIDTH,
    cached_svg,
    format_count,
    label_count_axes,
    new_figure,
    new_row_plot,
    plot_columns,
    plot_style,
    set_margins,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Plot:
    """How an exploration is drawn.

    Attributes:
        caption: what the figure shows.
        plot: draws the rows of the exploration.
        options: arguments of `plot` by name.
    """

    caption: str
    plot: "Callable[..., Figure]"
    options: Mapping[str, str] = field(default_factory=dict)

    def figure(self, rows: Sequence[Any]) -> "Figure":
        """Draw the rows, which are tuples with the columns of `COLUMNS`."""
        return self.plot(tuple(rows), **self.options)


def profile_figures(profile: Profile) -> list[tuple[str, str]]:
    """Return (caption, SVG) of each plot that the source has data for."""
    rows = {name: getattr(profile, name) for name in PLOTS}
    plots = PLOTS if profile.ratings else {**PLOTS, "most_rated": MOST_INTERACTIONS}
    return [
        (one.caption, cached_svg(one.plot, tuple(rows[name]), **one.options))
        for name, one in plots.items()
        if len(rows[name]) > 1
    ]


def plot_ratings(counts: Sequence[tuple[float, int]]) -> "Figure":
    """Draw how often each rating was given; `counts` holds (rating, count) in rising order."""
    return plot_columns([f"{rating:g}" for rating, _ in counts], [n for _, n in counts], "rating", "ratings")


def plot_joint(counts: Sequence[tuple[int, int, int]]) -> "Figure":
    """Draw the joint distribution of number of ratings and mean rating over items, with both marginals.

    Args:
        counts: (b, m, n): n items have 2^b to 2^(b+1) - 1 ratings with a mean from m to m + 1 times `MEAN_BIN`.
    """
    import numpy as np

    b, m, n = np.array(counts).T
    with plot_style():
        from matplotlib.collections import PolyCollection
        from matplotlib.colors import to_rgba
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH, 3.4))
        set_margins(figure)
        figure.subplots_adjust(wspace=0.2, hspace=0.1)
        grid = figure.subplots(2, 2, width_ratios=(4, 1), height_ratios=(1, 3), sharex="col", sharey="row")
        (top, corner), (joint, side) = grid
        corner.remove()
        corners = np.array([(0.04, 0.06), (0.96, 0.06), (0.96, 0.94), (0.04, 0.94)]) * (1, MEAN_BIN)
        cells: Any = np.stack([b, m * MEAN_BIN], axis=1)[:, None, :] + corners
        joint.add_collection(
            PolyCollection(cells, facecolors=[to_rgba(ACCENT, 0.1 + 0.9 * share) for share in np.sqrt(n / n.max())])
        )
        ticks = range(int(b.min()), int(b.max()) + 2, 2)
        joint.set_xticks(ticks, [format_count(2**tick, 2) for tick in ticks])
        joint.set_xlim(b.min(), b.max() + 1)
        joint.set_xlabel("ratings per title")
        joint.set_ylabel("mean rating")
        places, sums = np.unique(b, return_inverse=True)
        top.bar(places + 0.5, np.bincount(sums, n), width=0.9, color=ACCENT, alpha=0.85)
        label_count_axes(top, "", "titles")
        top.tick_params(axis="x", length=0)
        places, sums = np.unique(m, return_inverse=True)
        side.barh((places + 0.5) * MEAN_BIN, np.bincount(sums, n), height=0.9 * MEAN_BIN, color=ACCENT, alpha=0.85)
        side.grid(visible=False, axis="y")
        side.set_xlabel("titles")
        side.locator_params(axis="x", nbins=2)
        side.xaxis.set_major_formatter(lambda value, _: format_count(value, 2))
    return figure


def plot_activity(counts: Sequence[tuple[int, int]], *, of: str) -> "Figure":
    """Draw the distribution of the number of interactions, in bins that double.

    Args:
        counts: (b, n): n users or items have 2^b to 2^(b+1) - 1 interactions.
        of: the label of the counts, `users` or `titles`.
    """
    count_by_bin = dict(counts)
    bins = range(min(count_by_bin), max(count_by_bin) + 1)
    labels = ["1" if b == 0 else f"{format_count(2**b, 2)}–{format_count(2 ** (b + 1) - 1, 2)}" for b in bins]
    heights = [count_by_bin.get(b, 0) for b in bins]
    figure = plot_columns(labels, heights, f"interactions per {of.removesuffix('s')}", of)
    if sum(map(len, labels)) > 30:
        figure.axes[0].tick_params(axis="x", labelrotation=40)
        set_margins(figure, bottom=0.85)
    return figure


def plot_years(counts: Sequence[tuple[int, int]]) -> "Figure":
    """Draw the number of items of each year; `counts` holds (year, count) in rising order."""
    from matplotlib.ticker import MaxNLocator

    figure, axes = new_figure(2.5)
    axes.bar([year for year, _ in counts], [n for _, n in counts], width=0.9, color=ACCENT, alpha=0.85)
    label_count_axes(axes, "year of release", "titles")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    return figure


def plot_over_time(counts: Sequence[tuple[date, int]]) -> "Figure":
    """Draw the number of interactions of each month; `counts` holds (first day, count) in rising order."""
    figure, axes = new_figure(2.5)
    days: Any = [day for day, _ in counts]
    axes.fill_between(days, [n for _, n in counts], color=ACCENT, alpha=0.85, step="post", linewidth=0)
    dates: Any = importlib.import_module("matplotlib.dates")
    locator = dates.AutoDateLocator(maxticks=6)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, show_offset=False))
    label_count_axes(axes, "month", "interactions")
    axes.set_ylim(bottom=0)
    return figure


def plot_counts(counts: Sequence[tuple[str, int]], *, label: str) -> "Figure":
    """Draw named counts as horizontal bars with the names at the left, in the given order from the top."""
    figure, axes = new_row_plot([name for name, _ in counts], 0.21)
    axes.barh(range(len(counts)), [n for _, n in counts], height=0.7, color=ACCENT, alpha=0.85)
    for place, (_, n) in enumerate(counts):
        axes.annotate(format_count(n), (n, place), xytext=(4, 0), textcoords="offset points", va="center", color=INK)
    axes.margins(x=0.14)
    _finish_bars(axes, label)
    return figure


def plot_named_items(counts: Sequence[tuple[str, int]], *, label: str) -> "Figure":
    """Draw counts of items as horizontal bars, with the name, which may be long, above each bar."""
    figure, axes = new_figure(0.6 + 0.36 * max(3, len(counts)), left=0.32)
    places = range(len(counts))
    axes.barh(places, [n for _, n in counts], height=0.28, color=ACCENT, alpha=0.85)
    for place, (name, n) in enumerate(counts):
        shown = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1].rstrip()}…"
        axes.annotate(shown, (0, place - 0.43), xytext=(2, 0), textcoords="offset points", va="center", color=INK)
        axes.annotate(format_count(n), (n, place), xytext=(4, 0), textcoords="offset points", va="center", color=MUTED)
    axes.set_ylim(len(counts) - 0.6, -0.9)
    axes.set_yticks([])
    axes.set_ylabel("title")
    axes.margins(x=0.14)
    _finish_bars(axes, label)
    return figure


LONGEST_NAME = 46
"""Number of characters that fit into the width of a figure."""


def _finish_bars(axes: "Axes", label: str) -> None:
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(label)
    axes.xaxis.set_major_formatter(lambda value, _: format_count(value))


def plot_words(counts: Sequence[tuple[str, int]]) -> "Figure":
    """Draw a word cloud; `counts` holds (word, number of titles that contain it)."""
    import matplotlib
    from PIL import ImageFont
    from wordcloud import WordCloud

    # The layout is made for DejaVu Sans, the font of PNGs; the fonts of the page are narrower.
    font = f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf"
    width, height = 72 * WIDTH, 72 * 2.9
    cloud: Any = WordCloud(
        width=int(2 * width), height=int(2 * height), font_path=font, prefer_horizontal=1, random_state=0, margin=4,
        max_font_size=110,
    ).generate_from_frequencies(dict(counts))  # fmt: skip
    with plot_style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH, 2.9))
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, 2 * width), ylim=(2 * height, 0))
        axes.set_axis_off()
        for place, ((word, _), size, (y, x), _, _) in enumerate(cloud.layout_):
            left, top, _, _ = ImageFont.truetype(font, size).getbbox(word, anchor="ls")
            axes.text(x - left, y - top, word, fontsize=size / 2, color=WORD_COLORS[place % len(WORD_COLORS)])
    return figure


WORD_COLORS = (ACCENT, SECOND, INK, MUTED)

PLOTS: dict[str, Plot] = {
    "ratings": Plot("How often each rating was given", plot_ratings),
    "joint": Plot("Mean rating and number of ratings of each title", plot_joint),
    "months": Plot("Interactions over time", plot_over_time),
    "per_user": Plot("Interactions per user", plot_activity, {"of": "users"}),
    "per_item": Plot("Interactions per title", plot_activity, {"of": "titles"}),
    "years": Plot("Titles by year of release", plot_years),
    "kinds": Plot("Titles by kind", plot_counts, {"label": "titles"}),
    "genres": Plot("Titles by genre", plot_counts, {"label": "titles"}),
    "most_rated": Plot("Most rated titles", plot_named_items, {"label": "ratings"}),
    "best_rated": Plot("Best rated titles", plot_named_items, {"label": "mean rating, damped by ten average ratings"}),
    "most_members": Plot("Titles with the most members", plot_named_items, {"label": "members"}),
    "kind_members": Plot("The title with the most members of each kind", plot_named_items, {"label": "members"}),
    "most_episodes": Plot("Titles with the most episodes", plot_named_items, {"label": "episodes"}),
    "words": Plot("Words in the titles", plot_words),
}
"""The figure of each field of `Profile`, in the order of the page."""

MOST_INTERACTIONS = Plot("Titles with the most interactions", plot_named_items, {"label": "interactions"})
"""Takes the place of `most_rated` where there are no ratings."""
