"""Speed of the service: look-ups and a constant route of the same process, half load, a publication, fold-in."""

import json
import shutil
import threading
import time
import urllib.request
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.measurement import FOLDER, measure
from benchmarks.published_lists import DOMAIN, publish_random
from benchmarks.result import Result, at_least, at_most, without_target
from benchmarks.serving_process import CONSTANT, has_wrk, load, look_up, memory, serving
from benchmarks.sizes import Size
from benchmarks.synthetic import random_data
from recsys_dagster.data.interactions import Interactions
from recsys_dagster.models.registry import get_model_class
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.resource_usage import ResourceUsage, track_resources

TITLE = "Service"
ROUNDS, SECONDS = 5, 4.0
"""Rounds of look-ups and constants in turn, so that both meet the same load of the machine; seconds of each."""
HISTORY = 20


def look_ups(users: int, items: int) -> tuple[ResourceUsage, dict[str, Any]]:
    """Measure look-ups and the constant, at full and at half load, and while lists are published."""
    home = FOLDER / "serving"
    shutil.rmtree(home, ignore_errors=True)
    published = Layout(home).published(DOMAIN)
    publish_random(published, users, items, "v1")
    publish_random(Layout(home).built(DOMAIN), users, items, "v2")
    with serving(home, 1000, "--workers", "1") as (_, url):
        answer = urllib.request.urlopen(url + look_up(users).replace(f"%d:{users}", "7")).read()
    with serving(home, len(answer)) as (pid, url), track_resources() as usage:
        load(url, look_up(users), 2)
        rounds = [(load(url, look_up(users), SECONDS), load(url, CONSTANT, SECONDS)) for _ in range(ROUNDS)]
        rate = float(np.median([listed.per_second for listed, _ in rounds]))
        connections = 32
        half = load(url, look_up(users), 10, connections=connections, pause=connections / (rate / 2))
        machine = load(url, CONSTANT, 10, connections=connections, pause=connections / (rate / 2))
        swap = threading.Timer(2, lambda: Layout(home).built(DOMAIN).replace(published))
        swap.start()
        publishing = load(url, look_up(users), 30 if users < 100_000 else 150)
        facts = {
            "answer_bytes": len(answer),
            "per_second": rate,
            "constant": float(np.median([constant.per_second for _, constant in rounds])),
            "share": float(np.median([listed.per_second / constant.per_second for listed, constant in rounds])),
            "half_per_second": half.per_second,
            "half_median": half.median,
            "half_p99": half.p99,
            "constant_tail": machine.p99 / machine.median,
            "publishing_per_second": publishing.per_second,
            "publishing_p99": publishing.p99,
            "failures": sum(one.failures for pair in rounds for one in pair) + half.failures + publishing.failures,
            "version": _version(url),
            "bytes": memory(pid),
            "private_bytes": memory(pid, private=True),
        }
    shutil.rmtree(home)
    return usage, facts


def fold_in(model: str, items: int) -> tuple[ResourceUsage, dict[str, Any]]:
    """Measure a ranking of all items for a new user with a history."""
    chosen = get_model_class(model)().fit(random_data(2000, items, 144, 0)[0])
    random = np.random.default_rng(0)
    seconds = []
    with track_resources() as usage:
        for _ in range(100):
            rated = random.choice(items, HISTORY, replace=False).astype(np.int32)
            ratings = random.integers(1, 11, HISTORY).astype(np.float32)
            history = Interactions(np.zeros(HISTORY, np.int32), rated, ratings)
            started = time.perf_counter()
            with threadpool_limits(1, "blas"):  # as the service does
                chosen.recommend_for(items, history=history)
            seconds.append(time.perf_counter() - started)
    return usage, {"median": float(np.median(seconds)), "p99": float(np.quantile(seconds, 0.99))}


def results(size: Size) -> list[Result]:
    """Return the share of the constant's rate, the tail at half load, memory, failures and fold-in."""
    if not has_wrk():
        print("Service: not measured, as wrk is not installed (Debian package wrk)")
        return []
    users, items = size.served_users, size.served_items
    one = measure(look_ups, users=users, items=items)
    described = f"look-ups among {users:,} users × 100"
    if one.facts["version"] != "v2":
        raise RuntimeError(f"the publication was not followed: {one.facts}")
    rows = [
        without_target(
            f"{described}, {one.facts['answer_bytes']:,} bytes", f"{one.facts['per_second']:,.0f} a second", one
        ),
        at_least(f"{described}: rate by that of a constant of the same size", one.facts["share"], 0.5, "×", one),
        at_most(
            f"{described}: p99 by median at half load", one.facts["half_p99"] / one.facts["half_median"], 4, "×", one
        ),
        without_target(
            "the constant at the same rate: p99 by median, which is the machine's",
            f"{one.facts['constant_tail']:.3g} ×",
            one,
        ),
        at_most(f"{described}: failed requests, with a publication", one.facts["failures"], 0, "", one),
        at_most(f"{described}: largest memory, with mapped files", one.facts["bytes"] / 2**30, 1, "GiB", one),
        without_target(
            f"{described}: p99 while lists are published", f"{1000 * one.facts['publishing_p99']:,.0f} ms", one
        ),
    ]
    for model in ("ease", "als"):
        fold = measure(fold_in, model=model, items=items)
        description = f"fold-in by {model} at {items:,} items, {HISTORY} in the history: p99"
        rows.append(at_most(description, 1000 * fold.facts["p99"], 50, "ms", fold))
    return rows


def _version(url: str) -> str:
    answer = json.load(urllib.request.urlopen(url + f"/v1/{DOMAIN}/users/1/recommendations"))
    return str(answer["version"])
