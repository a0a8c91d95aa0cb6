"""Find the user that a client names, by the id of the source or, where names were replaced, by the name."""

from http import HTTPStatus

from recsys_dagster.serving.recommendation import Id
from recsys_dagster.serving.service.problems import ProblemError
from recsys_dagster.serving.service.snapshot import Snapshot
from recsys_dagster.settings import Settings
from recsys_dagster.warehouse.pseudonyms import pseudonym_of


def find_user(snapshot: Snapshot, text: str, settings: Settings) -> int | None:
    """Return the position of a user in the snapshot; None if the user is unknown."""
    found = snapshot.users.find(text)
    if found is None and snapshot.provenance.user_ids == "pseudonym":
        number = pseudonym_of(text, settings)
        return None if number is None else snapshot.users.find(str(number))
    return found


def stored_user(snapshot: Snapshot, text: str, settings: Settings) -> Id:
    """Return the id under which something is stored about a user, who may be new; a name is never stored.

    Raises:
        ProblemError: the domain has no such ids (422).
    """
    found = find_user(snapshot, text, settings)
    if found is not None:
        return snapshot.users[found]
    kind = snapshot.provenance.user_ids
    if kind == "text":
        return text
    number = pseudonym_of(text, settings) if kind == "pseudonym" else _whole_number(text)
    if number is None:
        expected = "a whole number" if kind == "integer" else "a known number, as the secret for names is not here"
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY, f"{text!r}: a user id of this domain is {expected}", "user_id"
        )
    return number


def _whole_number(text: str) -> int | None:
    try:
        number = int(text)
    except ValueError:
        return None
    return number if -(2**63) <= number < 2**63 else None
