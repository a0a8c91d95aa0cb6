"""The sample generator: files as the publishers write them, of any size, from an invented world.

The same arguments give the same files. Memory is bounded: users are drawn in blocks, and a few blocks at a time are
turned into CSV.
"""

from pathlib import Path

from recsys_dagster.errors import UsageError


def write_sample(format_name: str, folder: Path, *, n_users: int, n_items: int, n_ratings: int, seed: int) -> None:
    """Write the files of a publisher's format into `folder`, which is made if need be.

    Every user has at least one rating, no (user, item) pair occurs twice, rows are sorted by user as the real ones are.
    In the format `anime-2020`, `n_ratings` is the number of rows of `rating_complete.csv`; `animelist.csv`, which also
    has what is not rated or not completed, is about 1.9 times as long.

    Args:
        format_name: `movielens` or `anime-2020`.
        folder: where the files go; files of the same name are overwritten.
        n_users: exact number of users.
        n_items: exact number of titles.
        n_ratings: exact number of ratings.
        seed: of everything that is random.

    Raises:
        UsageError: there is no generator for the format.
        RecsysError: so many ratings cannot be spread over so many users and titles.
    """
    # The compiler behind these takes half a second to import, which `recsys datasets` has no use for.
    from recsys_dagster.ingest.samples.anime import write_anime
    from recsys_dagster.ingest.samples.movielens import write_movielens

    writers = {"movielens": write_movielens, "anime-2020": write_anime}
    if format_name not in writers:
        raise UsageError(f"no generator for the format {format_name!r}; known: {', '.join(writers)}")
    folder.mkdir(parents=True, exist_ok=True)
    writers[format_name](folder, n_users, n_items, n_ratings, seed)
