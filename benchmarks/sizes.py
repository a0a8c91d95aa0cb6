"""The amounts of data that the benchmarks run on: `small` shows that everything works, `full` is the real size."""

from dataclasses import dataclass

ML_20M = ("movielens", 20_000_263)
"""Format and ratings of MovieLens-20M."""
ANIME_2020 = ("anime-2020", 57_633_278)
"""Format and ratings of the Anime Recommendation Database 2020; it has 109 million list entries in addition."""


@dataclass(frozen=True)
class Size:
    """The amounts of data of all benchmarks.

    Attributes:
        name: the value of `make bench SIZE=…`.
        movies, anime: ratings of the two samples for generating, cleaning and feature tables.
        declared: ratings that are cleaned as a declared dataset.
        notebook: ratings for the comparison with the notebook of paper 003.
        curve: ratings at each point of the scaling curves.
        engines: ratings of which DuckDB and Spark make the tables.
        training: ratings that the network is trained on.
        listed_users, listed_items: users that get a list, and items that are ranked.
        served_users, served_items: users and items of the lists that the service answers with.
        evaluated_users: users whose lists are evaluated.
        pipeline: ids of the datasets that go through the whole pipeline.
    """

    name: str
    movies: int
    anime: int
    declared: int
    notebook: int
    curve: tuple[int, ...]
    engines: tuple[int, ...]
    training: int
    listed_users: int
    listed_items: int
    served_users: int
    served_items: int
    evaluated_users: int
    pipeline: tuple[str, ...]


SIZES = {
    size.name: size
    for size in (
        Size(
            name="small",
            movies=2_000_000,
            anime=1_000_000,
            declared=2_000_000,
            notebook=250_000,
            curve=(250_000, 500_000, 1_000_000),
            engines=(),
            training=500_000,
            listed_users=10_000,
            listed_items=10_000,
            served_users=20_000,
            served_items=5_000,
            evaluated_users=5_000,
            pipeline=(),
        ),
        Size(
            name="full",
            movies=ML_20M[1],
            anime=ANIME_2020[1],
            declared=ANIME_2020[1],
            notebook=1_000_000,
            curve=(1_000_000, 2_000_000, 5_000_000, 10_000_000, 20_000_000, ANIME_2020[1]),
            engines=(1_000_000, 5_000_000, 20_000_000, ANIME_2020[1]),
            training=5_000_000,
            listed_users=138_493,
            listed_items=26_744,
            served_users=310_059,
            served_items=17_562,
            evaluated_users=100_000,
            pipeline=("sample-movie-full", "sample-anime-full"),
        ),
    )
}
