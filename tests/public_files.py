"""Small files in the layouts of the public datasets, each as its publisher writes it."""

import csv
import io
import random
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

N_USERS, N_ITEMS = 40, 30
GENRES = ("Action", "Comedy", "Drama", "Horror", "Romance")
ML_100K_GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip


def ratings(low: int, high: int) -> list[tuple[int, int, int, int]]:
    """Users, items, ratings and seconds since 1970."""
    rng = random.Random(3)
    rows = []
    for user in range(1, N_USERS + 1):
        for item in rng.sample(range(1, N_ITEMS + 1), 15):
            is_liked = (user + item) % 5 < 2
            rating = min(high, max(low, round(rng.gauss(high - 1 if is_liked else (low + high) / 2, 1))))
            rows.append((user, item, rating, 1_100_000_000 + rng.randrange(10**7)))
    return rows


def genres_of(item: int) -> list[str]:
    return sorted({GENRES[item % 5], GENRES[item // 5 % 5]})


def _csv(header: Sequence[str] | None, rows: Sequence[Sequence[object]], delimiter: str = ",", quoting: int = 0) -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n", quoting=quoting)  # type: ignore[arg-type]
    writer.writerows([*([header] if header else []), *rows])
    return text.getvalue()


def ml_100k() -> dict[str, bytes]:
    items = []
    for item in range(1, N_ITEMS + 1):
        title = "Amélie (2001)" if item == 7 else f"Film {item} (19{50 + item})"
        flags = [int(genre in genres_of(item)) for genre in ML_100K_GENRES]
        row = (item, title, f"01-Jan-19{50 + item}", "", f"http://us.imdb.com/M/title-exact?{item}", *flags)
        items.append("|".join(map(str, row)))
    data = "".join("\t".join(map(str, row)) + "\n" for row in ratings(1, 5))
    return {
        "ml-100k/u.data": data.encode(),
        "ml-100k/u.item": ("\n".join(items) + "\n").encode("latin-1"),
        "ml-100k/u.user": b"1|24|M|technician|85711\n2|53|F|other|94043\n",
        "ml-100k/README": b"SUMMARY & USAGE LICENSE\n",
    }


def _dat(folder: str, encoding: str, halves: bool) -> dict[str, bytes]:
    lines = [f"{u}::{i}::{r - 0.5 if halves and i % 2 else r}::{t}" for u, i, r, t in ratings(1, 5)]
    films = [f"{item}::Film {item} (19{50 + item})::{'|'.join(genres_of(item))}" for item in range(1, N_ITEMS)]
    films.append(f"{N_ITEMS}::Cité des enfants perdus, La (1995)::(no genres listed)")
    return {
        f"{folder}/ratings.dat": ("\n".join(lines) + "\n").encode(),
        f"{folder}/movies.dat": ("\n".join(films) + "\n").encode(encoding),
        f"{folder}/README": b"SUMMARY\n",
    }


def ml_1m() -> dict[str, bytes]:
    return _dat("ml-1m", "latin-1", halves=False) | {"ml-1m/users.dat": b"1::F::1::10::48067\n"}


def ml_10m() -> dict[str, bytes]:
    return _dat("ml-10M100K", "utf-8", halves=True) | {"ml-10M100K/tags.dat": b"15::4973::excellent!::1215184630\n"}


def movielens_20m_dataset() -> dict[str, bytes]:
    from datetime import UTC, datetime

    rows = [(u, i, r, datetime.fromtimestamp(t, UTC).strftime("%Y-%m-%d %H:%M:%S")) for u, i, r, t in ratings(1, 5)]
    films = [(item, f"Film {item} (19{50 + item})", "|".join(genres_of(item))) for item in range(1, N_ITEMS + 1)]
    return {
        "rating.csv": _csv(("userId", "movieId", "rating", "timestamp"), rows, quoting=csv.QUOTE_NONNUMERIC).encode(),
        "movie.csv": _csv(("movieId", "title", "genres"), films, quoting=csv.QUOTE_ALL).encode(),
        "tag.csv": b'"userId","movieId","tag","timestamp"\n18,4141,"Mark Waters","2009-04-24 18:19:40"\n',
        "genome_scores.csv": b"movieId,tagId,relevance\n1,1,0.025\n1,2,0.75\n1,3,0.9\n2,1,0.6\n",
        "genome_tags.csv": b'"tagId","tag"\n1,"007"\n2,"1930s"\n3,"pixar, animation"\n',
        "link.csv": b'"movieId","imdbId","tmdbId"\n1,114709,862\n',
    }


def anime_dataset_2023() -> dict[str, bytes]:
    header = [
        "anime_id",
        "Name",
        "English name",
        "Other name",
        "Score",
        "Genres",
        "Synopsis",
        "Type",
        "Episodes",
        "Aired",
        "Premiered",
        "Status",
        "Producers",
        "Licensors",
        "Studios",
        "Source",
        "Duration",
        "Rating",
        "Rank",
        "Popularity",
        "Favorites",
        "Scored By",
        "Members",
        "Image URL",
    ]
    rows = [
        (
            item, f"Anime {item}", "UNKNOWN" if item % 2 else f"Show {item}", "x", "8.1", ", ".join(genres_of(item)),
            "A plot.", "TV", "26.0", f"Apr 3, {1990 + item} to ?", "UNKNOWN", "Finished Airing", "UNKNOWN", "UNKNOWN",
            "Sunrise, Bones", "Manga", "24 min per ep", "PG-13", "28.0", 39, 61971, "1000.0", 1000 + item,
            f"https://cdn.myanimelist.net/images/anime/{item}.jpg",
        )
        for item in range(1, N_ITEMS + 1)
    ]  # fmt: skip
    scores = [(u, f"person{u}", i, f"Anime {i}", r) for u, i, r, _ in ratings(1, 10)]
    return {
        "anime-dataset-2023.csv": _csv(header, rows).encode(),
        "users-score-2023.csv": _csv(("user_id", "Username", "anime_id", "Anime Title", "rating"), scores).encode(),
        "users-details-2023.csv": b"Mal ID,Username,Gender,Mean Score\n1,person1,Male,7.3\n",
    }


def myanimelist_reviews() -> dict[str, bytes]:
    header = [
        "uid",
        "title",
        "synopsis",
        "genre",
        "aired",
        "episodes",
        "members",
        "popularity",
        "ranked",
        "score",
        "img_url",
        "link",
    ]
    rows = [
        (
            item, f"Anime {item}", "A plot.\n\nWith two lines.", str(genres_of(item)), f"Oct 4, {1990 + item} to ?",
            "25.0", 489888 + item, 141, "25.0", "8.82", f"https://cdn.myanimelist.net/{item}.jpg", "https://x",
        )
        for item in range(1, N_ITEMS + 1)
    ]  # fmt: skip
    scores = [
        (n, f"Person_{u}", i, "more pics \n\nGood.", r, "{'Overall': '8', 'Story': '8'}", "https://x")
        for n, (u, i, r, _) in enumerate(ratings(1, 10))
    ]
    profiles = [(f"Person_{u}", "Male", "", "['1']", "https://x") for u in range(1, N_USERS + 1)]
    return {
        "animes.csv": _csv(header, rows).encode(),
        "reviews.csv": _csv(("uid", "profile", "anime_uid", "text", "score", "scores", "link"), scores).encode(),
        "profiles.csv": _csv(("profile", "gender", "birthday", "favorites_anime", "link"), profiles).encode(),
    }


def goodbooks_10k() -> dict[str, bytes]:
    header = [
        "book_id",
        "goodreads_book_id",
        "best_book_id",
        "work_id",
        "books_count",
        "isbn",
        "isbn13",
        "authors",
        "original_publication_year",
        "original_title",
        "title",
        "language_code",
        "average_rating",
        "ratings_count",
        "work_ratings_count",
        "work_text_reviews_count",
        "ratings_1",
        "ratings_2",
        "ratings_3",
        "ratings_4",
        "ratings_5",
        "image_url",
        "small_image_url",
    ]
    rows = [
        (
            item, 5000 + item, 5000 + item, 9, 272, "439023483", "9.78E+12", "Ann Author, Bo Writer",
            float(1950 + item), f"Book {item}", f"Book {item} (Series, #1)", "eng", 4.34, 4780653, 4942365, 155254,
            1, 2, 3, 4, 5, f"https://images.gr-assets.com/books/{item}m.jpg", "https://images.gr-assets.com/s.jpg",
        )
        for item in range(1, N_ITEMS + 1)
    ]  # fmt: skip
    tags = ["to-read", "favorites", "fantasy", "science-fiction", "classics", "romance", "owned"]
    counts = [
        (5000 + item, tag, count)
        for item in range(1, N_ITEMS + 1)
        for tag, count in ((0, 90_000), (1, 9_000), (2 + item % 4, 5_000), (2 + (item + 1) % 4, 700), (6, 600))
    ]
    return {
        "books.csv": _csv(header, rows).encode(),
        "ratings.csv": _csv(("user_id", "book_id", "rating"), [row[:3] for row in ratings(1, 5)]).encode(),
        "to_read.csv": b"user_id,book_id\n9,8\n15,3\n",
        "tags.csv": _csv(("tag_id", "tag_name"), list(enumerate(tags))).encode(),
        "book_tags.csv": _csv(("goodreads_book_id", "tag_id", "count"), counts).encode(),
    }


def book_crossing() -> dict[str, bytes]:
    books = [
        (
            f"03456{item:04d}X", f"Über Buch {item}", "Jörg Autor", 1980 + item, "Ullstein",
            *(f"http://images.amazon.com/{size}{item}.jpg" for size in "SML"),
        )
        for item in range(1, N_ITEMS + 1)
    ]  # fmt: skip
    rows = [(276_000 + u, f"03456{i:04d}X", 0 if (u + i + r) % 5 < 3 else r) for u, i, r, _ in ratings(1, 10)]
    header = (
        "ISBN", "Book-Title", "Book-Author", "Year-Of-Publication", "Publisher", "Image-URL-S", "Image-URL-M",
        "Image-URL-L",
    )  # fmt: skip
    return {
        "BX-Books.csv": _csv(header, books, ";", csv.QUOTE_ALL).encode("latin-1"),
        "BX-Book-Ratings.csv": _csv(("User-ID", "ISBN", "Book-Rating"), rows, ";", csv.QUOTE_ALL).encode("latin-1"),
        "BX-Users.csv": '"User-ID";"Location";"Age"\n"276001";"münchen, germany";NULL\n'.encode("latin-1"),
    }


PUBLIC: dict[str, Callable[[], dict[str, bytes]]] = {
    "ml-100k": ml_100k,
    "ml-1m": ml_1m,
    "ml-10m": ml_10m,
    "movielens-20m-dataset": movielens_20m_dataset,
    "anime-dataset-2023": anime_dataset_2023,
    "myanimelist-dataset-animes-profiles-reviews": myanimelist_reviews,
    "goodbooks-10k": goodbooks_10k,
    "book-crossing": book_crossing,
}


def write_archive(folder: Path, dataset_id: str, name: str | None = None) -> Path:
    """Write a small archive of a public dataset, named as in a mirror unless another name is given."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name or dataset_id}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in PUBLIC[dataset_id]().items():
            archive.writestr(member, content)
    return path
