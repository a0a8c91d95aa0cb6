"""Store the results of the papers: printed metrics with ours, the effect of each fault, and confusion matrices.

Each class of rows is a table of the schema `evaluation` in the domain's warehouse, named in `TABLES`, with a column for
each field.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from recsys_dagster.warehouse.schemas import FAULTS, PAPER_CONFUSIONS, PAPER_DETAILS, PAPERS, Table
from recsys_dagster.warehouse.table_rows import create_table, insert_rows, read_rows

if TYPE_CHECKING:
    import duckdb


TRAINING = "_training"
"""Ends the name of a metric of the ratings that were learnt from."""


@dataclass(frozen=True)
class PaperRow:
    """One printed metric of a paper with our values.

    Attributes:
        paper: `000` to `004`.
        system: name of the model in the registry, what was changed in brackets, such as `bilstm (shuffled order)`.
        dataset: id of the dataset that our values are measured on.
        metric: `rmse`, `mse`, `mae`, `mse_scaled` (of ratings mapped to [-1, 1]), `mse_training` and `mae_training` (on
            the ratings that were learnt from), `accuracy`, `precision`, `recall`, `f1`, `auc`, `ndcg@5`, `recall@20`,
            `mrr@20`, `cross_entropy`.
        printed_dataset: id of the dataset that the paper uses.
        printed: the value that the paper prints; None if it prints none.
        as_published: our value under the paper's protocol: its filters, split, parameters and faults.
        as_published_trivial: the value of the trivial system under the same protocol.
        honest: our value on the folds of the lineage: all ratings, default parameters, no test data in the inputs.
        honest_trivial: the value of the trivial system on the folds of the lineage.
        trivial: name of the trivial system: `constant` (the mean rating), `majority` (the more frequent answer),
            `popularity` or `uniform`.
        train_pairs, test_pairs: sizes of the training and the test part under the paper's protocol.
    """

    paper: str
    system: str
    dataset: str
    metric: str
    printed_dataset: str
    printed: float | None
    as_published: float
    as_published_trivial: float | None
    honest: float | None
    honest_trivial: float | None
    trivial: str
    train_pairs: int
    test_pairs: int


@dataclass(frozen=True)
class FaultRow:
    """The effect of a fault on a metric.

    Attributes:
        fault: short name of the fault, such as `leaky-tastes`; a key of `FAULTS`, which explains it.
        paper: papers that have it, such as `003` or `000, 004`.
        dataset: id of the dataset.
        system: name of the model, or of what is counted where there is no model.
        metric: as in `PaperRow`, or what is counted.
        honest: the value without the fault.
        faulty: the value with the fault.
        low, high: 95 % interval of `faulty` − `honest`, paired over users; None for a count.
    """

    fault: str
    paper: str
    dataset: str
    system: str
    metric: str
    honest: float
    faulty: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class PaperConfusion:
    """How many pairs of a rating were predicted, rounded to a whole number, as which rating.

    Attributes:
        paper, system, dataset: as in `PaperRow`.
        rating: the true rating; -1 is an interaction without a rating, which paper 004 counts as one.
        predicted: the predicted rating, rounded.
        pairs: their number.
    """

    paper: str
    system: str
    dataset: str
    rating: int
    predicted: int
    pairs: int


class DetailKind(StrEnum):
    """What a detail of a paper's run is."""

    CURVE = "curve"
    """A learning curve: `name` is Keras's name of the curve, `place` the epoch from 1."""
    LAYER = "layer"
    """A layer of the network: `place` is its number from 1, `value` the number of its parameters."""
    WEIGHT = "weight"
    """The weight of a member of a stack, or its intercept."""
    RATINGS = "ratings"
    """How often a rating, `place`, is in what was learnt from."""


@dataclass(frozen=True)
class PaperDetail:
    """One number of what a paper shows of a system beside its figures.

    Attributes:
        paper, system, dataset: as in `PaperRow`.
        kind: one of `DetailKind`.
        name: of the curve, layer, member or protocol (`published` or `honest`).
        place: position along the curve, among the layers, or on the scale of ratings.
        value: the number.
    """

    paper: str
    system: str
    dataset: str
    kind: str
    name: str
    place: float
    value: float


Record = PaperRow | PaperConfusion | PaperDetail
"""What the run of a paper gives."""

TABLES: dict[type, Table] = {
    PaperRow: PAPERS,
    FaultRow: FAULTS,
    PaperConfusion: PAPER_CONFUSIONS,
    PaperDetail: PAPER_DETAILS,
}

Row = TypeVar("Row", PaperRow, FaultRow, PaperConfusion, PaperDetail)


def store_records(
    connection: "duckdb.DuckDBPyConnection", row_type: type[Row], dataset: str, rows: Sequence[Row]
) -> None:
    """Replace, in one transaction, the stored rows of the dataset for the papers, or faults, that occur in `rows`."""
    table = TABLES[row_type]
    connection.begin()
    try:
        create_table(connection, table)
        key = "fault" if row_type is FaultRow else "paper"
        for name in sorted({getattr(row, key) for row in rows}):
            connection.execute(f"DELETE FROM {table.full_name} WHERE dataset = ? AND {key} = ?", [dataset, name])
        insert_rows(connection, table, rows)
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def read_records(connection: "duckdb.DuckDBPyConnection", row_type: type[Row]) -> list[Row]:
    """Return every row of that type in the order in which they were stored; none if nothing was ever stored."""
    return read_rows(connection, TABLES[row_type], row_type, "rowid")
