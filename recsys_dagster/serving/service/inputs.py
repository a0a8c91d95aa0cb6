"""Find and check what requests name."""

from collections.abc import Sequence
from http import HTTPStatus

from recsys_dagster.errors import UsageError
from recsys_dagster.serving.recommendation import Id
from recsys_dagster.serving.service.problems import ProblemError
from recsys_dagster.serving.service.snapshot import Snapshot


def find_item(snapshot: Snapshot, item: Id, field: str) -> int:
    """Return the position of an item that is given by its id or its name."""
    place = snapshot.items.find(str(item))
    if place is not None:
        return place
    try:
        found = snapshot.finder.find(str(item))
    except UsageError as error:
        raise ProblemError(HTTPStatus.NOT_FOUND, str(error), field) from None
    place = snapshot.items.find(str(found.item_id))
    if place is None:
        raise ProblemError(HTTPStatus.NOT_FOUND, f"unknown item {item!r}", field)
    return place


def check_ratings(snapshot: Snapshot, ratings: Sequence[float | None], field: str) -> None:
    """Refuse ratings outside of the scale of the domain."""
    scale = snapshot.provenance.scale
    for rating in ratings:
        if rating is None:
            continue
        if scale is None:
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "this domain has no ratings; leave them out", field)
        if not scale[0] <= rating <= scale[1]:
            detail = f"{rating:g} is outside of the scale from {scale[0]:g} to {scale[1]:g}"
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail, field)
