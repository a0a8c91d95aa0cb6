"""Compare models on a split of your own: here, the last rating of every user is held out.

    python examples/own_split.py ratings.csv results

`ratings.csv` has the columns of MovieLens: userId, movieId, rating, timestamp. Any split will do, as long as it is
written as two Parquet files with the columns user_id, item_id and rating.
"""

import subprocess
import sys
from pathlib import Path

import pandas as pd

MODELS = "popularity,item_knn,ease"


def main(ratings: Path, results: Path) -> None:
    """Write the split to the folder `results`, and compare models on it."""
    results.mkdir(parents=True, exist_ok=True)
    frame = pd.read_csv(ratings).rename(columns={"userId": "user_id", "movieId": "item_id"})
    frame["rating"] = frame["rating"].astype("float32")
    frame["at"] = pd.to_datetime(frame.pop("timestamp"), unit="s")

    last = frame.sort_values("at", kind="stable").groupby("user_id").tail(1).index
    frame.drop(index=last).to_parquet(results / "train.parquet", index=False)
    frame.loc[last].to_parquet(results / "test.parquet", index=False)

    command = ["recsys", "evaluate", "--models", MODELS, "--scale", "0.5", "5", "--out", str(results)]
    subprocess.run(
        [*command, "--train", str(results / "train.parquet"), "--test", str(results / "test.parquet")], check=True
    )

    lists = pd.read_parquet(results / "lists" / "ease.parquet")
    print(f"{len(lists):,} list entries for {lists['user_id'].nunique():,} users; metrics are in metrics.json")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
