"""How much is measured: enough to see that everything works, or as much as the issue of full size asks for."""

from dataclasses import dataclass

ML_20M = ("movielens", 20_000_263)
"""Format and ratings of MovieLens-20M."""
ANIME_2020 = ("anime-2020", 57_633_278)
"""Format and ratings of the Anime Recommendation Database 2020, whose lists have 109 million entries besides."""


@dataclass(frozen=True)
class Size:
    """The sizes of all measurements.

    Attributes:
        name: what `make bench SIZE=…` calls it.
        movies, anime: ratings of the two samples that the data path is measured on.
        notebook: ratings that the notebook's way is measured on.
        curve: ratings of the points of the scaling curves.
        training: ratings that the network is trained on.
        listed_users, listed_titles: for whom lists are made, and of what.
        judged_users: whose lists are judged.
        pipeline: the samples, by dataset id, that go from raw files to published lists.
    """

    name: str
    movies: int
    anime: int
    notebook: int
    curve: tuple[int, ...]
    training: int
    listed_users: int
    listed_titles: int
    judged_users: int
    pipeline: tuple[str, ...]


SIZES = {
    size.name: size
    for size in (
        Size(
            name="small",
            movies=2_000_000,
            anime=1_000_000,
            notebook=250_000,
            curve=(250_000, 500_000, 1_000_000),
            training=500_000,
            listed_users=10_000,
            listed_titles=10_000,
            judged_users=5_000,
            pipeline=(),
        ),
        Size(
            name="full",
            movies=ML_20M[1],
            anime=ANIME_2020[1],
            notebook=1_000_000,
            curve=(1_000_000, 2_000_000, 5_000_000, 10_000_000, 20_000_000, ANIME_2020[1]),
            training=5_000_000,
            listed_users=138_493,
            listed_titles=26_744,
            judged_users=100_000,
            pipeline=("sample-movie-full", "sample-anime-full"),
        ),
    )
}
