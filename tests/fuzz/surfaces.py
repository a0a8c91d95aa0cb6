"""What is attacked: each surface mutates one kind of input in a RECSYS_HOME and says which command meets it.

A surface prepares the home in the parent and returns what the child process does.
"""

import contextlib
import random
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from fuzz.mutations import TOKENS, mutate, mutated_archive, pack

DATASET = "ml-latest-small"
SECRET = "fuzz-secret"
WHOLE_RUNS = 0.08
"""Share of the damaged archives and tables that meet a whole run, which takes seconds, instead of its first stages."""
STATUSES = (
    "200 OK", "200 OK", "206 Partial Content", "204 No Content", "301 Moved", "404 Not Found", "416 Range",
    "429 Too Many", "500 Oops", "999 What", "200",
)  # fmt: skip


@dataclass(frozen=True)
class Attack:
    """One case, ready to be run.

    Attributes:
        command: what the child does: words of `recsys`, or `("ingest",)` for fetching, cleaning and checking.
        settings: variables of the child.
        around: what runs meanwhile, such as a server; entered in the parent.
    """

    command: Sequence[str]
    settings: dict[str, str]
    around: Callable[[], AbstractContextManager[dict[str, str]]] = lambda: contextlib.nullcontext({})


def archive(home: Path, members: dict[str, bytes], random: random.Random) -> Attack:
    """A damaged or hostile archive in the mirror."""
    return _ingest(home, mutated_archive(members, random), random)


def csv(home: Path, members: dict[str, bytes], random: random.Random) -> Attack:
    """Sound archives with mutated CSV files."""
    victims = random.sample(sorted(members), random.randint(1, len(members)))
    changed = {name: mutate(content, random) if name in victims else content for name, content in members.items()}
    return _ingest(home, pack(changed), random)


def settings(home: Path, members: dict[str, bytes], random: random.Random) -> Attack:
    """Settings with values of every kind, in the environment and in `.env`."""
    from recsys_dagster.settings import Settings

    words = [token.decode("utf-8", errors="replace").replace("\x00", "") for token in TOKENS[:-1]]
    names = [f"RECSYS_{name.upper()}" for name in Settings.model_fields if name != "home"]
    names += ["RECSYS_MODEL", "RECSYS_MOVIE_DATSET", "RECSYS_"]
    chosen = {random.choice(names): random.choice(words) for _ in range(random.randint(1, 3))}
    if random.random() < 0.5:
        lines = [f"{name}={value}" for name, value in chosen.items()]
        (home.parent / ".env").write_bytes(mutate("\n".join(lines).encode(), random))
        chosen = {}
    return Attack(random.choice((("definitions",), ("datasets",), *_LOOK_UPS)), chosen)


def model_store(home: Path, members: dict[str, bytes], random: random.Random) -> Attack:
    """A file of the model store with other bytes, without any, or gone."""
    _harm(random.choice(sorted(path for path in (home / "models").rglob("*") if path.is_file())), random)
    commands = (
        *_LOOK_UPS,
        ("promote", "-d", "movie", "-m", "popularity", "--reason", "fuzz"),
        ("rollback", "-d", "movie"),
    )
    return Attack(random.choice(commands), {})


def published_file(home: Path, members: dict[str, bytes], random: random.Random) -> Attack:
    """A published file with other bytes."""
    _harm(home / "published" / "movie.duckdb", random)
    return Attack(random.choice((*_LOOK_UPS, ("rollback", "-d", "movie"))), {})


def backup(home: Path, members: dict[str, bytes], random: random.Random) -> Attack:
    """A backup with other bytes."""
    from recsys_dagster.lifecycle.backup import write_backup
    from recsys_dagster.runtime.layout import Layout

    archive = home.parent / random.choice(("backup.tar", "backup.tar.gz"))
    write_backup(Layout(home), archive)
    archive.write_bytes(mutate(archive.read_bytes(), random))
    return Attack(("restore", str(archive), "--replace"), {})


def http(home: Path, members: dict[str, bytes], random: random.Random) -> Attack:
    """A mirror or a webhook whose answers are not HTTP, or lie."""
    body = pack(members)
    length = random.choice((str(len(body)), "0", "-1", "99999999999", "x", str(len(body) - 1), str(len(body) + 1)))
    status = random.choice(STATUSES)
    headers = [f"Content-Length: {length}", "Content-Type: application/zip", "Connection: close"]
    headers += random.sample(
        ["Location: /", "Location: file:///etc/passwd", "Location: http://127.0.0.1:1/x", "Content-Encoding: gzip",
         "Transfer-Encoding: chunked", "Content-Range: bytes 5-9/3", "Retry-After: 99999", "X: " + "y" * 70_000,
         "\x1b[31m: x", "ETag: \x00"],
        random.randint(0, 2),
    )  # fmt: skip
    answer = f"HTTP/1.1 {status}\r\n".encode() + "\r\n".join(headers).encode("latin-1") + b"\r\n\r\n" + body
    if random.random() < 0.5:
        answer = mutate(answer, random)

    @contextlib.contextmanager
    def server() -> Iterator[dict[str, str]]:
        with _answering(answer) as port:
            address = f"http://127.0.0.1:{port}"
            yield {"RECSYS_MIRROR": f"{address}?token={SECRET}", "RECSYS_WEBHOOK": f"{address}/hook?secret={SECRET}"}

    command = ("alarm",) if random.random() < 0.2 else ("ingest",)
    return Attack(command, {"RECSYS_DATASET_MOVIE": DATASET}, server)


SURFACES: dict[str, Callable[[Path, dict[str, bytes], random.Random], Attack]] = {
    "archive": archive,
    "csv": csv,
    "settings": settings,
    "model_store": model_store,
    "published_file": published_file,
    "http": http,
    "backup": backup,
}

_LOOK_UPS: tuple[tuple[str, ...], ...] = (
    ("recommend", "-d", "movie", "-u", "1"),
    ("recommend", "-d", "movie", "--taste", "Action=4"),
    ("recommend", "-d", "movie", "-u", "1", "--json"),
    ("report", "-d", "movie"),
    ("history", "-d", "movie"),
    ("recommend", "-d", "movie", "--rated", "Nothing=4"),
)


def _ingest(home: Path, content: bytes, random: random.Random) -> Attack:
    mirror = home.parent / "mirror"
    mirror.mkdir()
    (mirror / f"{DATASET}.zip").write_bytes(content)
    whole_run = ("run", "--domain", "movie", "--models", "popularity")
    command = whole_run if random.random() < WHOLE_RUNS else ("ingest",)
    return Attack(command, {"RECSYS_MIRROR": str(mirror), "RECSYS_DATASET_MOVIE": DATASET})


def _harm(path: Path, random: random.Random) -> None:
    """Change a file; it may be a link to one that other cases share, so it is replaced, not written to."""
    content = path.read_bytes()
    path.unlink()
    if random.random() < 0.9:
        path.write_bytes(mutate(content, random))


@contextlib.contextmanager
def _answering(answer: bytes) -> Iterator[int]:
    """A server on loopback that gives every connection the same bytes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, contextlib.suppress(OSError):
                        connection.settimeout(5)
                        connection.recv(65536)
                        connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
