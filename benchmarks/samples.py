"""Generated samples and the tables built from them. They stay on disk until they are deleted by hand."""

import shutil
from pathlib import Path

from benchmarks.measurement import FOLDER
from recsys_dagster.domains import BUILT_IN_DOMAINS, Domain
from recsys_dagster.ingest.archive import examine_file
from recsys_dagster.ingest.catalogue import CATALOGUE, Generated
from recsys_dagster.ingest.formats import FORMATS
from recsys_dagster.ingest.manifest import Manifest
from recsys_dagster.ingest.samples.write import write_sample
from recsys_dagster.warehouse.build import build_clean, build_features
from recsys_dagster.warehouse.database import Warehouse

SEED = 42
MEMORY_LIMIT = "3GB"
"""Memory limit of DuckDB (RECSYS_MEMORY_LIMIT); memory outside its buffers comes on top."""


def users_and_items(format_name: str, ratings: int) -> tuple[int, int]:
    """Return the numbers of users and items of a sample: all items, and users in proportion to the ratings."""
    whole = CATALOGUE[f"sample-{domain_of(format_name).name}-full"].source
    assert isinstance(whole, Generated)
    return max(1, round(whole.n_users * ratings / whole.n_ratings)), whole.n_items


def domain_of(format_name: str) -> Domain:
    """Return the domain of a format."""
    return BUILT_IN_DOMAINS["movie" if format_name == "movielens" else "anime"]


def generate(format_name: str, ratings: int) -> Path:
    """Generate a sample, replacing an earlier one, and return its folder."""
    folder = FOLDER / "samples" / f"{format_name}-{ratings}"
    unfinished = folder.with_suffix(".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    users, items = users_and_items(format_name, ratings)
    write_sample(format_name, unfinished, n_users=users, n_items=items, n_ratings=ratings, seed=SEED)
    shutil.rmtree(folder, ignore_errors=True)
    return unfinished.rename(folder)


def sample(format_name: str, ratings: int) -> Manifest:
    """Return the files of a sample, generating it if it does not exist."""
    folder = FOLDER / "samples" / f"{format_name}-{ratings}"
    if not folder.exists():
        generate(format_name, ratings)
    files = {
        file.name: examine_file(folder / file.name, file, folder.name)
        for file in FORMATS[format_name].files
        if file.required or (folder / file.name).exists()
    }
    return Manifest(folder.name, "", "", "", "", files, folder)


def clean(format_name: str, ratings: int, manifest: Manifest) -> Warehouse:
    """Build the clean tables of a sample in a new warehouse, replacing an earlier one."""
    warehouse = _warehouse(format_name, ratings)
    warehouse.path.unlink(missing_ok=True)
    build_clean(warehouse, CATALOGUE[f"sample-{domain_of(format_name).name}"], manifest)
    return warehouse


def cleaned(format_name: str, ratings: int) -> Warehouse:
    """Return the warehouse of a sample, building its clean tables if it does not exist."""
    warehouse = _warehouse(format_name, ratings)
    return warehouse if warehouse.path.exists() else clean(format_name, ratings, sample(format_name, ratings))


def featured(format_name: str, ratings: int) -> Warehouse:
    """Return the warehouse of a sample, building its feature tables if they do not exist."""
    warehouse = cleaned(format_name, ratings)
    with warehouse.connect() as connection:
        (count,) = connection.execute("SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'features'").fetchall()[
            0
        ]
    if not count:
        build_features(warehouse, SEED)
    return warehouse


def _warehouse(format_name: str, ratings: int) -> Warehouse:
    return Warehouse(FOLDER / "warehouses" / f"{format_name}-{ratings}.duckdb", MEMORY_LIMIT)
