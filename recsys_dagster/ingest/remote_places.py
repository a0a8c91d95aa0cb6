"""Find declared files behind URLs: over HTTP, and in object stores through fsspec."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import urlsplit

import fsspec
import httpx

from recsys_dagster.errors import RecsysError, TransientError
from recsys_dagster.ingest.declared_places import Place, PlaceError
from recsys_dagster.ingest.download import Limits, discard, download
from recsys_dagster.runtime.http_client import Deadline, open_response
from recsys_dagster.runtime.text import printable
from recsys_dagster.runtime.urls import is_url, without_secrets
from recsys_dagster.settings import Settings

_STORES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss")
_HEAD_SECONDS = 60


def is_remote(pattern: str) -> bool:
    """Return whether a place of a declaration is a URL: of a web server, or of an object store such as s3://."""
    return is_url(pattern) or pattern.partition("://")[0].lower() in _STORES


def remote_places(patterns: Sequence[str], settings: Settings, scratch: Path | None) -> list[Place]:
    """Return the files behind URLs, in their order.

    Args:
        patterns: the URLs; those of an object store may be patterns or folders.
        settings: have the limits of downloads.
        scratch: folder that they are downloaded to; None: nothing is asked over the network.

    Raises:
        PlaceError: there is no such file.
        RecsysError: the server cannot be reached, or a package is missing.
    """
    places: list[Place] = []
    for pattern in patterns:
        if scratch is None:
            places.append(Place(_name(pattern), without_secrets(pattern), None, _nowhere))
        elif is_url(pattern):
            places.append(_http_place(pattern, settings, scratch))
        else:
            places += _store_places(pattern)
    names = [place.name for place in places]
    if len(set(names)) < len(names):
        raise RecsysError(f"several of the URLs end with {printable(_repeated(names))}; rename one of the files")
    return places


def _repeated(names: Sequence[str]) -> str:
    return next(name for name in names if names.count(name) > 1)


def _name(url: str) -> str:
    return PurePosixPath(urlsplit(url).path).name or "data"


@contextmanager
def _nowhere() -> Iterator[IO[bytes]]:
    raise AssertionError("a place that was only looked at is not opened")
    yield


def _http_place(url: str, settings: Settings, scratch: Path) -> Place:
    """Return the place of a file on a web server; it is downloaded, with retries, when it is opened."""
    limits = Limits(settings.download_seconds, settings.download_bytes)
    part = scratch / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}.part"

    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        download(url, part, limits)
        with part.open("rb") as file:
            yield file
        discard(part)

    return Place(_name(url), without_secrets(url), _http_stamp(url), opened)


def _http_stamp(url: str) -> str | None:
    """Return what changes with the file on the server; None if it does not say."""
    try:
        with Deadline(_HEAD_SECONDS) as deadline, open_response("HEAD", url, deadline) as response:
            if response.is_error:
                return None
            validator = response.headers.get("ETag") or response.headers.get("Last-Modified")
            return f"{validator} {response.headers.get('Content-Length', '')}" if validator else None
    except (httpx.HTTPError, httpx.InvalidURL):
        return None  # the download says what is wrong


def _store_places(pattern: str) -> list[Place]:
    """Return the files in an object store."""
    shown = pattern.partition("?")[0]
    try:
        store, path = fsspec.url_to_fs(pattern)
        store.invalidate_cache()  # a sensor's process lists the same folder again and again
        found = store.find(path, detail=True) if store.isdir(path) else store.glob(path, detail=True)
    except ImportError as error:
        package = "s3" if pattern.startswith("s3") else None
        cure = f"pip install 'recsys-dagster[{package}]'" if package else "install the package that fsspec names"
        raise RecsysError(f"{shown}: {printable(str(error))}; {cure}") from None
    except Exception as error:  # each store has errors of its own
        raise _unreachable(shown, error) from error
    files = {name: info for name, info in sorted(found.items()) if info.get("type") == "file"}
    if not files:
        raise PlaceError(f"{shown}: no such file; correct `files`, or check your access to it")
    scheme = pattern.partition("://")[0]
    return [
        Place(PurePosixPath(name).name, f"{scheme}://{name}", _stamp(info), _opener(store, name, shown))
        for name, info in files.items()
    ]


def _stamp(info: dict[str, object]) -> str | None:
    validator = info.get("ETag") or info.get("etag") or info.get("LastModified") or info.get("mtime")
    return f"{validator} {info.get('size')}" if validator else None


def _opener(store: fsspec.AbstractFileSystem, name: str, shown: str) -> Callable[[], AbstractContextManager[IO[bytes]]]:
    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        try:
            file = store.open(name, "rb")
        except Exception as error:
            raise _unreachable(shown, error) from error
        with file:
            yield file

    return opened


def _unreachable(shown: str, error: Exception) -> RecsysError:
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    kind = TransientError if isinstance(error, TimeoutError | ConnectionError) else RecsysError
    return kind(f"{shown}: cannot be read ({printable(reason)}); check the address, your credentials and the network")
