"""Raw files written out by hand, built into a warehouse."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from recsys_dagster.domains import BUILT_IN_DOMAINS, Domain
from recsys_dagster.ingest.archive import examine
from recsys_dagster.ingest.catalogue import CATALOGUE, Dataset
from recsys_dagster.ingest.formats import FORMATS, Format
from recsys_dagster.ingest.manifest import Manifest
from recsys_dagster.warehouse.build import build_clean, build_features
from recsys_dagster.warehouse.database import Warehouse

MOVIES = "movieId,title,genres\n1,Heat (1995),Action|Crime\n2,Alien (1979),Horror|Sci-Fi\n3,Big (1988),Comedy\n"
RATINGS_HEADER = "userId,movieId,rating,timestamp\n"


def manifest_of(folder: Path, fmt: Format, files: dict[str, str | bytes]) -> Manifest:
    """Write the files and return their manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = {}
    for source in fmt.files:
        if source.name not in files:
            continue
        content = files[source.name]
        data = content.encode() if isinstance(content, str) else content
        path = folder / source.name
        path.write_bytes(data)
        # A file without rows is refused when it is fetched, and fine here.
        entries[source.name] = examine([data], path, replace(source, required=False), "handmade")
    return Manifest("handmade", "", "", "", "", entries, folder)


def build(
    folder: Path, format_name: str, files: dict[str, str | bytes], *, features: bool = False, seed: int = 42
) -> Warehouse:
    """Build the clean tables, and the features too if asked, of the files."""
    fmt = FORMATS[format_name]
    domain = domain_of(format_name)
    warehouse = Warehouse(folder / "warehouse" / f"{domain.name}.duckdb")
    build_clean(warehouse, dataset_of(format_name), manifest_of(folder / "raw", fmt, files))
    if features:
        build_features(warehouse, seed)
    return warehouse


def build_large(folder: Path, line: str, times: int) -> Warehouse:
    """Build the clean tables of a ratings.csv with one good row and so many copies of another line."""
    fmt = FORMATS["movielens"]
    manifest = manifest_of(folder / "raw", fmt, {"movies.csv": MOVIES, "ratings.csv": RATINGS_HEADER})
    file = manifest.files["ratings.csv"]
    with file.path.open("a") as opened:
        for _ in range(times // 1000):
            opened.write(f"{line}\n" * 1000)
        opened.write("2,2,4,1000000000\n")
    manifest.files["ratings.csv"] = replace(file, bytes=file.path.stat().st_size, lines=times // 1000 * 1000 + 2)
    warehouse = Warehouse(folder / "warehouse" / "movie.duckdb", "500MB")
    build_clean(warehouse, dataset_of("movielens"), manifest, max_rejected=0.05)
    return warehouse


def domain_of(format_name: str) -> Domain:
    """Return the domain that the format is of."""
    return BUILT_IN_DOMAINS["movie" if format_name == "movielens" else "anime"]


def dataset_of(format_name: str) -> Dataset:
    """Return a dataset in the format."""
    return next(dataset for dataset in CATALOGUE.values() if dataset.format.name == format_name)


def rows(warehouse: Warehouse, query: str) -> list[tuple[Any, ...]]:
    """Return what the query gives."""
    with warehouse.connect() as connection:
        return connection.execute(query).fetchall()


FILES: dict[str, dict[str, str | bytes]] = {
    "movielens": {"movies.csv": MOVIES, "ratings.csv": RATINGS_HEADER + "1,1,4,1000000000\n2,2,3.5,1000000001\n"},
    "anime-2020": {
        "anime.csv": (
            "MAL_ID,Name,Score,Genres,English name,Type,Episodes,Aired,Rating,Members,Studios\n"
            '1,Death &amp; Rebirth,8.78,"Action, Sci-Fi",Unknown,TV,26,"Apr 3, 1998 to ?",PG,10,"Gainax, Tatsunoko"\n'
            "2,Unknown,Unknown,Unknown,-,Unknown,Unknown,Unknown,Unknown,0,Unknown\n"
        ),
        "anime_with_synopsis.csv": "MAL_ID,sypnopsis\n1,Angels attack\n",
        "rating_complete.csv": "user_id,anime_id,rating\n1,1,9\n1,2,7\n2,1,-1\n",
        "animelist.csv": "user_id,anime_id,rating,watching_status,watched_episodes\n1,1,9,1,13\n2,2,0,6,0\n",
    },
    "cooper-union": {
        "anime.csv": (
            "anime_id,name,genre,type,episodes,rating,members\n"
            '5,Gintama&#039;,"Action, Shounen Ai",TV,51,9.25,100\n6,Elsewhere,,,Unknown,,\n'
        ),
        "rating.csv": "user_id,anime_id,rating\n1,5,-1\n3,5,10\n3,6,8\n",
    },
    "myanimelist": {
        "anime_cleaned.csv": (
            "anime_id,title,title_english,type,episodes,aired_string,aired_from_year,rating,score,members,genre,studio,"
            "image_url\n"
            "1,Trigun,Trigun,TV,26,1998,1998.0,R,8.2,5,Action,Madhouse,https://example.org/1.jpg\n"
        ),
        "users_cleaned.csv": "username\nAda\nBo\n",
        "animelists_cleaned.csv": (
            "username,anime_id,my_watched_episodes,my_score,my_status,my_last_updated\n"
            "Ada,1,26,9,2,1362307973\nBo,1,3,0,1,2013-03-03 10:52:53\n"
        ),
    },
}
"""A few rows in every format."""
