"""Set the printed figures of a domain beside ours, whether they were measured or not, and say why they differ."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from recsys_dagster.evaluation.metrics.metric import MetricKey
from recsys_dagster.evaluation.metrics.registry import label_of
from recsys_dagster.models.networks.neural import NeuralParams
from recsys_dagster.models.registry import get_model_class
from recsys_dagster.papers.printed import DATA, PRINTED, TRAINING_PAIRS
from recsys_dagster.papers.records import TRAINING, PaperRow
from recsys_dagster.runtime.spark_process import spark_problem

NOT_MEASURED = "not measured here yet: `recsys papers`"
"""Stands in the columns of ours where there is nothing."""
WITHOUT_TIMES = "cannot be measured here: {} has no times"
"""Stands there where the system learns from the order of a history."""
ON_SPARK = "als"
"""The system of paper 002 that runs on Spark."""
FEW_STEPS = 0.1
"""A training with less than this share of the paper's steps is too short at the paper's step size."""


@dataclass(frozen=True)
class PaperFigure:
    """A figure of a paper, with ours if it was measured.

    Attributes:
        paper: `000` to `004`.
        system, metric: as in `PaperRow`.
        printed: the value that the paper prints; None if it prints none.
        printed_dataset: id of the dataset that the paper uses.
        ours: our values; None if they were not measured on any dataset of the domain.
        notes: on what ours was measured, and why it differs from what is printed.
        missing: why ours is missing, if it is.
    """

    paper: str
    system: str
    metric: str
    printed: float | None
    printed_dataset: str
    ours: PaperRow | None
    notes: tuple[str, ...] = ()
    missing: str = NOT_MEASURED


def metric_label(metric: str) -> str:
    """Return what pages call a metric of a paper.

    >>> metric_label("ndcg@5"), metric_label("mse_training")
    ('NDCG@5', 'MSE, training')
    """
    name, training, _ = metric.partition(TRAINING)
    return f"{label_of(MetricKey.parse(name))}{', training' if training else ''}"


def papers_of(domain: str) -> tuple[str, ...]:
    """Return the numbers of the papers about a domain; none for a domain that a user declared."""
    return tuple(paper for paper, datasets in DATA.items() if domain in datasets)


def paper_figures(domain: str, rows: Sequence[PaperRow], *, without_times: str | None = None) -> list[PaperFigure]:
    """Return every figure of the papers about a domain: first what was measured, then what is only printed.

    Args:
        domain: name of the domain.
        rows: what was measured, on any of its datasets.
        without_times: id of its dataset, if that has no times.

    Returns:
        The figures by paper; within a paper, measured ones keep their order.
    """
    figures = [
        PaperFigure(
            row.paper, row.system, row.metric, row.printed, row.printed_dataset, row, tuple(_notes(domain, row))
        )
        for row in rows
    ]
    measured = {(row.paper, row.system, row.metric) for row in rows}
    figures += [
        PaperFigure(paper, system, metric, printed, dataset, None, missing=_missing(system, without_times))
        for (paper, about, system, metric), (dataset, printed) in PRINTED.items()
        if about == domain and (paper, system, metric) not in measured
    ]
    shown = {figure.paper for figure in figures}
    figures += [
        PaperFigure(paper, "all systems", "prints_no_figure", None, DATA[paper][domain], None)
        for paper in papers_of(domain)
        if paper not in shown
    ]
    return sorted(figures, key=lambda figure: figure.paper)


def _missing(system: str, without_times: str | None) -> str:
    if without_times and _learns_from_order(system):
        return WITHOUT_TIMES.format(without_times)
    problem = spark_problem() if system == ON_SPARK else None
    return NOT_MEASURED if problem is None else f"{NOT_MEASURED}; {problem}"


def _learns_from_order(system: str) -> bool:
    return system.startswith("bilstm")


def _notes(domain: str, row: PaperRow) -> Iterator[str]:
    """Give what a reader needs to compare our value with the printed one."""
    yield f"{row.train_pairs:,} training and {row.test_pairs:,} test pairs of {row.dataset}"
    if row.printed is not None and row.dataset != row.printed_dataset:
        yield f"the paper's data are {row.printed_dataset}"
    if row.paper == "000" and row.system == "embedding_mlp":
        yield from _steps(domain, row)
    if _learns_from_order(row.system) and row.honest is not None:
        yield "honest: the next title of each user in order of time"
    if row.system == ON_SPARK:
        yield "by MLlib's ALS on Spark"
    if row.system == "als (our solver)":
        yield "the objective and the parameters of MLlib's ALS, without Spark"
    if row.system.endswith("(balanced)"):
        yield "learnt from as many ratings of each value as there are of the rarest"


def _steps(domain: str, row: PaperRow) -> Iterator[str]:
    """Give why the training of paper 000 is too short on few ratings."""
    params = get_model_class("embedding_mlp").preset(f"paper_{domain}")
    known = TRAINING_PAIRS.get((row.paper, domain))
    if known is None or not isinstance(params, NeuralParams):
        return
    steps, steps_of_paper = (
        params.epochs * max(1, pairs // min(params.batch_of(pairs), pairs)) for pairs in (row.train_pairs, known)
    )
    if steps < FEW_STEPS * steps_of_paper:
        yield (
            f"{steps:,} steps of {params.learning_rate:g} where the paper's data give {steps_of_paper:,}: too few to "
            'learn; "(our training)" is the same network with our step size and early stopping'
        )
