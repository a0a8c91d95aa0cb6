"""Time to build the feature tables, compared with the notebook of paper 003, which does less in pandas."""

from typing import Any

from benchmarks import samples
from benchmarks.measurement import measure
from benchmarks.result import Result, at_least, peak, ratio, without_target
from benchmarks.sizes import ANIME_2020, ML_20M, Size
from recsys_dagster.runtime.resource_usage import ResourceUsage, track_resources
from recsys_dagster.warehouse.arrays import load_training_data
from recsys_dagster.warehouse.build import build_features

TITLE = "Features"


def tables(format_name: str, ratings: int) -> tuple[ResourceUsage, dict[str, Any]]:
    """Build the tables of users, items, interactions with their folds, genres and tastes."""
    warehouse = samples.cleaned(format_name, ratings)
    with track_resources() as usage:
        built = build_features(warehouse, samples.SEED)
    return usage, {table.name: table.rows for table in built}


def arrays(format_name: str, ratings: int) -> tuple[ResourceUsage, dict[str, Any]]:
    """Load the training and validation folds as arrays, the form that models take."""
    warehouse = samples.featured(format_name, ratings)
    with track_resources() as usage:
        data = load_training_data(warehouse)
    folds = (data.train, data.validation)
    columns = [column for fold in folds for column in vars(fold).values() if column is not None]
    return usage, {"pairs": sum(map(len, folds)), "bytes": sum(column.nbytes for column in columns)}


def notebook(ratings: int) -> tuple[ResourceUsage, dict[str, Any]]:
    """Run cells 6 to 37 of the notebook of paper 003, changed only where pandas 3 refuses them.

    Reading the files is not measured.
    """
    import numpy as np
    import pandas as pd

    folder = samples.sample(ANIME_2020[0], ratings).folder
    anime_data = pd.read_csv(folder / "anime.csv")
    user_data = pd.read_csv(folder / "rating_complete.csv")
    with track_resources() as usage:
        proc_ad = anime_data[["MAL_ID", "Name", "English name", "Aired", "Score", "Genres"]]
        proc_ad = proc_ad[proc_ad.Aired != "Unknown"]
        proc_ad = proc_ad[proc_ad.Genres != "Unknown"]
        proc_ad["Aired"] = proc_ad.Aired.str.extract(r"(\d{4})")
        proc_ad["Score"] = proc_ad.Score.replace("Unknown", "0.0")  # the notebook puts a number into a column of texts
        proc_ad = proc_ad.reset_index(drop=True)
        genres = list(proc_ad.Genres.str.split(", ", expand=True).stack().dropna().unique())  # noqa: PD013
        for genre in genres:
            proc_ad[genre] = 0
        for index, row in proc_ad.iterrows():
            for genre in genres:
                if genre in row["Genres"]:
                    proc_ad.loc[index, genre] = 1
        proc_ad = proc_ad.drop(["Genres"], axis=1)
        proc_ud = user_data.join(proc_ad.set_index("MAL_ID"), on="anime_id")
        proc_ud = proc_ud.dropna()
        proc_ud = proc_ud.reset_index(drop=True)
        for genre in genres:
            proc_ud[genre] = proc_ud[genre].multiply(proc_ud["rating"], axis="index")
        user_ratings = proc_ud.drop(["anime_id", "rating", "Name", "English name", "Aired", "Score"], axis=1)
        user_ratings.loc[user_ratings.user_id == 0, "user_id"] = -1
        user_ratings = user_ratings.replace(0.0, np.nan)
        user_ratings.loc[user_ratings.user_id == -1, "user_id"] = 0
        user_ratings = user_ratings.groupby("user_id").mean()
        user_ratings = user_ratings.fillna(0)
        user_ratings[genres] = user_ratings[genres].round(2)
    return usage, {"users": len(user_ratings), "genres": len(genres)}


def results(size: Size) -> list[Result]:
    """Return the notebook's time as a multiple of ours, then speed and memory on the whole samples."""
    theirs = measure(notebook, ratings=size.notebook)
    ours = measure(tables, format_name=ANIME_2020[0], ratings=size.notebook)
    description = f"the notebook of paper 003 in pandas, {size.notebook:,} ratings"
    rows = [at_least(description, ratio(ours, theirs), 30, "× our time", ours, theirs)]
    for (format_name, _), ratings in ((ML_20M, size.movies), (ANIME_2020, size.anime)):
        built = measure(tables, format_name=format_name, ratings=ratings)
        loaded = measure(arrays, format_name=format_name, ratings=ratings)
        description = f"{format_name}, {ratings:,} ratings"
        speed = built.facts["interactions"] / built.usage.wall_seconds / 1e6
        bytes_per_pair = loaded.facts["bytes"] / loaded.facts["pairs"]
        rows += [
            without_target(f"{description}: tables", f"{speed:.2f} M rows/s", built),
            peak(f"{description}: tables", 4, built),
            without_target(f"{description}: arrays", f"{bytes_per_pair:.0f} bytes a pair", loaded),
        ]
    return rows
