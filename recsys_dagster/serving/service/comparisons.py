"""Compare the publication that is served with the one before."""

import json
import threading
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from recsys_dagster.errors import UsageError
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.serving.changes import compare, earlier_publication
from recsys_dagster.serving.lookup import PublishedFile
from recsys_dagster.serving.provenance import Provenance
from recsys_dagster.serving.recommendation import Id
from recsys_dagster.serving.service.answers import items_answer, score_facts
from recsys_dagster.serving.service.problems import ProblemError
from recsys_dagster.serving.service.snapshot import Snapshot

USERS = 50
"""Users with the largest changes that are named."""

_SHOWN = ("rank", "item_id", "title", "title_english", "kind", "year", "genres", "image_url", "score")


class Comparisons:
    """The comparisons of each domain; that of all users is computed once for a publication."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._of_all: dict[str, tuple[Snapshot, bytes]] = {}
        self._lock = threading.Lock()

    def of_all(self, snapshot: Snapshot) -> bytes:
        """Return as JSON which share of the listed items was listed before, and the users with the largest changes.

        `before` is null if the publication before is not kept.
        """
        domain = snapshot.provenance.domain
        with self._lock:
            known = self._of_all.get(domain)
            if known is None or known[0] is not snapshot:
                known = snapshot, self._compare(snapshot)
                self._of_all[domain] = known
        return known[1]

    def _compare(self, snapshot: Snapshot) -> bytes:
        domain = snapshot.provenance.domain
        answer: dict[str, Any] = {"domain": domain, "before": None, "now": _origin(snapshot.provenance)}
        with earlier_publication(self._layout, snapshot.provenance) as earlier:
            if earlier is not None:
                changes = compare(earlier, self._layout.published(domain), USERS)
                users = [{"user_id": user, "kept": kept, "listed": listed} for user, kept, listed in changes.users]
                answer |= {"before": _origin(changes.before), "kept": changes.kept, "users": users}
        return json.dumps(answer, ensure_ascii=False).encode()

    def of_user(self, snapshot: Snapshot, user: int, n: int) -> bytes:
        """Return as JSON the first n items of a user's list, and of the list before; that is empty for a new user.

        Raises:
            ProblemError: the publication before is not kept (404).
        """
        user_id = snapshot.users[user]
        with earlier_publication(self._layout, snapshot.provenance) as earlier:
            if earlier is None:
                raise ProblemError(HTTPStatus.NOT_FOUND, "the publication before this one is not kept")
            before = _origin(earlier.provenance()) | {"recommendations": _listed(earlier, user_id, n)}
        items, scores = snapshot.lists.of(user)
        head = {"domain": snapshot.provenance.domain, "user_id": user_id, "before": before}
        head |= {"now": _origin(snapshot.provenance)}
        extras = [fact[1:] for fact in score_facts(scores[:n])]
        return items_answer(snapshot, head, items[:n].tolist(), extras, name="recommendations")


def _origin(provenance: Provenance) -> dict[str, Any]:
    published_at = f"{provenance.created_at.isoformat()}Z"
    return {"model": provenance.model, "version": provenance.version, "published_at": published_at}


def _listed(earlier: PublishedFile, user_id: Id, n: int) -> list[dict[str, Any]]:
    try:
        known = earlier.find_user(str(user_id), lambda _: None)
    except UsageError:  # new since then
        return []
    rows = map(asdict, earlier.recommendations(known, n))
    return [{name: row[name] for name in _SHOWN} for row in rows]
