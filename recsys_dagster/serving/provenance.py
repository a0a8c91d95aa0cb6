"""Say where published lists come from."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recsys_dagster.warehouse.origin import IdType


def _now() -> datetime:
    """Return the time in UTC, without zone and to the second, as the published file stores it."""
    return datetime.now(UTC).replace(tzinfo=None, microsecond=0)


@dataclass(frozen=True)
class Provenance:
    """Origin of published lists.

    Attributes:
        domain: name of the domain.
        dataset: id of the dataset in the catalogue.
        data_version: hash of the files that the model was trained on.
        licence: licence of the data.
        model, version: the champion, as in the model store.
        trained_rows: number of interactions that it was trained on.
        scale: lowest and highest possible rating; None for implicit feedback.
        packages: versions of this project and of the packages that it uses, by name.
        created_at: time of publication in UTC, without zone.
        user_ids: what user ids are: `integer`, `text`, or names replaced by a `pseudonym`.
        item_ids: what item ids are: `integer` or `text`.
    """

    domain: str
    dataset: str
    data_version: str
    licence: str
    model: str
    version: str
    trained_rows: int
    scale: tuple[float, float] | None
    packages: dict[str, str]
    created_at: datetime = field(default_factory=_now)
    user_ids: "IdType" = "integer"
    item_ids: "IdType" = "integer"
