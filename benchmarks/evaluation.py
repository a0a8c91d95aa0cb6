"""How long it takes to judge the lists of everybody, beside `ranx` and RecTools judging the same lists.

RecTools wants older versions of NumPy and pandas than this project: it runs in an environment of its own, which `uv`
makes, on the same lists in Parquet files.
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

from benchmarks.figures import Figure, at_least, at_most, peak, ratio
from benchmarks.measuring import FOLDER, ROOT, measure
from benchmarks.sizes import Size
from benchmarks.worlds import Factors, made
from recsys_dagster.evaluation.evaluate import evaluate
from recsys_dagster.evaluation.lists import RelevantPairs
from recsys_dagster.evaluation.metrics.accuracy import RANKING_METRICS
from recsys_dagster.runtime.resource_usage import ResourceUsage, track_resources

TITLE = "Evaluation"
TITLES, TRAIN, TEST = 20_000, 30, 10
"""Items, and pairs of each user."""
KS = (5, 10, 20, 50, 100)
LIKED = 4
RECTOOLS = "rectools==0.19.0"


def judged(users: int) -> tuple[ResourceUsage, dict[str, Any]]:
    """From arrays of lists and likes to the means of all ranking metrics at all cut-offs; compiled beforehand."""
    listed, liked = (pq.read_table(path) for path in _files(users))
    items = listed["item_id"].to_numpy().reshape(users, -1)
    rows, wanted = (liked[name].to_numpy() for name in ("user_id", "item_id"))
    RelevantPairs.of(rows[:1], wanted[:1], TITLES).positions(np.arange(1), items[:1])
    with track_resources() as usage:
        relevant = RelevantPairs.of(rows, wanted, TITLES)
        counts = relevant.counts(users)
        hits = relevant.positions(np.arange(users), items) >= 0
        found = {
            f"{name}@{k}": float(np.nanmean(metric(hits, counts, k)))
            for name, metric in RANKING_METRICS.items()
            for k in KS
        }
    return usage, {"means": found}


def ranx_judged(users: int) -> tuple[ResourceUsage, dict[str, Any]]:
    """`ranx.evaluate`, compiled beforehand; what it takes to bring the lists into its own form is told apart."""
    import ranx

    listed, liked = (pq.read_table(path).to_pandas() for path in _files(users))
    listed["score"] = -listed["rank"].astype(float)
    liked["score"] = 1
    for table in (listed, liked):
        for name in ("user_id", "item_id"):
            table[name] = table[name].astype(str).astype(object)
    names = [f"{name}@{k}" for name in RANKING_METRICS for k in KS]

    def forms(some: int) -> tuple[Any, Any]:
        columns = {"q_id_col": "user_id", "doc_id_col": "item_id", "score_col": "score"}
        asked = liked.user_id.isin(liked.user_id.unique()[:some])
        known = listed.user_id.isin(liked.user_id[asked].unique())
        return ranx.Qrels.from_df(liked[asked], **columns), ranx.Run.from_df(listed[known], **columns)

    ranx.evaluate(*forms(100), names, make_comparable=True)
    with track_resources() as building:
        qrels, run = forms(users)
    with track_resources() as usage:
        found = ranx.evaluate(qrels, run, names, make_comparable=True)
    return usage, {"means": {name: float(value) for name, value in found.items()}, "building": building.wall_seconds}


def rectools_evaluated(users: int) -> tuple[ResourceUsage, dict[str, Any]]:
    """`rectools.metrics.calc_metrics`, in its own environment."""
    script = Path(__file__).with_name("rectools_evaluate.py")
    process = subprocess.run(
        ["uv", "run", "--no-project", "--quiet", "--python", sys.executable, "--with", RECTOOLS, "--with", "pyarrow",
         "python", script, *_files(users), json.dumps(KS)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    told = json.loads(process.stdout.splitlines()[-1])
    return ResourceUsage(**told.pop("usage")), told


def whole(users: int) -> tuple[ResourceUsage, dict[str, Any]]:
    """`evaluate`: ranking every title for every user, all metrics, slices and intervals."""
    data, test = made(users, TITLES, TRAIN, TEST)
    model = Factors().fit(data)
    with track_resources() as usage:
        found = evaluate(model, test, None, like_threshold=LIKED, data=data, seed=0)
    return usage, {"metrics": len(found.metrics), "slices": len(found.slices)}


def figures(size: Size) -> list[Figure]:
    """The peers' times as multiples of ours, the largest difference, and a whole evaluation."""
    users = size.judged_users
    ours, everything = measure(judged, users=users), measure(whole, users=users)
    asked = f"lists of {users:,} users, {len(RANKING_METRICS)} metrics at {len(KS)} cut-offs"
    found = []
    for name, way, target in (("ranx", ranx_judged, 2), ("RecTools", rectools_evaluated, 5)):
        theirs = measure(way, users=users)
        differences = [abs(ours.facts["means"][key] - value) for key, value in theirs.facts["means"].items()]
        found += [
            at_least(f"{asked}: {name}", ratio(ours, theirs), target, "× our time", ours, theirs),
            at_most(f"{asked}: {name}, largest difference", max(differences), 1e-9, "", ours, theirs),
        ]
    return [*found, peak(f"a whole evaluation, {users:,} users × {TITLES:,} titles", 2, everything)]


def _files(users: int) -> tuple[Path, Path]:
    """Return the lists and the likes as Parquet files, made if they are not there."""
    folder = FOLDER / "lists" / str(users)
    listed, liked = folder / "lists.parquet", folder / "likes.parquet"
    if not liked.exists():
        folder.mkdir(parents=True, exist_ok=True)
        data, test = made(users, TITLES, TRAIN, TEST)
        items = Factors().fit(data).recommend(np.arange(users, dtype=np.int32), max(KS)).items
        everybody = np.repeat(np.arange(users), max(KS))
        ranks = np.tile(np.arange(1, max(KS) + 1), users)
        pq.write_table(pa.table({"user_id": everybody, "item_id": items.ravel(), "rank": ranks}), listed)
        likes = test.liked(LIKED)
        # Random lists hold hardly a like: a few of what they hold is liked as well, for there to be hits.
        hits = np.random.default_rng(2).random(items.size) < 0.03
        pairs = {"user_id": [likes.users, everybody[hits]], "item_id": [likes.items, items.ravel()[hits]]}
        both = (
            pa.table({name: np.concatenate(parts) for name, parts in pairs.items()}).group_by(list(pairs)).aggregate([])
        )
        pq.write_table(both, liked)
    return listed, liked
