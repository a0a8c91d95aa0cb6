"""Remember which files a warehouse was built of: the table `clean.origin`, replaced together with the clean tables."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

import duckdb

from recsys_dagster.errors import RecsysError
from recsys_dagster.warehouse.database import Warehouse
from recsys_dagster.warehouse.schemas import ORIGIN
from recsys_dagster.warehouse.table_rows import create_table, insert_rows

if TYPE_CHECKING:
    from recsys_dagster.ingest.catalogue import Dataset
    from recsys_dagster.ingest.manifest import Manifest

IdType = Literal["integer", "text", "pseudonym"]


@dataclass(frozen=True)
class Origin:
    """The files that the clean tables were made of.

    Attributes:
        dataset_id: id in the catalogue.
        data_version: hash of the files.
        licence: of the data.
        url: source of the files, without secrets.
        fetched_at: UTC time, ISO 8601.
        scale_low, scale_high: lowest and highest possible rating; None for implicit feedback.
        liked_from: a rating at or above it counts as liked; None for implicit feedback.
        user_ids, item_ids: what the ids of the source are: `integer`, `text`, or names replaced by a `pseudonym`.
    """

    dataset_id: str
    data_version: str
    licence: str
    url: str
    fetched_at: str
    scale_low: float | None
    scale_high: float | None
    liked_from: float | None
    user_ids: IdType
    item_ids: IdType

    @property
    def scale(self) -> tuple[float, float] | None:
        """Lowest and highest possible rating; None for implicit feedback."""
        return None if self.scale_low is None or self.scale_high is None else (self.scale_low, self.scale_high)


def write_origin(
    connection: duckdb.DuckDBPyConnection,
    dataset: "Dataset",
    manifest: "Manifest",
    *,
    user_ids: IdType,
    item_ids: IdType,
) -> None:
    """Write the origin into the schema `clean`; part of the caller's transaction."""
    low, high = dataset.scale or (None, None)
    origin = Origin(
        dataset_id=manifest.dataset_id,
        data_version=manifest.data_version,
        licence=manifest.licence,
        url=manifest.url,
        fetched_at=manifest.fetched_at,
        scale_low=low,
        scale_high=high,
        liked_from=dataset.like_threshold,
        user_ids=user_ids,
        item_ids=item_ids,
    )
    create_table(connection, ORIGIN)
    insert_rows(connection, ORIGIN, [origin])


def read_origin(warehouse: Warehouse) -> Origin:
    """Return what the clean tables were made of.

    Raises:
        RecsysError: there are no clean tables, or they were made by an earlier version of the project.
    """
    with warehouse.connect() as connection:
        return origin_of(connection, warehouse)


def origin_of(connection: duckdb.DuckDBPyConnection, warehouse: Warehouse) -> Origin:
    """Return what the clean tables were made of, through an open connection; raises as `read_origin`."""
    names = ", ".join(field.name for field in fields(Origin))
    try:
        (row,) = connection.execute(f"SELECT {names} FROM clean.origin").fetchall()
    except (duckdb.CatalogException, duckdb.BinderException):  # no such table, or not all of its columns
        raise RecsysError(
            f"{warehouse.path} does not say which files it was built of; materialise the group 'clean' "
            "(or `recsys run`) first"
        ) from None
    return Origin(*row)
