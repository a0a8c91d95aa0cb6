"""Time and memory of a full-ranking evaluation: every user, every title, lists of 100, all metrics, slices, intervals.

    python benchmarks/evaluation.py --users 100000 --titles 20000

The model is a table of random factors, so that what is measured is the ranking and the judging; the pairs are drawn
with the popularity of a catalogue (Zipf). Peak memory is that of the whole process, the data and the model included.
"""

import argparse
import json

import numpy as np
import scipy.sparse as sp

from recsys_dagster.costs import measuring
from recsys_dagster.evaluation import evaluate
from recsys_dagster.interactions import Interactions, Titles, TrainingData
from recsys_dagster.models import Model

FACTORS = 32
GENRES = 20
TRAIN, TEST = 30, 10
"""Pairs of each user."""


class Factors(Model):
    """Scores are products of random factors; ratings lean on them."""

    name = "factors"
    summary = "A table of random factors."
    predicts_ratings = True

    def _fit(self, data: TrainingData) -> None:
        generator = np.random.default_rng(0)
        self.user_factors_ = generator.standard_normal((data.n_users, FACTORS), dtype=np.float32)
        self.item_factors_ = generator.standard_normal((data.n_items, FACTORS), dtype=np.float32)

    def _scores(self, users):
        return self.user_factors_[users] @ self.item_factors_.T

    def _predict(self, users, items):
        return 3 + np.einsum("nf,nf->n", self.user_factors_[users], self.item_factors_[items]) / 10


def made(n_users: int, n_titles: int) -> tuple[TrainingData, Interactions]:
    """Return the training data, and the test."""
    generator = np.random.default_rng(1)
    chances = np.cumsum(1 / np.arange(1, n_titles + 1) ** 0.8)
    users = np.repeat(np.arange(n_users), TRAIN + TEST)
    items = np.searchsorted(chances, generator.random(len(users)) * chances[-1])
    keys = generator.permutation(np.unique(users * np.int64(n_titles) + items))
    users, items = (part.astype(np.int32) for part in np.divmod(keys, n_titles))
    pairs = Interactions(users, items, generator.integers(1, 6, len(users)).astype(np.float32))
    held_out = generator.random(len(users)) < TEST / (TRAIN + TEST)
    titles = Titles(
        genres=sp.csr_array(generator.random((n_titles, GENRES)) < 2 / GENRES).astype(np.float32),
        genre_names=tuple(f"genre {n}" for n in range(GENRES)),
        kinds=generator.integers(0, 4, n_titles).astype(np.int16),
        kind_names=("TV", "Movie", "OVA", "Special"),
        years=np.full(n_titles, np.nan, np.float32),
        site_scores=np.full(n_titles, np.nan, np.float32),
    )
    train = pairs.where(~held_out)
    return TrainingData(train, Interactions.empty(), n_users, n_titles, titles, (1, 5), 4), pairs.where(held_out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--titles", type=int, default=20_000)
    asked = parser.parse_args()
    data, test = made(asked.users, asked.titles)
    model = Factors().fit(data)
    with measuring() as lists:
        for start in range(0, asked.users, 8192):
            model.recommend(np.arange(start, min(asked.users, start + 8192), dtype=np.int32), 100)
    with measuring() as everything:
        found = evaluate(model, test, None, like_threshold=4, data=data, seed=0)
    print(
        json.dumps(
            {
                "users": asked.users,
                "titles": asked.titles,
                "judged_users": int(np.count_nonzero(found.per_user["relevant"])),
                "test_pairs": len(test),
                "metrics": len(found.metrics),
                "slices": len(found.slices),
                "lists_alone": {"wall_s": round(lists.wall_seconds, 1), "cpu_s": round(lists.cpu_seconds, 1)},
                "evaluation": {
                    "wall_s": round(everything.wall_seconds, 1),
                    "cpu_s": round(everything.cpu_seconds, 1),
                    "peak_mib": round(everything.peak_bytes / 2**20),
                },
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
