"""One archive over HTTP: resumed where it broke off, retried while that can help, compared with its MD5."""

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import tenacity

from recsys_dagster.errors import RecsysError, TransientError
from recsys_dagster.ingest.archive import require_space
from recsys_dagster.runtime.progress import progress_bar
from recsys_dagster.runtime.storage import explaining_disk_full, write_json

ATTEMPTS = 5
"""Tries in a row that bring nothing new before a download is given up."""

FIRST_WAIT = 1.0
"""Seconds before the second try; doubled for each further one that brings nothing new, up to 30."""

_TIMEOUT = httpx.Timeout(30, connect=10)
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


class NotThereError(RecsysError):
    """The server has no such file (HTTP 404 or 410)."""


def download(url: str, part: Path) -> None:
    """Fetch `url` into `part`, going on from what an earlier try left there if the server still has the same file.

    `<part>.json` keeps the validator (ETag, else the time of the last change) that tells. `<url>.md5` is compared
    where the server has one; on a difference `part` is removed.

    Raises:
        NotThereError: the server has no such file.
        RecsysError: the server or the network fails again and again, the checksum differs, or the disk is full.
    """
    part.parent.mkdir(parents=True, exist_ok=True)
    with httpx.Client(timeout=_TIMEOUT, follow_redirects=True, headers={"Accept-Encoding": "identity"}) as client:
        _retrying(url, part)(_go_on, client, url, part)
        expected = _published_md5(client, url, part)
    if expected is not None:
        with part.open("rb") as file:
            came = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if came != expected:
            discard(part)
            raise RecsysError(
                f"{url}: the MD5 is {came}, published is {expected}; what came was removed: run again to download it "
                "anew, and tell the publisher if it differs again"
            )


def discard(part: Path) -> None:
    """Remove a download and what is known about it."""
    part.unlink(missing_ok=True)
    _validator_path(part).unlink(missing_ok=True)


def _retrying(url: str, part: Path) -> tenacity.Retrying:
    """Return a caller that repeats what fails in passing, with back-off, as long as `part` keeps growing."""
    reached, in_vain = _size(part), 0

    def stop(_: tenacity.RetryCallState) -> bool:
        nonlocal reached, in_vain
        in_vain = 0 if _size(part) > reached else in_vain + 1
        reached = max(reached, _size(part))
        return in_vain >= ATTEMPTS

    def give_up(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        raise TransientError(
            f"{url}: {_in_words(error)}, {ATTEMPTS} times in a row; try again later (what has arrived is kept), or put "
            "the archive as <dataset id>.zip into a folder and set RECSYS_MIRROR to it"
        ) from error

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(_passes),
        wait=lambda _: min(30, FIRST_WAIT * 2**in_vain),
        stop=stop,
        retry_error_callback=give_up,
    )


def _passes(error: BaseException) -> bool:
    """Tell whether trying again may help."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in _PASSING
    return isinstance(error, httpx.TransportError) and not isinstance(error, httpx.UnsupportedProtocol)


def _in_words(error: BaseException | None) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return f"the server answered HTTP {error.response.status_code} {error.response.reason_phrase}".rstrip()
    return f"{type(error).__name__} ({error})"


@contextlib.contextmanager
def _answer(client: httpx.Client, url: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
    """Open the response to a GET whose body has not been read yet.

    Raises:
        NotThereError: HTTP 404 or 410.
        RecsysError: an answer that will not change by asking again.
        httpx.HTTPError: anything else that went wrong.
    """
    try:
        with client.stream("GET", url, headers=headers) as response:
            if response.status_code in (404, 410):
                raise NotThereError(f"{url}: the server has no such file (HTTP {response.status_code})")
            if response.status_code != httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                response.raise_for_status()
            yield response
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        if _passes(error):
            raise
        raise RecsysError(
            f"{url}: {_in_words(error)}; check the address and your access to it, or put the archive as "
            "<dataset id>.zip into a folder and set RECSYS_MIRROR to it"
        ) from error


def _go_on(client: httpx.Client, url: str, part: Path) -> None:
    """Ask once for what is missing of `part` and append it, or for all of it if the server's file has changed."""
    validator = _validator(part, url)
    if validator is None:
        discard(part)
    have = _size(part)
    headers = {"Range": f"bytes={have}-", "If-Range": validator} if have and validator else {}
    with _answer(client, url, headers) as response:
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            if response.headers.get("Content-Range") == f"bytes */{have}":
                return
            discard(part)
            raise httpx.ReadError("the file on the server has changed")
        if response.status_code == httpx.codes.PARTIAL_CONTENT:
            if not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                discard(part)
                raise httpx.ReadError("the server sent another range than was asked for")
        else:
            discard(part)
            have = 0
            _keep_validator(part, url, response.headers)
        _append(response, url, part, have)


def _append(response: httpx.Response, url: str, part: Path, have: int) -> None:
    """Write the body behind the first `have` bytes of `part`; httpx raises if it is shorter than announced."""
    length = response.headers.get("Content-Length")
    if length is not None:
        require_space(part.parent, int(length))
    total = have + int(length) if length is not None else None
    with (
        progress_bar(url.rpartition("/")[2], total, unit="bytes") as advance,
        explaining_disk_full(part),
        part.open("ab") as file,
    ):
        advance(have)
        for block in response.iter_raw():  # as it comes: a larger block would be lost when the line drops
            file.write(block)
            advance(len(block))


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _validator_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _validator(part: Path, url: str) -> str | None:
    """Return what tells whether the server's file is still the one that `part` is the beginning of."""
    try:
        known = json.loads(_validator_path(part).read_text(encoding="utf-8"))
        return str(known["validator"]) if known["url"] == url else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _keep_validator(part: Path, url: str, headers: httpx.Headers) -> None:
    """Remember the response's strong ETag, else its time of last change; a weak ETag does not vouch for bytes."""
    etag = headers.get("ETag", "")
    validator = etag if etag.startswith('"') else headers.get("Last-Modified")
    if validator:
        write_json(_validator_path(part), {"url": url, "validator": validator})


def _published_md5(client: httpx.Client, url: str, part: Path) -> str | None:
    """Return the 32 hex digits in `<url>.md5`, or None where there is no such file or no checksum in it."""

    def ask() -> str:
        with _answer(client, f"{url}.md5", {}) as response:
            return response.read().decode("utf-8", "replace")

    try:
        text = _retrying(f"{url}.md5", part)(ask)
    except NotThereError:
        return None
    found = re.search(r"\b[0-9a-fA-F]{32}\b", text)
    return found.group().lower() if found else None
