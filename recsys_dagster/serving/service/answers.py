"""Compose the JSON of the answers from parts that were encoded when the lists were read."""

import json
import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import islice, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.serving.item_finder import normalise
from recsys_dagster.serving.service.arrays import NO_TIME, compact_json
from recsys_dagster.serving.service.problems import ProblemError
from recsys_dagster.serving.service.snapshot import Snapshot


@dataclass(frozen=True)
class Filters:
    """Which items an answer may contain.

    Attributes:
        kind: items of this kind only, in any case of letters.
        genre: items of this genre only, likewise.
        year_from: items of this year or later only.
        include_adult: whether items for adults may be listed.
        exclude: ids that must not be listed.
    """

    kind: str | None = None
    genre: str | None = None
    year_from: int | None = None
    include_adult: bool = False
    exclude: Sequence[str] = field(default=())

    def allow(self, snapshot: Snapshot, items: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Return which of the (n,) item positions may be listed, by these filters and by the rules of the domain.

        Raises:
            ProblemError: the kind or the genre is unknown (422).
        """
        allowed = snapshot.rules.allowed.take(items)
        if not self.include_adult:
            allowed &= ~snapshot.adult.take(items)
        if self.kind is not None:
            allowed &= snapshot.kinds[items] == _place(self.kind, snapshot.kind_names, "kind")
        if self.genre is not None:
            allowed &= snapshot.genres[items, _place(self.genre, snapshot.genre_names, "genre")]
        if self.year_from is not None:
            allowed &= snapshot.years[items] >= self.year_from
        if self.exclude:
            excluded = [place for place in map(snapshot.items.find, self.exclude) if place is not None]
            allowed &= ~np.isin(items, excluded)
        return allowed


def _place(name: str, known: Sequence[str], parameter: str) -> int:
    names = [normalise(one) for one in known]
    if normalise(name) not in names:
        shown = ", ".join(known[:50])
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, f"unknown {parameter} {name!r}; known: {shown}", parameter)
    return names.index(normalise(name))


def new_list_id() -> str:
    """Return a random id by which clicks are laid to the list that they came from."""
    return secrets.token_hex(8)


def list_answer(
    snapshot: Snapshot, head: dict[str, Any], items: NDArray[np.int32], facts: Sequence[bytes] | None = None
) -> bytes:
    """Return a JSON object with the head and, as `recommendations`, the items in order with rank, fields and facts.

    Args:
        snapshot: where the items are described.
        head: the other fields of the object.
        items: (n,) positions of the items.
        facts: what else is known of each entry, as the inside of a JSON object with a comma before it; None: nothing.
    """
    entries = [
        b'{"rank":%d,%b%b}' % (rank, fields, fact)
        for rank, (fields, fact) in enumerate(
            zip(snapshot.fields.at(items.tolist()), facts or repeat(b""), strict=False), 1
        )
    ]
    return _with_list(head, "recommendations", entries)


def score_facts(scores: NDArray[np.float32]) -> list[bytes]:
    """Return the score of each entry as a fact."""
    return [b',"score":%.7g' % score for score in scores.tolist()]


def published_facts(snapshot: Snapshot, rows: NDArray[np.int64]) -> list[bytes]:
    """Return the score, the predicted rating, its interval and the reasons of published entries as facts."""
    reasons = snapshot.because.take(rows, axis=0)
    named = iter(snapshot.names.at(reasons.ravel().tolist()))
    facts = []
    for score, (rating, low, high) in zip(
        snapshot.lists.scores.take(rows).tolist(), snapshot.ratings.take(rows, axis=0).tolist(), strict=True
    ):
        because = b",".join([name for name in islice(named, reasons.shape[1]) if name])
        known = b',"score":%.7g' % score
        # Without a rating model the rating is NaN, which is not equal to itself, as are the bounds without an interval.
        if rating == rating:
            known += b',"rating":%.4g' % rating
        if low == low:
            known += b',"rating_low":%.4g,"rating_high":%.4g' % (low, high)
        facts.append(b'%b,"because":[%b]' % (known, because) if because else known)
    return facts


def _with_list(head: dict[str, Any], name: str, entries: Sequence[bytes]) -> bytes:
    opening = compact_json(head)[:-1]
    comma = b"," if head else b""
    return b'%b%b"%b":[%b]}' % (opening, comma, name.encode(), b",".join(entries))


def items_answer(
    snapshot: Snapshot,
    head: dict[str, Any],
    items: Sequence[int],
    extras: Sequence[bytes] | None = None,
    *,
    name: str = "items",
) -> bytes:
    """Return a JSON object with the head and, as `name`, the fields of the items in order.

    Args:
        snapshot: where the items are described.
        head: the other fields of the object.
        items: positions of the items.
        extras: further fields of each item, as the inside of a JSON object.
        name: of the list.
    """
    further = [b""] * len(items) if extras is None else [b"," + extra for extra in extras]
    entries = [b"{%b%b}" % (fields, extra) for fields, extra in zip(snapshot.fields.at(items), further, strict=True)]
    return _with_list(head, name, entries)


def history_fact(snapshot: Snapshot, row: int) -> bytes:
    """Return the rating and the time of an entry of a history as the inside of a JSON object."""
    rating, seconds = float(snapshot.histories.scores[row]), int(snapshot.times[row])
    at = None if seconds == NO_TIME else datetime.fromtimestamp(seconds, UTC).isoformat()
    return json.dumps({"rating": None if math.isnan(rating) else rating, "at": at}).encode()[1:-1]
