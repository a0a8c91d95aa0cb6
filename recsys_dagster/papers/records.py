"""What is kept of the papers: their figures beside ours, the effect of each fault, and confusion matrices.

Each kind is a table of the schema `evaluation` in the domain's warehouse, named in `TABLES`, one column a field.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from recsys_dagster.warehouse.schemas import FAULTS, PAPER_CONFUSIONS, PAPERS, Table
from recsys_dagster.warehouse.table_rows import create_table, insert_rows, read_rows

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class PaperRow:
    """One figure of a paper beside ours.

    Attributes:
        paper: `000` to `004`.
        system: name of the model in the registry, with what was changed in brackets, such as `bilstm (shuffled)`.
        dataset: what our figures are measured on.
        metric: `rmse`, `mse`, `mae`, `mse_scaled` (of ratings mapped to [-1, 1]), `accuracy`, `precision`, `recall`,
            `ndcg@5`, `recall@20`, `mrr@20`, `cross_entropy`.
        printed_dataset: what the paper's figure is measured on.
        printed: the paper's figure; None where it prints none.
        as_published: ours under the paper's protocol: its filters, split, parameters and faults.
        as_published_trivial: under the same protocol, what knows nothing of anybody: `trivial`.
        honest: ours under the folds of the lineage, all ratings, default parameters, nothing of the test in the inputs.
        honest_trivial: `trivial` under the folds of the lineage.
        trivial: `constant` (the mean rating), `majority` (the commoner answer), `popularity` or `uniform`.
        train_pairs, test_pairs: of the paper's protocol on this dataset.
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
    """By how much a score lies that was got with a fault.

    Attributes:
        fault: short name of the fault, such as `leaky-tastes`; a key of `FAULTS`, which explains it.
        paper: papers that have it, such as `003` or `000, 004`.
        dataset: what it is measured on.
        system: name of the model, or of the count where no model takes part.
        metric: as in `PaperRow`, or what is counted.
        honest: without the fault.
        faulty: with it.
        low, high: 95 % interval over users of `faulty` − `honest`, the same users in both; None for a count.
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
    """How often one rating was predicted, rounded to a whole one, where another was given.

    Attributes:
        paper, system, dataset: as in `PaperRow`.
        rating: what was given; -1 is a watch without a rating, where the paper takes that for one.
        predicted: what was predicted, rounded.
        pairs: how often.
    """

    paper: str
    system: str
    dataset: str
    rating: int
    predicted: int
    pairs: int


TABLES: dict[type, Table] = {PaperRow: PAPERS, FaultRow: FAULTS, PaperConfusion: PAPER_CONFUSIONS}

Row = TypeVar("Row", PaperRow, FaultRow, PaperConfusion)


def store_records(connection: "duckdb.DuckDBPyConnection", kind: type[Row], dataset: str, rows: Sequence[Row]) -> None:
    """Replace, in one transaction, what is stored for the dataset of the papers, or faults, that the rows are of."""
    table = TABLES[kind]
    connection.begin()
    try:
        create_table(connection, table)
        about = "fault" if kind is FaultRow else "paper"
        for name in sorted({getattr(row, about) for row in rows}):
            connection.execute(f"DELETE FROM {table.full_name} WHERE dataset = ? AND {about} = ?", [dataset, name])
        insert_rows(connection, table, rows)
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def read_records(connection: "duckdb.DuckDBPyConnection", kind: type[Row]) -> list[Row]:
    """Return every row of that kind in the order in which they were stored; none if nothing ever was."""
    return read_rows(connection, TABLES[kind], kind, "rowid")
