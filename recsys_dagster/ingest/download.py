"""Download an archive over HTTP: resume it, retry it, and compare it with its published MD5."""

import hashlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx

from recsys_dagster.errors import RecsysError, TransientError
from recsys_dagster.ingest.archive import require_space
from recsys_dagster.runtime.files import open_without_links
from recsys_dagster.runtime.http_client import Deadline, describe_http_error, open_response, read_at_most
from recsys_dagster.runtime.progress import progress_bar
from recsys_dagster.runtime.storage import explaining_disk_full, write_json
from recsys_dagster.runtime.urls import with_suffix, without_secrets

ATTEMPTS = 5
"""Consecutive attempts without any new bytes after which a download is given up."""

FIRST_WAIT = 1.0
"""Seconds before the second attempt; doubled for each further attempt without new bytes, up to 30."""

CHECKSUM_BYTES = 4096
"""Longest answer that is read as a checksum."""

_TEMPORARY_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
_ELSEWHERE = "put the archive as <dataset id>.zip into a folder and set RECSYS_MIRROR to it"

Result = TypeVar("Result")


@dataclass(frozen=True)
class Limits:
    """Limits of a download.

    Attributes:
        seconds: total time, including all attempts.
        bytes: size of the file.
    """

    seconds: float = 6 * 3600
    bytes: int = 20 * 2**30


class NotThereError(RecsysError):
    """The server does not have the file (HTTP 404 or 410)."""


class _RetryError(Exception):
    """The attempt failed in a way that another attempt may not; the message says how."""


def download(url: str, part: Path, limits: Limits | None = None) -> None:
    """Download `url` to `part`; resume an earlier download if the server still has the same file.

    `<part>.json` keeps the validator of the server's file: its ETag, else its Last-Modified. The MD5 is compared with
    `<url>.md5` if the server has that; if they differ, `part` is removed. No message and no file contains the user
    name, the password or the query of the URL.

    Raises:
        NotThereError: the server does not have the file.
        TransientError: the server or the network keeps failing, or the download takes too long.
        RecsysError: the file is too large, its checksum differs, or the disk is full.
    """
    limits = limits or Limits()
    part.parent.mkdir(parents=True, exist_ok=True)
    with Deadline(limits.seconds) as deadline:
        _retry(lambda: _resume(url, part, limits, deadline), url, deadline, progress=lambda: _size(part))
        expected = _retry(lambda: _published_md5(url, deadline), with_suffix(url, ".md5"), deadline)
    if expected is None:
        return
    with part.open("rb") as file:
        actual = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if actual != expected:
        discard(part)
        raise RecsysError(
            f"{without_secrets(url)}: the MD5 is {actual}, published is {expected}; the download was removed: run "
            "again to repeat it, and tell the publisher if it differs again"
        )


def discard(part: Path) -> None:
    """Remove a partial download and its validator."""
    part.unlink(missing_ok=True)
    _validator_path(part).unlink(missing_ok=True)


def _retry(
    attempt: Callable[[], Result], url: str, deadline: Deadline, progress: Callable[[], int] = lambda: 0
) -> Result:
    """Repeat an attempt, with growing pauses, as long as it fails temporarily and makes progress now and then.

    Raises:
        TransientError: ATTEMPTS attempts in a row brought no progress, or the deadline was reached.
    """
    name = without_secrets(url)
    reached, failures = progress(), 0
    while True:
        try:
            return attempt()
        except _RetryError as error:
            reason = str(error)
        if deadline.expired:
            raise TransientError(
                f"{name}: not complete within RECSYS_DOWNLOAD_SECONDS={deadline.seconds:g}; run again to resume it, or "
                "raise the limit"
            )
        failures = 0 if progress() > reached else failures + 1
        reached = max(reached, progress())
        if failures >= ATTEMPTS:
            raise TransientError(
                f"{name}: {reason}, {ATTEMPTS} times in a row; try again later (what has arrived is kept), or "
                f"{_ELSEWHERE}"
            )
        time.sleep(min(30, FIRST_WAIT * 2**failures, deadline.remaining))


def _resume(url: str, part: Path, limits: Limits, deadline: Deadline) -> None:
    """Request the missing rest of `part` and append it; start anew if the server's file has changed."""
    validator = _read_validator(part, url)
    if validator is None:
        discard(part)
    have = _size(part)
    headers = {"Range": f"bytes={have}-", "If-Range": validator} if have and validator else {}
    try:
        with open_response("GET", url, deadline, headers=headers) as response:
            _check_status(response, url)
            start = _start_of_body(response, url, part, have)
            if start is not None:
                _append(response, part, start, limits, deadline, without_secrets(url))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _classified(error, url, deadline) from None


def _check_status(response: httpx.Response, url: str) -> None:
    """Raise NotThereError, RecsysError or httpx.HTTPStatusError unless the answer is the file or HTTP 416."""
    if response.status_code in (404, 410):
        raise NotThereError(f"{without_secrets(url)}: the server has no such file (HTTP {response.status_code})")
    if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and "Range" in response.request.headers:
        return
    response.raise_for_status()
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    if encoding not in ("identity", ""):
        raise RecsysError(
            f"{without_secrets(url)}: the server sends the file compressed ({encoding}), although that was not asked "
            f"for; switch that off on the server, or {_ELSEWHERE}"
        )


def _start_of_body(response: httpx.Response, url: str, part: Path, have: int) -> int | None:
    """Return how many bytes of `part` precede the body of the answer; None if `part` is already complete.

    Raises:
        _RetryError: the answer does not fit to what is there; the next attempt starts anew.
    """
    content_range = response.headers.get("Content-Range", "")
    if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
        if content_range == f"bytes */{have}":
            return None
        discard(part)
        raise _RetryError("the file on the server has changed")
    if response.status_code == httpx.codes.PARTIAL_CONTENT:
        if not content_range.startswith(f"bytes {have}-"):
            discard(part)
            raise _RetryError("the server sent another range than the requested one")
        return have
    discard(part)
    _write_validator(part, url, response.headers)
    return 0


def _append(response: httpx.Response, part: Path, have: int, limits: Limits, deadline: Deadline, name: str) -> None:
    """Write the body after the first `have` bytes of `part`; httpx raises if it is shorter than announced."""
    too_large = RecsysError(
        f"{name}: larger than RECSYS_DOWNLOAD_BYTES={limits.bytes}; raise the limit if the size is right"
    )
    length = response.headers.get("Content-Length")
    total = have + int(length) if length is not None else None
    if total is not None:
        if total > limits.bytes:
            raise too_large
        require_space(part.parent, total - have)
    with (
        progress_bar(name.rpartition("/")[2], total, unit="bytes") as advance,
        explaining_disk_full(part),
        open_without_links(part, "ab") as file,
    ):
        advance(have)
        for block in response.iter_raw():  # as it arrives: a larger block would be lost when the connection drops
            have += len(block)
            if have > limits.bytes:
                raise too_large
            file.write(block)
            advance(len(block))
    deadline.check()
    announced = response.headers.get("Content-Range", "").rpartition("/")[2]
    if response.status_code == httpx.codes.PARTIAL_CONTENT and announced.isdigit() and have < int(announced):
        raise _RetryError("the server sent less than the whole file")


def _published_md5(url: str, deadline: Deadline) -> str | None:
    """Return the 32 hex digits in `<url>.md5`; None if the server refuses it or its answer has no checksum."""
    url = with_suffix(url, ".md5")
    try:
        with open_response("GET", url, deadline) as response:
            if response.is_client_error and response.status_code not in _TEMPORARY_STATUSES:
                return None
            response.raise_for_status()
            text = read_at_most(response, CHECKSUM_BYTES, deadline).decode("ascii", "replace")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _classified(error, url, deadline) from None
    match = re.search(r"\b[0-9a-fA-F]{32}\b", text)
    return match.group().lower() if match else None


def _classified(error: Exception, url: str, deadline: Deadline) -> Exception:
    """Return _RetryError if another attempt may succeed, else RecsysError; neither quotes the URL's secrets."""
    reason = describe_http_error(error)
    if deadline.expired:
        return _RetryError(reason)
    if isinstance(error, httpx.HTTPStatusError):
        is_temporary = error.response.status_code in _TEMPORARY_STATUSES
    else:
        is_permanent = isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError)
        is_temporary = isinstance(error, httpx.TransportError) and not is_permanent
    if is_temporary:
        return _RetryError(reason)
    return RecsysError(f"{without_secrets(url)}: {reason}; check the address and your access to it, or {_ELSEWHERE}")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _validator_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _read_validator(part: Path, url: str) -> str | None:
    """Return the validator of the file that `part` is the beginning of; None if it is unknown or of another URL."""
    try:
        stored = json.loads(_validator_path(part).read_text(encoding="utf-8"))
        return str(stored["validator"]) if stored["url"] == without_secrets(url) else None
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _write_validator(part: Path, url: str, headers: httpx.Headers) -> None:
    """Store the answer's strong ETag, else its Last-Modified; a weak ETag does not guarantee equal bytes."""
    etag = headers.get("ETag", "")
    validator = etag if etag.startswith('"') else headers.get("Last-Modified")
    if validator:
        write_json(_validator_path(part), {"url": without_secrets(url), "validator": validator})
