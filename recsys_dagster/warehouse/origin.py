"""Remember which files a warehouse was built of: the table `clean.origin`, replaced together with the clean tables."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.manifest import Manifest
from recsys_dagster.warehouse.database import Warehouse
from recsys_dagster.warehouse.schemas import ORIGIN
from recsys_dagster.warehouse.table_rows import create_table, insert_rows

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Origin:
    """The files that the clean tables were made of.

    Attributes:
        dataset_id: id in the catalogue.
        data_version: hash of the files.
        licence: of the data.
        url: source of the files, without secrets.
        fetched_at: UTC time, ISO 8601.
    """

    dataset_id: str
    data_version: str
    licence: str
    url: str
    fetched_at: str


def write_origin(connection: "duckdb.DuckDBPyConnection", manifest: Manifest) -> None:
    """Write the origin into the schema `clean`; part of the caller's transaction."""
    origin = Origin(manifest.dataset_id, manifest.data_version, manifest.licence, manifest.url, manifest.fetched_at)
    create_table(connection, ORIGIN)
    insert_rows(connection, ORIGIN, [origin])


def read_origin(warehouse: Warehouse) -> Origin:
    """Return what the clean tables were made of.

    Raises:
        RecsysError: there are no clean tables, or they were made by an earlier version of the project.
    """
    with warehouse.connect() as connection:
        tables = connection.execute(
            "SELECT 1 FROM duckdb_tables() WHERE schema_name = 'clean' AND table_name = 'origin'"
        ).fetchall()
        if not tables:
            raise RecsysError(
                f"{warehouse.path} does not say which files it was built of; materialise the group 'clean' "
                "(or `recsys run`) first"
            )
        names = ", ".join(field.name for field in fields(Origin))
        (row,) = connection.execute(f"SELECT {names} FROM clean.origin").fetchall()
    return Origin(*row)
