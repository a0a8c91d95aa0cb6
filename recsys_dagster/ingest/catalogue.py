"""List the known datasets; to add one, add an entry here, and a format if its files have a new layout."""

from dataclasses import dataclass

from recsys_dagster.errors import UsageError
from recsys_dagster.ingest.formats import FORMATS, Format

_MOVIELENS_LICENCE = (
    "MovieLens data of the GroupLens Research Project, University of Minnesota: free for research, to be acknowledged "
    "in publications; redistribution under the same conditions only; no commercial use without permission"
)
_KAGGLE_LICENCE = "stated on the dataset's page at Kaggle; read it before you use the data"


@dataclass(frozen=True)
class Download:
    """A ZIP archive at a URL; its checksum is compared with `<url>.md5` if that exists."""

    url: str


@dataclass(frozen=True)
class Kaggle:
    """A Kaggle dataset, identified by its handle `owner/name`."""

    handle: str


@dataclass(frozen=True)
class Generated:
    """A generated sample with the given numbers of users, items and ratings."""

    n_users: int
    n_items: int
    n_ratings: int


@dataclass(frozen=True)
class Dataset:
    """One entry of the catalogue.

    Attributes:
        id: name in the settings and on disk; the archive in a mirror is `<id>.zip`.
        domain: name of the domain that the dataset belongs to.
        format: names and columns of its files.
        source: where it is fetched from if no mirror has it.
        summary: its content in a few words.
        licence: terms of use; printed before a download and stored in the manifest.
        homepage: URL of a page about the dataset.
    """

    id: str
    domain: str
    format: Format
    source: Download | Kaggle | Generated
    summary: str
    licence: str
    homepage: str


_SMALL = Generated(n_users=400, n_items=500, n_ratings=16_000)


def _sample(domain: str, format_name: str, source: Generated = _SMALL, like: str = "") -> Dataset:
    size = f"{source.n_ratings:,} ratings of {source.n_items:,} items by {source.n_users:,} users"
    return Dataset(
        id=f"sample-{domain}-full" if like else f"sample-{domain}",
        domain=domain,
        format=FORMATS[format_name],
        source=source,
        summary=f"generated, as large as {like}: {size}" if like else f"generated: {size}",
        licence="made by this project's generator; free for any use",
        homepage="",
    )


def _movielens(archive: str, summary: str) -> Dataset:
    return Dataset(
        id=archive,
        domain="movie",
        format=FORMATS["movielens"],
        source=Download(f"https://files.grouplens.org/datasets/movielens/{archive}.zip"),
        summary=summary,
        licence=_MOVIELENS_LICENCE,
        homepage="https://grouplens.org/datasets/movielens/",
    )


def _kaggle(handle: str, format_name: str, summary: str) -> Dataset:
    return Dataset(
        id=handle.rpartition("/")[2],
        domain="anime",
        format=FORMATS[format_name],
        source=Kaggle(handle),
        summary=summary,
        licence=_KAGGLE_LICENCE,
        homepage=f"https://www.kaggle.com/datasets/{handle}",
    )


CATALOGUE: dict[str, Dataset] = {
    dataset.id: dataset
    for dataset in (
        _sample("movie", "movielens"),
        _sample("anime", "anime-2020"),
        _sample("movie", "movielens", Generated(138_493, 26_744, 20_000_263), "MovieLens-20M"),
        _sample("anime", "anime-2020", Generated(310_059, 16_872, 57_633_278), "Anime 2020"),
        _movielens("ml-latest-small", "100,836 ratings of 9,742 movies by 610 users"),
        _movielens("ml-20m", "20,000,263 ratings of 27,278 movies by 138,493 users"),
        _movielens("ml-25m", "25,000,095 ratings of 62,423 movies by 162,541 users"),
        _movielens("ml-32m", "32,000,204 ratings of 87,585 movies by 200,948 users"),
        _kaggle(
            "hernan4444/anime-recommendation-database-2020",
            "anime-2020",
            "57,633,278 ratings and 109 million list entries of 17,562 anime",
        ),
        _kaggle(
            "CooperUnion/anime-recommendations-database",
            "cooper-union",
            "7,813,737 interactions, most of them rated, with 12,294 anime",
        ),
        _kaggle(
            "azathoth42/myanimelist",
            "myanimelist",
            "list entries with status and time, most of them rated (cleaned files)",
        ),
    )
}


def get_dataset(dataset_id: str) -> Dataset:
    """Return the dataset with the given id; raise UsageError, which lists the known ids, if there is none."""
    try:
        return CATALOGUE[dataset_id]
    except KeyError:
        raise UsageError(f"unknown dataset {dataset_id!r}; known: {', '.join(CATALOGUE)}") from None
