"""Prepare what the page shows of each system of a paper: curves, confusion matrix, ratings, layers, weights."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from recsys_dagster.evaluation.store import CHOOSING_FOLD, HOLDOUT, ConfusionRow
from recsys_dagster.papers.records import DetailKind, PaperConfusion, PaperDetail
from recsys_dagster.papers.summaries import PRINTED_PARAMETERS
from recsys_dagster.reports.data_plots import plot_ratings
from recsys_dagster.reports.figures import cached_svg
from recsys_dagster.reports.model_plots import learning_curves, plot_confusion


@dataclass(frozen=True)
class PaperRun:
    """One system of a paper as it ran here.

    Attributes:
        paper, system, dataset: as in `PaperRow`.
        figures: (caption, SVG) of its learning curves, confusion matrix and the ratings that it learnt from.
        layers: (layer, parameters), first to last; empty without a network.
        printed_parameters: of the whole network, as the paper prints it for its own users and items.
        weights: (member and protocol, weight) of a stack.
    """

    paper: str
    system: str
    dataset: str
    figures: list[tuple[str, str]] = field(default_factory=list)
    layers: list[tuple[str, int]] = field(default_factory=list)
    printed_parameters: int | None = None
    weights: list[tuple[str, float]] = field(default_factory=list)

    @property
    def parameters(self) -> int:
        """Number of parameters of all layers."""
        return sum(parameters for _, parameters in self.layers)


def paper_runs(details: Sequence[PaperDetail], confusions: Sequence[PaperConfusion]) -> list[PaperRun]:
    """Return what the page shows of each system that ran, by paper; within a paper in the order of the run."""
    keys = dict.fromkeys((one.paper, one.system, one.dataset) for one in details)
    keys |= dict.fromkeys((one.paper, one.system, one.dataset) for one in confusions)
    runs = []
    for key in sorted(keys, key=lambda key: key[0]):
        mine = [one for one in details if (one.paper, one.system, one.dataset) == key]
        cells = [one for one in confusions if (one.paper, one.system, one.dataset) == key]
        runs.append(_run(key, mine, cells))
    return runs


def _run(key: tuple[str, str, str], details: Sequence[PaperDetail], cells: Sequence[PaperConfusion]) -> PaperRun:
    paper, system, dataset = key
    curves: dict[str, list[float]] = {}
    for one in details:
        if one.kind == DetailKind.CURVE:
            curves.setdefault(one.name, []).append(one.value)
    figures = [("By epoch", learning_curves(curves))] if curves else []
    if cells:
        rows = tuple(
            ConfusionRow(system, "", HOLDOUT, CHOOSING_FOLD, one.rating, one.predicted, one.pairs) for one in cells
        )
        figures.append(("Predicted against given ratings", cached_svg(plot_confusion, rows)))
    counts = tuple((one.place, int(one.value)) for one in details if one.kind == DetailKind.RATINGS)
    if len(counts) > 1:
        caption = f"The {sum(count for _, count in counts):,} ratings learnt from"
        figures.append((caption, cached_svg(plot_ratings, counts)))
    layers = [(one.name, int(one.value)) for one in details if one.kind == DetailKind.LAYER]
    return PaperRun(
        paper,
        system,
        dataset,
        figures,
        layers,
        PRINTED_PARAMETERS.get(system) if layers else None,
        [(one.name, one.value) for one in details if one.kind == DetailKind.WEIGHT],
    )
