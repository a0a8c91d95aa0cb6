"""Time to evaluate the lists of all users, compared with `ranx` and RecTools evaluating the same lists.

RecTools needs older versions of NumPy and pandas than this project, so it runs in a separate environment that `uv`
creates. It reads the same lists from Parquet files.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measurement import FOLDER, ROOT, measure
from benchmarks.result import Result, at_least, at_most, peak, ratio
from benchmarks.sizes import Size
from benchmarks.synthetic import Factors, random_data
from recsys_dagster.evaluation.evaluate import evaluate
from recsys_dagster.evaluation.metrics.registry import LIST_LENGTHS, RANKING_METRICS
from recsys_dagster.evaluation.relevance import RelevantPairs
from recsys_dagster.runtime.resource_usage import ResourceUsage, track_resources

TITLE = "Evaluation"
ITEMS, TRAIN_PAIRS, TEST_PAIRS = 20_000, 30, 10
"""Number of items, and pairs of each user in each fold."""
KS = LIST_LENGTHS
COMPARED_METRICS = {metric.name: metric.function for metric in RANKING_METRICS if metric.name != "capped_recall"}
"""The metrics that the peers have too."""
LIKE_THRESHOLD = 4
RECTOOLS = "rectools==0.19.0"


def ours(users: int) -> tuple[ResourceUsage, dict[str, Any]]:
    """Compute all ranking metrics at all cut-offs from arrays; the loops are compiled beforehand."""
    lists, likes = (pq.read_table(path) for path in _files(users))
    items = lists["item_id"].to_numpy().reshape(users, -1)
    liking_users, liked_items = (likes[name].to_numpy() for name in ("user_id", "item_id"))
    RelevantPairs.of(liking_users[:1], liked_items[:1], ITEMS).positions(np.arange(1), items[:1])
    with track_resources() as usage:
        relevant = RelevantPairs.of(liking_users, liked_items, ITEMS)
        counts = relevant.counts(users)
        hits = relevant.positions(np.arange(users), items) >= 0
        means = {
            f"{name}@{k}": float(np.nanmean(metric(hits, counts, k)))
            for name, metric in COMPARED_METRICS.items()
            for k in KS
        }
    return usage, {"means": means}


def ranx_evaluate(users: int) -> tuple[ResourceUsage, dict[str, Any]]:
    """Evaluate with `ranx.evaluate`, compiled beforehand; the time to build its own objects is reported separately."""
    import ranx

    lists, likes = (pq.read_table(path).to_pandas() for path in _files(users))
    lists["score"] = -lists["rank"].astype(float)
    likes["score"] = 1
    for table in (lists, likes):
        for name in ("user_id", "item_id"):
            table[name] = table[name].astype(str).astype(object)
    names = [f"{name}@{k}" for name in COMPARED_METRICS for k in KS]

    def build(n_users: int) -> tuple[Any, Any]:
        columns = {"q_id_col": "user_id", "doc_id_col": "item_id", "score_col": "score"}
        eligible = likes.user_id.unique()[:n_users]
        chosen_likes, chosen_lists = likes[likes.user_id.isin(eligible)], lists[lists.user_id.isin(eligible)]
        return ranx.Qrels.from_df(chosen_likes, **columns), ranx.Run.from_df(chosen_lists, **columns)

    ranx.evaluate(*build(100), names, make_comparable=True)
    with track_resources() as building:
        qrels, run = build(users)
    with track_resources() as usage:
        means = ranx.evaluate(qrels, run, names, make_comparable=True)
    return usage, {"means": {name: float(value) for name, value in means.items()}, "building": building.wall_seconds}


def rectools_evaluate(users: int) -> tuple[ResourceUsage, dict[str, Any]]:
    """Evaluate with `rectools.metrics.calc_metrics`, in its own environment."""
    script = Path(__file__).with_name("rectools_evaluate.py")
    process = subprocess.run(
        ["uv", "run", "--no-project", "--quiet", "--python", sys.executable, "--with", RECTOOLS, "--with", "pyarrow",
         "python", script, *_files(users), json.dumps(KS)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    facts = json.loads(process.stdout.splitlines()[-1])
    return ResourceUsage(**facts.pop("usage")), facts


def whole(users: int) -> tuple[ResourceUsage, dict[str, Any]]:
    """Run `evaluate`: rank all items for every user, then compute all metrics, slices and intervals."""
    data, test = random_data(users, ITEMS, TRAIN_PAIRS, TEST_PAIRS)
    model = Factors().fit(data)
    with track_resources() as usage:
        evaluation = evaluate(model, test, None, like_threshold=LIKE_THRESHOLD, data=data, seed=0)
    return usage, {"metrics": len(evaluation.metrics), "slices": len(evaluation.slices)}


def results(size: Size) -> list[Result]:
    """Return the peers' times as multiples of ours, the largest differences, and the memory of a whole evaluation."""
    users = size.evaluated_users
    mine, complete = measure(ours, users=users), measure(whole, users=users)
    description = f"lists of {users:,} users, {len(COMPARED_METRICS)} metrics at {len(KS)} cut-offs"
    rows = []
    for name, function, target in (("ranx", ranx_evaluate, 2), ("RecTools", rectools_evaluate, 5)):
        theirs = measure(function, users=users)
        differences = [abs(mine.facts["means"][key] - value) for key, value in theirs.facts["means"].items()]
        rows += [
            at_least(f"{description}: {name}", ratio(mine, theirs), target, "× our time", mine, theirs),
            at_most(f"{description}: {name}, largest difference", max(differences), 1e-9, "", mine, theirs),
        ]
    return [*rows, peak(f"a whole evaluation, {users:,} users × {ITEMS:,} items", 2, complete)]


def _files(users: int) -> tuple[Path, Path]:
    """Return the Parquet files of the lists and of the liked pairs, writing them if they do not exist."""
    folder = FOLDER / "lists" / str(users)
    lists, likes = folder / "lists.parquet", folder / "likes.parquet"
    if not likes.exists():
        folder.mkdir(parents=True, exist_ok=True)
        data, test = random_data(users, ITEMS, TRAIN_PAIRS, TEST_PAIRS)
        items = Factors().fit(data).recommend(np.arange(users, dtype=np.int32), max(KS)).items
        listed_users = np.repeat(np.arange(users), max(KS))
        ranks = np.tile(np.arange(1, max(KS) + 1), users)
        pq.write_table(pa.table({"user_id": listed_users, "item_id": items.ravel(), "rank": ranks}), lists)
        liked = test.liked(LIKE_THRESHOLD)
        # Random lists have almost no hits, so 3 % of the listed items are liked as well.
        hits = np.random.default_rng(2).random(items.size) < 0.03
        parts = {"user_id": [liked.users, listed_users[hits]], "item_id": [liked.items, items.ravel()[hits]]}
        pairs = pa.table({name: np.concatenate(columns) for name, columns in parts.items()})
        pq.write_table(pairs.group_by(list(parts)).aggregate([]), likes)
    return lists, likes
