"""How the command line shows tables on the terminal, and in a pipe."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from recsys_dagster.evaluation.custom_split import ModelResult
    from recsys_dagster.model_store.decisions import Decision
    from recsys_dagster.serving.lookup import Recommendation

_PIPE_WIDTH = 200


def console() -> Console:
    """Where tables go: as wide as the terminal, or wide enough for a line a row where the output is piped.

    Text from outside is printed as it is: no markup, no emoji names, no guessing what is a number.
    """
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    return Console(width=width, markup=False, emoji=False, highlight=False)


def results_table(results: "Sequence[ModelResult]") -> Table:
    """One row a model, the best value of each metric in bold; ± the standard deviation over seeds."""
    found = dict.fromkeys(label for one in results for label in one.values)
    labels = [label for label in ("rmse", "mae") if label in found] + [label for label in found if "@" in label]
    columns = {label: [one.values.get(label) for one in results] for label in labels}
    better = {label: max if "@" in label else min for label in labels}
    best = {label: better[label](value for value in values if value is not None) for label, values in columns.items()}
    table = Table("model", box=None, pad_edge=False)
    for heading in (*columns, "fit s", "peak MB"):
        table.add_column(heading, justify="right")
    for row, one in enumerate(results):
        cells = [
            Text(
                "" if value is None else _with_spread(value, one.spread.get(label)),
                style="bold" if value == best[label] else "",
            )
            for label, value in ((label, values[row]) for label, values in columns.items())
        ]
        table.add_row(one.model, *cells, f"{one.fit.wall_seconds:.1f}", f"{one.peak_megabytes:,.0f}")
    return table


def history_table(decisions: "Sequence[Decision]") -> Table:
    """One row a decision on a domain's champion, the latest first."""
    table = Table("at (UTC)", "from", "to", "version", "by", "NDCG@10", box=None, pad_edge=False)
    table.add_column("reason", overflow="fold", ratio=1)
    for row in reversed(decisions):
        ndcg = row.metrics.get("validation_ndcg_10")
        known = "" if ndcg is None else f"{ndcg:.4f}"
        at = row.at.partition("+")[0].replace("T", " ")
        table.add_row(at, row.previous_model or "", row.model, row.version, row.by, known, row.reason)
    return table


def _with_spread(value: float | None, spread: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if spread is None else f"{value:.4f} ± {spread:.4f}"


def list_table(titles: "Sequence[Recommendation]") -> Table:
    """One row a title, best first; the column of English titles only where one differs."""
    from recsys_dagster.serving.lookup import format_score

    table = Table(box=None, pad_edge=False)
    table.add_column("rank", justify="right")
    table.add_column("title", overflow="fold", ratio=3)
    english = any(title.title_english not in (None, title.title) for title in titles)
    if english:
        table.add_column("English title", overflow="fold", ratio=3)
    table.add_column("kind")
    table.add_column("year", justify="right")
    table.add_column("genres", overflow="fold", ratio=2)
    table.add_column("score", justify="right")
    for title in titles:
        table.add_row(
            str(title.rank),
            _printable(title.title),
            *([_printable(title.title_english or "")] if english else []),
            _printable(title.kind or ""),
            str(title.year or ""),
            _printable(", ".join(title.genres)),
            format_score(title.score),
        )
    return table


def _printable(text: str) -> str:
    """Leave out control characters, with which a title could move the cursor about."""
    return "".join(character for character in text if character.isprintable())
