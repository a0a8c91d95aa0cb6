"""How good a model is, and how sure that is: metrics, intervals over users, the leaderboard and its champion."""

from recsys_dagster.evaluation.evaluating import Evaluation, Metric, constant_rating_metrics, evaluate, predictions
from recsys_dagster.evaluation.examples import (
    Example,
    ListedTitle,
    example_lists,
    pick_examples,
    read_example_lists,
    write_example_lists,
)
from recsys_dagster.evaluation.intervals import Interval
from recsys_dagster.evaluation.leaderboard import (
    BASELINES,
    COMPARED_COLUMNS,
    CONSTANT,
    HOLDOUT,
    Comparison,
    Leaderboard,
    LeaderboardRow,
    build_leaderboard,
    choose_champion,
    verdicts,
)
from recsys_dagster.evaluation.own_split import Contestant, evaluate_split
from recsys_dagster.evaluation.protocols import (
    Division,
    GlobalTime,
    Holdout,
    LeaveLastOut,
    Protocol,
    RandomPairs,
    StrongGeneralisation,
    get_protocol,
    protocol_names,
)
from recsys_dagster.evaluation.store import MetricRow, read_metrics, read_per_user, store_metrics, write_per_user

__all__ = [
    "BASELINES",
    "COMPARED_COLUMNS",
    "CONSTANT",
    "HOLDOUT",
    "Comparison",
    "Contestant",
    "Division",
    "Evaluation",
    "Example",
    "GlobalTime",
    "Holdout",
    "Interval",
    "Leaderboard",
    "LeaderboardRow",
    "LeaveLastOut",
    "ListedTitle",
    "Metric",
    "MetricRow",
    "Protocol",
    "RandomPairs",
    "StrongGeneralisation",
    "build_leaderboard",
    "choose_champion",
    "constant_rating_metrics",
    "evaluate",
    "evaluate_split",
    "example_lists",
    "get_protocol",
    "pick_examples",
    "predictions",
    "protocol_names",
    "read_example_lists",
    "read_metrics",
    "read_per_user",
    "store_metrics",
    "verdicts",
    "write_example_lists",
    "write_per_user",
]
