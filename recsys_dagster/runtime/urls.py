"""Take secrets out of URLs, and find out whether a text is a usable URL."""

from urllib.parse import urlsplit, urlunsplit

HIDDEN = "(hidden)"


def is_url(text: str) -> bool:
    """Tell whether a text is meant as a URL, not as a path: it begins with `http://` or `https://`."""
    return text.lower().startswith(("http://", "https://"))


def url_problem(url: str) -> str | None:
    """Describe what is wrong with an HTTP URL, without quoting it; None if it can be requested."""
    try:
        parts = urlsplit(url)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        return "it is not a valid URL"
    if parts.scheme not in ("http", "https"):
        return "it has to begin with http:// or https://"
    if not parts.hostname or not port_is_valid or any(character.isspace() for character in url):
        return "it is not a valid URL"
    if "@" in parts.path + parts.query + parts.fragment:
        return "a `@`, `/`, `?` or `#` in a user name or a password has to be percent-encoded, such as %40 for `@`"
    return None


def without_secrets(url: str) -> str:
    """Return a URL without user name, password, query and fragment, each of which may hold a secret.

    >>> without_secrets("https://me:secret@example.org/data?token=abc")
    'https://example.org/data'
    """
    if url_problem(url) is not None:
        return f"{url[:5].lower().rstrip(':')}://{HIDDEN}" if is_url(url) else HIDDEN
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def with_suffix(url: str, suffix: str) -> str:
    """Append to the path of a URL, before its query: `https://host/a?token=x` and `/b` give `https://host/a/b?token=x`.

    Slashes at the end of the path are removed if the suffix begins with one.
    """
    parts = urlsplit(url)
    path = parts.path.rstrip("/") if suffix.startswith("/") else parts.path
    return urlunsplit(parts._replace(path=path + suffix, fragment=""))
