"""Rows of the papers go into the warehouse and come back."""

from dataclasses import replace

import duckdb
import pytest

from recsys_dagster.papers.records import FaultRow, PaperConfusion, PaperRow, read_records, store_records

PAPER = PaperRow("000", "embedding_mlp", "here", "mse", "there", 0.8872, 0.9, 1.1, 1.4, 2.5, "constant", 80, 20)
FAULT = FaultRow("leaky-tastes", "003", "here", "two_tower", "rmse", 1.2, 1.1, -0.2, -0.05)
CONFUSION = PaperConfusion("004", "dropout_mlp", "here", -1, 5, 12)


@pytest.mark.parametrize("row", [PAPER, FAULT, CONFUSION], ids=lambda row: type(row).__name__)
def test_a_row_comes_back_as_it_was_stored(row: PaperRow | FaultRow | PaperConfusion) -> None:
    with duckdb.connect() as connection:
        assert read_records(connection, type(row)) == []
        store_records(connection, type(row), "here", [row, row])
        assert read_records(connection, type(row)) == [row, row]


def test_what_a_paper_does_not_print_stays_unknown() -> None:
    unprinted = replace(PAPER, printed=None, honest=None)
    with duckdb.connect() as connection:
        store_records(connection, PaperRow, "here", [unprinted])
        assert read_records(connection, PaperRow) == [unprinted]


def test_storing_a_paper_again_replaces_its_rows_and_leaves_other_datasets_and_papers() -> None:
    elsewhere, another = replace(PAPER, dataset="elsewhere"), replace(PAPER, paper="003")
    with duckdb.connect() as connection:
        store_records(connection, PaperRow, "elsewhere", [elsewhere])
        store_records(connection, PaperRow, "here", [PAPER, PAPER, another])
        store_records(connection, PaperRow, "here", [PAPER])
        assert read_records(connection, PaperRow) == [elsewhere, another, PAPER]


def test_a_failed_store_leaves_what_was_there() -> None:
    with duckdb.connect() as connection:
        store_records(connection, FaultRow, "here", [FAULT])
        with pytest.raises(duckdb.Error):
            store_records(
                connection, FaultRow, "here", [FaultRow("f", "003", "here", "m", "rmse", None, 1, None, None)]
            )  # type: ignore[arg-type]
        assert read_records(connection, FaultRow) == [FAULT]
