"""How good a model is, and how sure that is: metrics, intervals over users, the leaderboard and its champion."""

from recsys_dagster.evaluation.evaluating import Evaluation, constant_rating_metrics, evaluate, predictions
from recsys_dagster.evaluation.examples import (
    Example,
    ListedTitle,
    example_lists,
    pick_examples,
    read_example_lists,
    write_example_lists,
)
from recsys_dagster.evaluation.gate import GATE_COLUMNS, Candidate, Guard, Tolerances, Trial, Verdict, judge, said
from recsys_dagster.evaluation.importance import (
    Importance,
    permutation_importance,
    read_importance,
    write_importance,
)
from recsys_dagster.evaluation.intervals import Interval, interval, resampled_sums
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
)
from recsys_dagster.evaluation.metrics import Statistic, mean, root_mean
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
from recsys_dagster.evaluation.remarks import Concern, Remark, suspects
from recsys_dagster.evaluation.sentences import verdicts
from recsys_dagster.evaluation.significance import Paired, compare_all
from recsys_dagster.evaluation.slices import Slice
from recsys_dagster.evaluation.store import (
    ConfusionRow,
    MetricRow,
    SliceRow,
    headline,
    read_confusion,
    read_metrics,
    read_per_user,
    read_slices,
    store_metrics,
    write_per_user,
)
from recsys_dagster.evaluation.summary import Metric

__all__ = [
    "BASELINES",
    "COMPARED_COLUMNS",
    "CONSTANT",
    "GATE_COLUMNS",
    "HOLDOUT",
    "Candidate",
    "Comparison",
    "Concern",
    "ConfusionRow",
    "Contestant",
    "Division",
    "Evaluation",
    "Example",
    "GlobalTime",
    "Guard",
    "Holdout",
    "Importance",
    "Interval",
    "Leaderboard",
    "LeaderboardRow",
    "LeaveLastOut",
    "ListedTitle",
    "Metric",
    "MetricRow",
    "Paired",
    "Protocol",
    "RandomPairs",
    "Remark",
    "Slice",
    "SliceRow",
    "Statistic",
    "StrongGeneralisation",
    "Tolerances",
    "Trial",
    "Verdict",
    "build_leaderboard",
    "choose_champion",
    "compare_all",
    "constant_rating_metrics",
    "evaluate",
    "evaluate_split",
    "example_lists",
    "get_protocol",
    "headline",
    "interval",
    "judge",
    "mean",
    "permutation_importance",
    "pick_examples",
    "predictions",
    "protocol_names",
    "read_confusion",
    "read_example_lists",
    "read_importance",
    "read_metrics",
    "read_per_user",
    "read_slices",
    "resampled_sums",
    "root_mean",
    "said",
    "store_metrics",
    "suspects",
    "verdicts",
    "write_example_lists",
    "write_importance",
    "write_per_user",
]
