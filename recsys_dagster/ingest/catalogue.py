"""Find datasets: the built-in ones, which are listed here, and those that users declare."""

import difflib
import functools
from dataclasses import dataclass
from pathlib import Path

from recsys_dagster.domains import BUILT_IN_DOMAINS, Domain, declared_files, is_path
from recsys_dagster.errors import UsageError
from recsys_dagster.ingest.declaration import Declaration, DeclarationError, Ratings, read_declaration
from recsys_dagster.ingest.formats import DECLARED, FORMATS, Format
from recsys_dagster.ingest.public_datasets import public_declarations
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.settings import Settings

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
    """A dataset.

    Attributes:
        id: name in the settings and on disk; the archive in a mirror is `<id>.zip`.
        domain: name of the domain that the dataset belongs to.
        format: names and columns of its files; `DECLARED` if its declaration has them.
        source: where it is fetched from if no mirror has it; its declaration if it has one.
        summary: its content in a few words.
        licence: terms of use; printed before a download and stored in the manifest.
        homepage: URL of a page about the dataset.
    """

    id: str
    domain: str
    format: Format
    source: Download | Kaggle | Generated | Declaration
    summary: str
    licence: str
    homepage: str

    @property
    def declaration(self) -> Declaration | None:
        """The declaration of a declared dataset."""
        return self.source if isinstance(self.source, Declaration) else None

    @property
    def scale(self) -> tuple[float, float] | None:
        """Lowest and highest possible rating; None for implicit feedback."""
        return self.declaration.scale if self.declaration is not None else BUILT_IN_DOMAINS[self.domain].scale

    @property
    def like_threshold(self) -> float | None:
        """A rating at or above it counts as liked; None for implicit feedback."""
        if self.declaration is None:
            return BUILT_IN_DOMAINS[self.domain].like_threshold
        ratings = self.declaration.ratings
        return ratings.like_threshold if isinstance(ratings, Ratings) else None


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


def declared_dataset(declaration: Declaration) -> Dataset:
    """Return the dataset of a declaration."""
    return Dataset(
        id=declaration.id,
        domain=declaration.domain,
        format=DECLARED,
        source=declaration,
        summary=declaration.summary,
        licence=declaration.licence,
        homepage=declaration.homepage,
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
        _movielens("ml-latest", "the current full MovieLens dataset, which changes from time to time"),
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
        *map(declared_dataset, public_declarations().values()),
    )
}


def get_dataset(dataset_id: str, settings: Settings) -> Dataset:
    """Return the dataset with the given id, built in or declared under RECSYS_HOME.

    Raises:
        DeclarationError: its declaration cannot be used.
        UsageError: there is no such dataset; the message names the nearest ones.
    """
    paths = {path.stem: path for path in declared_files(Layout(settings.home).datasets())}
    if dataset_id in paths:
        return read_dataset(paths[dataset_id])
    if dataset_id in CATALOGUE:
        return CATALOGUE[dataset_id]
    known = [*paths, *CATALOGUE]
    if is_path(dataset_id):
        raise UsageError(
            f"{dataset_id!r} is a path, where the id of a dataset is expected; `recsys import` makes a dataset of files"
        )
    nearest = difflib.get_close_matches(dataset_id, known, n=3) or known
    raise UsageError(
        f"unknown dataset {dataset_id!r}; such as {', '.join(nearest)} are known; `recsys datasets` lists all, "
        "`recsys import` makes one of your own files"
    )


def declared_datasets(settings: Settings) -> tuple[list[Dataset], list[DeclarationError]]:
    """Return the datasets that are declared under RECSYS_HOME, and what is wrong with the other declarations."""
    datasets, errors = [], []
    for path in declared_files(Layout(settings.home).datasets()):
        try:
            datasets.append(read_dataset(path))
        except DeclarationError as error:
            errors.append(error)
    return datasets, errors


def domain_of(dataset: Dataset) -> Domain:
    """Return the domain of a declared dataset, with its scale."""
    return Domain(dataset.domain, dataset.scale, dataset.like_threshold, default_dataset=dataset.id)


def read_dataset(path: Path) -> Dataset:
    """Return the dataset that a file declares.

    Raises:
        DeclarationError: the file cannot be used.
    """
    if path.stem in CATALOGUE and path.stem not in public_declarations():
        raise DeclarationError(f"{path}: {path.stem} is the id of a built-in dataset; give the file another name")
    try:
        status = path.stat()
    except OSError as error:
        raise DeclarationError(f"{path}: cannot be read ({error.strerror}); name an existing file") from None
    return _read_declared(path, (status.st_ino, status.st_size, status.st_mtime_ns))


@functools.lru_cache(maxsize=256)
def _read_declared(path: Path, state: tuple[int, ...]) -> Dataset:
    """Return the dataset that a file declares; every state of the file has its own entry in the cache."""
    del state
    return declared_dataset(read_declaration(path))
