"""Generate the files of a sample dataset in the format of a real one.

The same arguments give the same bytes. Memory is bounded: users are generated in blocks, and only a few blocks are in
memory at a time.
"""

from pathlib import Path

from recsys_dagster.errors import UsageError


def write_sample(format_name: str, folder: Path, *, n_users: int, n_items: int, n_ratings: int, seed: int) -> None:
    """Generate the files of a dataset format in `folder`, which is created if it does not exist.

    Every user has at least one rating, no (user, item) pair occurs twice, and rows are sorted by user, as in the real
    datasets. In the format `anime-2020`, `n_ratings` is the number of rows of `rating_complete.csv`; `animelist.csv`,
    which also lists items that are not rated or not completed, has about 1.9 times as many rows.

    Args:
        format_name: `movielens` or `anime-2020`.
        folder: output folder; existing files of the same names are overwritten.
        n_users: exact number of users.
        n_items: exact number of items.
        n_ratings: exact number of ratings.
        seed: seed of all random numbers.

    Raises:
        UsageError: there is no generator for the format.
        RecsysError: the number of ratings does not fit the numbers of users and items.
    """
    # Importing numba takes half a second, which `recsys datasets` should not have to wait for.
    from recsys_dagster.ingest.samples.anime import write_anime
    from recsys_dagster.ingest.samples.movielens import write_movielens

    writers = {"movielens": write_movielens, "anime-2020": write_anime}
    if format_name not in writers:
        raise UsageError(f"no generator for the format {format_name!r}; known: {', '.join(writers)}")
    folder.mkdir(parents=True, exist_ok=True)
    writers[format_name](folder, n_users, n_items, n_ratings, seed)
