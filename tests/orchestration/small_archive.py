"""An archive with few ratings, as a mirror holds it, for runs that are to be quick."""

import zipfile
from collections.abc import Callable, Collection
from pathlib import Path

from recsys_dagster.ingest.samples.write import write_sample


def write_archive(
    mirror: Path,
    dataset: str = "ml-latest-small",
    form: str = "movielens",
    change: Callable[[list[str]], list[str]] = lambda rows: rows,
    leave_out: Collection[str] = (),
) -> Path:
    """Write the archive of a dataset with 900 ratings of 40 items by 60 users, always the same; return its path.

    Args:
        mirror: folder, made if need be; the files of the archive stay in a folder in it.
        dataset, form: id of the dataset and its format.
        change: what is done to the lines of `ratings.csv` after the header; for MovieLens only.
        leave_out: names of files that the archive lacks.
    """
    files = mirror / f"files-{dataset}"
    write_sample(form, files, n_users=60, n_items=40, n_ratings=900, seed=1)
    ratings = files / "ratings.csv"
    if ratings.exists():
        header, *rows = ratings.read_text(encoding="utf-8").splitlines(keepends=True)
        ratings.write_text(header + "".join(change(rows)), encoding="utf-8")
    for name in leave_out:
        (files / name).unlink()
    archive = mirror / f"{dataset}.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for file in sorted(files.iterdir()):
            packed.write(file, f"{dataset}/{file.name}")
    return archive


def without_last(count: int) -> Callable[[list[str]], list[str]]:
    """Return the change that leaves out the last rows."""
    return lambda rows: rows[: len(rows) - count]
