"""Compute the numbers that replace the names of users; see `recsys_dagster.warehouse.database.pseudonym`."""

from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.secret_key import read_key, read_or_create_key
from recsys_dagster.settings import Settings
from recsys_dagster.warehouse.database import pseudonym


def pseudonym_key(settings: Settings) -> bytes:
    """Return the secret that the pseudonyms of users are derived from; it is made where there is none yet."""
    secret = settings.pseudonym_key
    return secret.get_secret_value().encode() if secret else read_or_create_key(Layout(settings.home).pseudonym_key())


def pseudonym_of(name: str, settings: Settings) -> int | None:
    """Return the number that replaces the name of a user; None if nothing was replaced under this RECSYS_HOME."""
    path = Layout(settings.home).pseudonym_key()
    if settings.pseudonym_key is None and not path.exists():
        return None
    return pseudonym(name, pseudonym_key(settings) if settings.pseudonym_key else read_key(path))
