"""The shapes in which people have their ratings, plays and purchases: the same small world, written in each of them."""

import csv
import gzip
import io
import json
import random
import uuid
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

N_USERS, N_ITEMS = 60, 40
GENRES = ("Tools", "Garden", "Kitchen", "Toys", "Books")


@dataclass(frozen=True)
class Event:
    """One user and one item: a rating from 1 to 5, a number of plays, and a time."""

    user: int
    item: int
    stars: int
    plays: int
    at: datetime


def world(seed: int = 7) -> list[Event]:
    """Interactions of users who like one or two genres; the genre of an item is its number modulo five."""
    rng = random.Random(seed)
    events = []
    for user in range(1, N_USERS + 1):
        liked = {user % 5, rng.randrange(5)}
        for item in rng.sample(range(1, N_ITEMS + 1), 18):
            is_liked = item % 5 in liked
            stars = min(5, max(1, round(rng.gauss(4.3 if is_liked else 2.4, 0.8))))
            plays = 1 + int(rng.expovariate(1 / (30 if is_liked else 4)))
            at = datetime(2023, 1, 1, 8, tzinfo=UTC) + timedelta(minutes=rng.randrange(60 * 24 * 85))
            events.append(Event(user, item, stars, plays, at))
    return sorted(events, key=lambda event: event.at)


EVENTS = world()


def user_uuid(user: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"user-{user}"))


def sku(item: int) -> str:
    return f"SKU-{item:04d}{'ABC'[item % 3]}"


def genres_of(item: int) -> list[str]:
    return sorted({GENRES[item % 5], GENRES[item // 5 % 5]})


@dataclass(frozen=True)
class Shape:
    """Files of one shape.

    Attributes:
        name: of the shape.
        write: writes the files into a folder and returns the words of `recsys import` after which they are found.
        interactions: the columns that have to be found, by meaning.
        items: those of the items; None: there are none.
        scale: of the ratings; None: implicit.
        user, item: the ids as the source writes them, by the numbers of users and items.
    """

    name: str
    write: Callable[[Path], list[str]]
    interactions: dict[str, str]
    scale: tuple[float, float] | None
    user: Callable[[int], str | int]
    item: Callable[[int], str | int]
    items: dict[str, Any] | None = None
    unrated: tuple[float, ...] = field(default=())


def write_csv(
    path: Path,
    header: Sequence[str] | None,
    rows: Sequence[Sequence[object]],
    delimiter: str = ",",
    encoding: str = "utf-8",
) -> str:
    if len(delimiter) == 1:
        text = io.StringIO()
        writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
        writer.writerows([*([header] if header else []), *rows])
        content = text.getvalue()
    else:
        content = "".join(delimiter.join(map(str, row)) + "\n" for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode(encoding))
    return str(path)


def _uuids(folder: Path) -> list[str]:
    rows = [(user_uuid(one.user), one.item, one.stars, int(one.at.timestamp())) for one in EVENTS]
    return [write_csv(folder / "reviews.csv", ("customer_id", "product_id", "stars", "created"), rows)]


def _skus_with_zones(folder: Path) -> list[str]:
    zone = timezone(timedelta(hours=2))
    rows = [(one.user, sku(one.item), one.stars, one.at.astimezone(zone).isoformat()) for one in EVENTS]
    return [write_csv(folder / "feedback.csv", ("client", "sku", "score", "ts"), rows)]


def _plays(folder: Path) -> list[str]:
    rows = [(f"listener{one.user}", f"track{one.item}", one.plays) for one in EVENTS]
    return [write_csv(folder / "listening.csv", ("user", "track", "plays"), rows)]


def _purchases(folder: Path) -> list[str]:
    rows = [
        (number, one.user, sku(one.item), 1 + one.plays % 3, "9.99", one.at.strftime("%Y-%m-%d %H:%M:%S"))
        for number, one in enumerate([one for one in EVENTS for _ in range(1 + one.stars // 4)])
    ]
    header = ("order_id", "customer_id", "sku", "quantity", "price", "order_date")
    return [write_csv(folder / "orders.csv", header, rows)]


def _ten(folder: Path) -> list[str]:
    rows = [(one.user, one.item, 2 * one.stars - one.item % 2, one.at.date()) for one in EVENTS]
    return [write_csv(folder / "votes.csv", ("user_id", "game_id", "rating", "date"), rows)]


def _percentages(folder: Path) -> list[str]:
    rows = [(one.user, one.item, one.stars * 20 - one.plays % 19) for one in EVENTS]
    return [write_csv(folder / "critics.csv", ("reviewer", "film", "score"), rows)]


def _thumbs(folder: Path) -> list[str]:
    rows = [(one.user, one.item, "up" if one.stars >= 4 else "down", int(one.at.timestamp() * 1000)) for one in EVENTS]
    return [write_csv(folder / "thumbs.csv", ("userId", "videoId", "liked", "timestamp"), rows)]


def _parquet(folder: Path) -> list[str]:
    table = pa.table(
        {
            "member": pa.array([one.user for one in EVENTS], pa.int64()),
            "course_id": pa.array([sku(one.item) for one in EVENTS]),
            "grade": pa.array([float(one.stars) for one in EVENTS], pa.float32()),
            "rated_at": pa.array([one.at for one in EVENTS], pa.timestamp("us", "UTC")),
            "device": pa.array([{"os": "x"} for _ in EVENTS]),
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / "grades.parquet")
    return [str(folder / "grades.parquet")]


def _json_lines(folder: Path) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps({"uid": f"u{one.user}", "recipe": one.item, "rating": one.stars, "createdAt": one.at.isoformat()})
        for one in EVENTS
    ]
    (folder / "cooking.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    return [str(folder / "cooking.jsonl.gz")]


def _titles_with_json_genres(folder: Path) -> list[str]:
    rows = [(one.user, sku(one.item), one.stars, one.at.isoformat()) for one in EVENTS]
    ratings = write_csv(folder / "ratings.csv", ("user", "item", "rating", "time"), rows)
    titles = [
        (sku(item), f"Thing, number {item}", json.dumps(genres_of(item)), "Acme", f"https://example.org/{item}.jpg")
        for item in range(1, N_ITEMS + 1)
    ]
    products = write_csv(folder / "products.csv", ("sku", "name", "categories", "brand", "image"), titles)
    return [ratings, "--items", products, "--name", "things"]


def _headerless(folder: Path) -> list[str]:
    rows = [(one.user, one.item, one.stars, int(one.at.timestamp())) for one in EVENTS]
    return [write_csv(folder / "log.tsv", None, rows, "\t")]


def _semicolons(folder: Path) -> list[str]:
    rows = [
        (one.user, one.item, f"{one.stars - 0.5:g}".replace(".", ","), f"{one.at:%d.%m.%Y %H:%M}") for one in EVENTS
    ]
    ratings = write_csv(folder / "bewertungen.csv", ("Kundennr", "Artikelnummer", "Bewertung", "Datum"), rows, ";")
    articles = [(item, f"Gerät {item}", " / ".join(genres_of(item))) for item in range(1, N_ITEMS + 1)]
    products = write_csv(
        folder / "artikel.csv", ("Artikelnummer", "Bezeichnung", "Kategorien"), articles, ";", "windows-1252"
    )
    return [ratings, "--items", products]


def _months(folder: Path) -> list[str]:
    for month in (1, 2, 3):
        rows = [(one.user, one.item, one.stars, one.at.isoformat()) for one in EVENTS if one.at.month == month]
        write_csv(folder / "events" / f"2023-{month:02d}.csv", ("user", "article", "vote", "time"), rows)
    return [str(folder / "events"), "--name", "months"]


def _zipped(folder: Path) -> list[str]:
    inner = folder / "inner"
    rows = [(one.user, one.item, one.stars, int(one.at.timestamp())) for one in EVENTS]
    films = [(item, f"Film {item} ({1950 + item})", "|".join(genres_of(item))) for item in range(1, N_ITEMS + 1)]
    write_csv(inner / "ratings.dat", None, rows, "::")
    write_csv(inner / "movies.dat", None, [*films[:-1], (N_ITEMS, "Amélie (2001)", "Toys")], "::", "latin-1")
    with zipfile.ZipFile(folder / "films.zip", "w") as archive:
        for path in sorted(inner.iterdir()):
            archive.write(path, f"films/{path.name}")
        archive.writestr("films/README", "Thank you.")
    return [str(folder / "films.zip"), "--name", "zipped"]


def _zeros_for_implicit(folder: Path) -> list[str]:
    rows = [(one.user, sku(one.item), 0 if one.plays % 2 else 2 * one.stars) for one in EVENTS]
    return [write_csv(folder / "books.csv", ("User-ID", "ISBN", "Book-Rating"), rows, ";")]


SHAPES: tuple[Shape, ...] = (
    Shape(
        "uuids", _uuids, {"user": "customer_id", "item": "product_id", "rating": "stars", "time": "created"}, (1, 5),
        user_uuid, int,
    ),
    Shape(
        "skus_with_zones", _skus_with_zones, {"user": "client", "item": "sku", "rating": "score", "time": "ts"}, (1, 5),
        int, sku,
    ),
    Shape(
        "plays", _plays, {"user": "user", "item": "track", "weight": "plays"}, None,
        "listener{}".format, "track{}".format,
    ),
    Shape(
        "purchases", _purchases,
        {"user": "customer_id", "item": "sku", "weight": "quantity", "time": "order_date"}, None, int, sku,
    ),
    Shape("ten", _ten, {"user": "user_id", "item": "game_id", "rating": "rating", "time": "date"}, (1, 10), int, int),
    Shape("percentages", _percentages, {"user": "reviewer", "item": "film", "rating": "score"}, (0, 100), int, int),
    Shape(
        "thumbs", _thumbs, {"user": "userId", "item": "videoId", "rating": "liked", "time": "timestamp"}, (0, 1),
        int, int,
    ),
    Shape(
        "parquet", _parquet, {"user": "member", "item": "course_id", "rating": "grade", "time": "rated_at"}, (1, 5),
        int, sku,
    ),
    Shape(
        "json_lines", _json_lines, {"user": "uid", "item": "recipe", "rating": "rating", "time": "createdAt"}, (1, 5),
        "u{}".format, int,
    ),
    Shape(
        "titles_with_json_genres", _titles_with_json_genres,
        {"user": "user", "item": "item", "rating": "rating", "time": "time"}, (1, 5), int, sku,
        {"item": "sku", "title": "name", "genres": {"column": "categories"}, "creators": "brand", "image_url": "image"},
    ),
    Shape(
        "headerless", _headerless,
        {"user": "column1", "item": "column2", "rating": "column3", "time": "column4"}, (1, 5), int, int,
    ),
    Shape(
        "semicolons", _semicolons,
        {"user": "Kundennr", "item": "Artikelnummer", "rating": "Bewertung", "time": "Datum"}, (0.5, 5), int, int,
        {
            "item": "Artikelnummer", "title": "Bezeichnung",
            "genres": {"column": "Kategorien", "separator": "/"},
        },
    ),
    Shape("months", _months, {"user": "user", "item": "article", "rating": "vote", "time": "time"}, (1, 5), int, int),
    Shape(
        "zipped", _zipped,
        {"user": "column1", "item": "column2", "rating": "column3", "time": "column4"}, (1, 5), int, int,
        {
            "item": "column1", "title": "column2", "genres": {"column": "column3", "separator": "|"},
            "year_in_title": True,
        },
    ),
    Shape(
        "zeros_for_implicit", _zeros_for_implicit, {"user": "User-ID", "item": "ISBN", "rating": "Book-Rating"},
        (1, 10), int, sku, unrated=(0,),
    ),
)  # fmt: skip
