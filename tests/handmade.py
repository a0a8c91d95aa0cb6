"""Raw files written out by hand, built into a warehouse."""

import csv
from pathlib import Path
from typing import Any

from recsys_dagster.domains import DOMAINS, Domain
from recsys_dagster.ingest.formats import FORMATS, Format
from recsys_dagster.ingest.manifest import Manifest, ManifestFile
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
        header = next(csv.reader([data.decode("utf-8-sig").splitlines()[0]]))
        lines = data.count(b"\n") + (not data.endswith(b"\n"))
        entries[source.name] = ManifestFile(path, len(data), "", lines, tuple(header))
    return Manifest("handmade", "", "", "", "", entries, folder)


def build(
    folder: Path, format_name: str, files: dict[str, str | bytes], *, features: bool = False, seed: int = 42
) -> Warehouse:
    """Build the clean tables, and the features too if asked, of the files."""
    fmt = FORMATS[format_name]
    domain = domain_of(format_name)
    warehouse = Warehouse(folder / "warehouse" / f"{domain.name}.duckdb")
    build_clean(warehouse, domain, fmt, manifest_of(folder / "raw", fmt, files))
    if features:
        build_features(warehouse, domain, seed)
    return warehouse


def domain_of(format_name: str) -> Domain:
    """Return the domain that the format is of."""
    return DOMAINS["movie" if format_name == "movielens" else "anime"]


def rows(warehouse: Warehouse, query: str) -> list[tuple[Any, ...]]:
    """Return what the query gives."""
    with warehouse.connect() as connection:
        return connection.execute(query).fetchall()
