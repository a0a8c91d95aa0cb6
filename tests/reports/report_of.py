"""Build a small report whose titles and genres are awkward to show."""

from datetime import datetime
from typing import Any

import duckdb
import numpy as np

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.evaluation.diagnostics import Diagnostic, Severity
from recsys_dagster.evaluation.example_lists import Example, ListedItem
from recsys_dagster.evaluation.importance import Importance
from recsys_dagster.evaluation.intervals import Interval
from recsys_dagster.evaluation.leaderboard import Leaderboard, LeaderboardRow
from recsys_dagster.evaluation.store import ConfusionRow, MetricRow, SliceRow
from recsys_dagster.lifecycle.review import (
    Figure,
    ItemChange,
    MetricChange,
    PartChange,
    Review,
    RuleHit,
    UserChange,
)
from recsys_dagster.lifecycle.waiting import Lists, Waiting
from recsys_dagster.model_store.decisions import Decision
from recsys_dagster.model_store.store import ModelRecord
from recsys_dagster.papers.figures import paper_figures
from recsys_dagster.papers.records import FaultRow, PaperConfusion, PaperDetail, PaperRow
from recsys_dagster.reports.data_profile import Fold, read_profile
from recsys_dagster.reports.example_users import ExampleUser, describe_users, read_listed_items
from recsys_dagster.reports.paper_runs import paper_runs
from recsys_dagster.reports.report import ModelCard, Report
from recsys_dagster.runtime.resource_usage import StepUsage
from recsys_dagster.serving.provenance import Provenance
from recsys_dagster.serving.tradeoff import Tradeoff, TradeoffPoint
from recsys_dagster.warehouse.build import FileAccount

AWKWARD = '<script>alert("x")</script> & $m^2$ 銀魂'

IMPORTANCES = [
    Importance("user", "log_loss", 0.5, 0.25, 0.2, 0.3), Importance("year", "log_loss", 0.5, -0.001, -0.01, 0.008)
]  # fmt: skip
CONFUSION = [
    ConfusionRow("m", "v", "holdout", "test", given, predicted, pairs)
    for given, predicted, pairs in ((6, 6, 30), (6, 7, 10), (8, 7, 4), (10, 8, 1))
]
SLICES = [
    SliceRow("m", "v", "holdout", "test", dimension, part, position, name, k, value, low, high, 9, 40)
    for dimension, part, position, name, k, value, low, high in (
        ("activity", "none", 0, "recall", 10, 0.1, 0.05, 0.15),
        ("activity", "up to 5", 1, "recall", 10, 0.2, None, None),
        ("genre", "Drama <&", 0, "recall", 10, 0.3, 0.25, 0.35),
        ("reliability", "0.4 to 0.5", 4, "like_share", None, 0.42, 0.36, 0.48),
        ("reliability", "0.9 to 1", 9, "like_share", None, 0.88, 0.8, 0.93),
        ("genre", "Drama <&", 0, "rmse", None, 1.3, 1.25, 1.35),
    )
]


DETAILS = [
    *(PaperDetail("000", "embedding_mlp", "here", "curve", "loss", epoch, 2.0 / epoch) for epoch in (1, 2, 3)),
    PaperDetail("000", "embedding_mlp", "here", "layer", "embedding 5", 1, 1_500),
    PaperDetail("000", "embedding_mlp", "here", "layer", "dense 100", 2, 1_100),
    PaperDetail("002", "stack_linear", "here", "weight", "beta_network_100, published", 1, 0.625),
    *(PaperDetail("004", "dropout_mlp", "here", "ratings", "training", rating, 40 * rating) for rating in (1, 2, 3)),
]


def metric(model: str, name: str, k: int | None, value: float, half: float | None = 0.01) -> MetricRow:
    low, high = (None, None) if half is None else (value - half, value + half)
    return MetricRow(model, "v", "holdout", "test", name, k, value, low, high, 3)


def leaderboard() -> Leaderboard:
    shown: dict[str, list[MetricRow]] = {
        "popularity": [metric("popularity", "ndcg", 10, 0.1234), metric("popularity", "coverage", 10, 0.5, None)],
        "embedding_mlp": [metric("embedding_mlp", "ndcg", 10, 0.12), metric("embedding_mlp", "rmse", None, 0.8765)],
        "constant": [metric("constant", "rmse", None, 1.0432)],
    }
    diagnostics = {"popularity": [Diagnostic(Severity.WARNING, "same list", "recommends the same list to all users")]}
    behind = {"embedding_mlp": (Interval(-0.0034, -0.02, 0.01), 0.6)}
    return Leaderboard(
        [
            LeaderboardRow(
                model,
                "v",
                rank,
                None,
                {row.key: row for row in rows},
                *behind.get(model, (None, None)),
                diagnostics=diagnostics.get(model, []),
            )
            for rank, (model, rows) in enumerate(shown.items(), 1)
        ]
    )


def clean_tables() -> duckdb.DuckDBPyConnection:
    """Return clean tables in which user u = 1 … 12 has the first u of 12 items and rates every second of them u / 2."""
    connection = duckdb.connect()
    connection.execute(
        """
        CREATE SCHEMA clean;
        CREATE TABLE clean.items AS
        SELECT
            i::BIGINT AS item_id, NULL::VARCHAR AS source_id, 'Title ' || i AS title, NULL::VARCHAR AS title_english,
            CASE WHEN i % 3 = 0 THEN 'TV' WHEN i % 3 = 1 THEN 'Movie' END AS kind,
            CASE WHEN i > 2 THEN 2000 + i END::SMALLINT AS year,
            CASE WHEN i % 2 = 0 THEN ['Drama', 'Slice of Life'] WHEN i > 1 THEN ['Drama'] END AS genres,
            CASE WHEN i > 2 THEN 100 * i END::INTEGER AS members,
            CASE WHEN i < 9 THEN i END::INTEGER AS episodes,
            8.5::FLOAT AS site_score, 'What happens in ' || i AS synopsis
        FROM range(1, 13) AS numbers(i);
        CREATE TABLE clean.interactions AS
        SELECT
            u::BIGINT AS user_id, i::BIGINT AS item_id,
            CASE WHEN i = 12 THEN 'plan_to_watch' END AS status,
            TIMESTAMP '2020-01-15' + to_months((i - 1)::INTEGER) AS "at"
        FROM range(1, 13) AS users(u), range(1, 13) AS items(i) WHERE i <= u;
        CREATE TABLE clean.ratings AS
        SELECT user_id, item_id, (user_id / 2)::FLOAT AS rating, "at" AS rated_at
        FROM clean.interactions WHERE item_id % 2 = 0;
        CREATE TABLE clean.users (user_id BIGINT, source_id VARCHAR);
        CREATE TABLE clean.rejected (source_file VARCHAR, line BIGINT, reason VARCHAR, raw VARCHAR);
        INSERT INTO clean.rejected VALUES ('ratings.csv', 3, 'unparsable', 'x,y,z');
        """
    )
    connection.execute("UPDATE clean.items SET title = ? WHERE item_id = 2", [AWKWARD])
    connection.execute(
        "UPDATE clean.items SET title_english = 'Gintama', genres = ['Comedy <3', 'Sci-Fi'] WHERE item_id = 12"
    )
    return connection


def pairs(*known: tuple[int, int, float]) -> Interactions:
    """Return the interactions of (user, item, rating)."""
    users, items, ratings = zip(*known, strict=True)
    return Interactions(np.array(users, np.int32), np.array(items, np.int32), np.array(ratings, np.float32))


def example_users(connection: duckdb.DuckDBPyConnection) -> list[ExampleUser]:
    """Return user 1, who has one item, and user 12, whose items are all known except the planned one."""
    heavy = pairs(*((11, item, np.nan) for item in range(11)))
    examples = [
        Example("light", 0, pairs((0, 0, np.nan)), np.array([], np.int32)),
        Example("heavy", 11, heavy, np.array([11], np.int32)),
    ]
    ids = np.arange(1, 13)
    return describe_users(connection, examples, ids, ids)


def record(model: str) -> ModelRecord:
    return ModelRecord(
        model, "20260102T030405-abcdef", {"damping": 5.0, "patience": None}, 42, "d", "i", {}, {}, 12.3, 456_000_000, {}
    )


def waiting() -> Waiting:
    """Lists of a challenger that wait, with what only a hostile source would write."""
    decision = Decision(
        "2026-01-09T03:04:05+00:00", "ease", "20260109T030405-abcdef", "popularity", "20260102T030405-abcdef",
        "ease beats popularity on validation by NDCG@10 +0.0123", "gate", {},
    )  # fmt: skip
    live, new = (datetime(2026, 1, day) for day in (2, 9))
    review = Review(
        [MetricChange("NDCG@10", Figure(0.12, 0.1, 0.14), Figure(0.1323, 0.11, 0.15))],
        [PartChange("all", 3, 0.4, 0), PartChange("light", 1, 0.5, 0), PartChange("heavy", 2, 0.35, 0)],
        2,
        1,
        [ItemChange("<script>Rising</script>", 1, 3)],
        [ItemChange("Falling", 3, 0)],
        [RuleHit("never.genres: Horror", 4, 17)],
        [UserChange("alice@example.org", 1, ["Falling", "Kept"], ["Kept", "A & B"])],
    )
    old, waits = Lists("popularity", "v1", live), Lists("ease", "v2", new)
    return Waiting(decision, waits, old, None, review)


def tradeoff() -> Tradeoff:
    """What diversity and calibration cost, one weight of each."""
    points = [
        TradeoffPoint(0, 0, 0.2, 0, 0, 0, 0.25, 0.3, 1.2, 2.5),
        TradeoffPoint(0.5, 0, 0.18, -0.02, -0.03, -0.01, 0.3, 0.4, 0.9, 1.3),
        TradeoffPoint(0, 0.5, 0.19, -0.01, -0.02, 0.001, 0.28, 0.35, 0.4, 2.7),
    ]
    return Tradeoff("popularity", "20260102T030405-abcdef", 123, points)


def report(**changes: Any) -> Report:
    connection = clean_tables()
    board = leaderboard()
    lists = {
        "popularity": [ListedItem("light", 1, 12, 67310.0, False), ListedItem("light", 2, 2, 0.25, True)],
        "embedding_mlp": [ListedItem("light", 1, 2, 4.5, True, "rating", 4.2, 3.1, 5.0)],
    }
    curves = {"embedding_mlp": {"loss": [2.0, 1.5, 1.2], "val_loss": [2.1, 1.7, 1.6]}}
    importances = {"popularity": [], "embedding_mlp": IMPORTANCES}
    values: dict[str, Any] = {
        "provenance": Provenance(
            "anime", "sample-anime", "0123456789abcdef0123", "free & <easy>", "popularity", "20260102T030405-abcdef",
            66, (1, 10), {"recsys-dagster": "0.1.0"},
        ),
        "profile": read_profile(connection),
        "fold_cuts": "folds are cut by hash, as no rating has a time",
        "folds": [Fold("train", 60, 30, 12, 11, None, None), Fold("test", 18, 6, 7, 12, None, None)],
        "files": [FileAccount(file="ratings.csv", rows_in=67, kept=66, rejected={"unparsable": 1})],
        "leaderboard": board,
        "champion": "popularity",
        "champion_verdicts": ["popularity is the champion."],
        "comparison_verdicts": ["embedding_mlp is not distinguishable from popularity."],
        "models": [
            ModelCard(
                row.model, f"What {row.model} is.", record(row.model), list(row.shown.values()),
                curves.get(row.model, {}), lists[row.model], CONFUSION, SLICES, importances[row.model],
            )
            for row in board.rows if row.model in lists
        ],
        "skipped": {"reranker": "is not selected"},
        "papers": paper_figures("anime", [
            PaperRow(
                "003", "two_tower", "here", "mse_scaled", "all", 0.0646, 0.071, 0.12, None, None, "constant", 70, 30
            )
        ]),
        "paper_runs": paper_runs(DETAILS, [PaperConfusion("004", "dropout_mlp", "here", 8, 7, 3)]),
        "faults": [
            FaultRow("leaky-tastes", "003", "here", "two_tower", "rmse", 1.2, 1.08, -0.2, -0.05),
            FaultRow("genre-by-substring", "003", "here", "titles", "titles flagged", 410, 530, None, None),
        ],
        "usage": [
            StepUsage("clean_tables", 75.0, 140.0, 2_345_600_000, 250_000.4, 1.0),
            StepUsage("serving/champion", 0.5, 0.4, 1_000_000, None, 2.0),
        ],
        "example_users": example_users(connection),
        "items": read_listed_items(connection, lists),
        "waiting": waiting(),
        "tradeoff": tradeoff(),
    }  # fmt: skip
    return Report(**values | changes)
