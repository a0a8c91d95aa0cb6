"""Evaluate lists with RecTools. `evaluation` runs this script in an environment that has RecTools.

Usage: python rectools_evaluate.py LISTS RELEVANT CUT-OFFS
"""

import json
import sys
from dataclasses import asdict
from importlib.metadata import version

import pandas as pd
from rectools.metrics import MAP, MRR, NDCG, HitRate, Precision, Recall, calc_metrics

from recsys_dagster.runtime.resource_usage import track_resources

METRICS = {
    "precision": lambda k: Precision(k=k),
    "recall": lambda k: Recall(k=k),
    "ndcg": lambda k: NDCG(k=k, divide_by_achievable=True),
    "mrr": lambda k: MRR(k=k),
    "map": lambda k: MAP(k=k),
    "hit_rate": lambda k: HitRate(k=k),
}

lists, relevant, cut_offs = pd.read_parquet(sys.argv[1]), pd.read_parquet(sys.argv[2]), json.loads(sys.argv[3])
metrics = {f"{name}@{k}": make(k) for name, make in METRICS.items() for k in cut_offs}
with track_resources() as usage:
    means = calc_metrics(metrics, reco=lists, interactions=relevant)
versions = {name: version(name) for name in ("rectools", "numpy", "pandas")}
print(json.dumps({"usage": asdict(usage), "means": means, "versions": versions}))
