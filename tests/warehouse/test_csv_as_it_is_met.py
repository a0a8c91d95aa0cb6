"""CSV files as programs and people write them: read right, or refused in one line with a cure that is true."""

import csv
import datetime as dt
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from handmade import MOVIES, RATINGS_HEADER, build, rows

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.archive import BadArchiveError, examine
from recsys_dagster.ingest.csv_dialect import MAX_COLUMNS
from recsys_dagster.ingest.formats import FORMATS
from recsys_dagster.warehouse.build import reconcile

T = 1_000_000_000
TIME = dt.datetime(2001, 9, 9, 1, 46, 40)
LINES = [f"{user},{item},{3.5 if item % 2 else 4},{T}" for user in (1, 2) for item in (1, 2, 3)]
PLAIN = RATINGS_HEADER + "".join(f"{line}\n" for line in LINES)
EXPECTED = [(user, item, 3.5 if item % 2 else 4.0, TIME) for user in (1, 2) for item in (1, 2, 3)]
RATINGS = "SELECT user_id, item_id, rating, rated_at FROM clean.ratings ORDER BY ALL"


def quote_all(text: str) -> str:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(csv.reader(io.StringIO(text)))
    return out.getvalue()


def mixed_line_ends(text: str) -> str:
    lines = text.splitlines()
    return "".join(line + ("\r\n" if number % 2 else "\n") for number, line in enumerate(lines))


def semicolons(text: str) -> str:
    return text.replace(",", ";").replace(".", ",")


def tabs(text: str) -> str:
    return text.replace(",", "\t")


WRITERS: dict[str, Callable[[str], str | bytes]] = {
    "plain": lambda text: text,
    "every field quoted": quote_all,
    "byte order mark": lambda text: text.encode("utf-8-sig"),
    "LF and CRLF mixed": mixed_line_ends,
    "CRLF, then LF": lambda text: text.replace("\n", "\r\n", 3),
    "LF, then CRLF late in the file": lambda text: text[:-1] + "\r\n",
    "CR alone": lambda text: text.replace("\n", "\r"),
    "semicolons and decimal commas": semicolons,
    "tabs": tabs,
    "no line end after the last row": lambda text: text[:-1],
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_the_same_table_is_read_however_it_is_written(tmp_path: Path, write: Callable[[str], str | bytes]) -> None:
    warehouse = build(tmp_path, "movielens", {"movies.csv": write(MOVIES), "ratings.csv": write(PLAIN)})
    assert rows(warehouse, RATINGS) == EXPECTED
    assert rows(warehouse, "SELECT title, year, genres FROM clean.items ORDER BY item_id") == [
        ("Heat", 1995, ["Action", "Crime"]),
        ("Alien", 1979, ["Horror", "Sci-Fi"]),
        ("Big", 1988, ["Comedy"]),
    ]
    assert [account.rejected for account in reconcile(warehouse)] == [{}, {}]


@pytest.mark.parametrize("write", [WRITERS[name] for name in ("plain", "LF and CRLF mixed", "CR alone", "tabs")])
def test_rejected_rows_have_their_line_however_the_file_is_written(
    tmp_path: Path, write: Callable[[str], str | bytes]
) -> None:
    text = PLAIN + f"\n1,99,4,{T}\n\n\nx,1,4,{T}\n1,1\n"
    warehouse = build(tmp_path, "movielens", {"movies.csv": MOVIES, "ratings.csv": write(text)})
    assert rows(warehouse, "SELECT line, reason FROM clean.rejected ORDER BY line") == [
        (9, "unknown item"),
        (12, "unparsable"),
        (13, "unparsable"),
    ]


@pytest.mark.parametrize(
    ("written", "unit"),
    [
        (str(T), "s"),
        (f"{T}000", "ms"),
        (f"{T}000000", "µs"),
        (f"{T}000000000", "ns"),
        (f"{T}.0", "s as pandas writes it"),
    ],
)
def test_numbers_are_told_apart_by_their_size(tmp_path: Path, written: str, unit: str) -> None:
    warehouse = build(tmp_path, "movielens", {"movies.csv": MOVIES, "ratings.csv": PLAIN.replace(str(T), written)})
    assert rows(warehouse, "SELECT DISTINCT rated_at FROM clean.ratings") == [(TIME,)], unit


@pytest.mark.parametrize(
    "written",
    ["2001-09-09 01:46:40", "2001-09-09T01:46:40Z", "2001-09-09T03:46:40+02:00", "2001-09-09 01:46:40.000 UTC"],
)
def test_times_may_be_text_in_any_zone(tmp_path: Path, written: str) -> None:
    warehouse = build(tmp_path, "movielens", {"movies.csv": MOVIES, "ratings.csv": PLAIN.replace(str(T), written)})
    assert rows(warehouse, "SELECT DISTINCT rated_at FROM clean.ratings") == [(TIME,)]


def test_a_time_that_cannot_be_read_is_counted_and_the_rating_is_kept(tmp_path: Path) -> None:
    text = PLAIN.replace(str(T), "yesterday", 2).replace(str(T), "-5", 1).replace(str(T), "0", 1)
    warehouse = build(tmp_path, "movielens", {"movies.csv": MOVIES, "ratings.csv": text})
    assert rows(warehouse, "SELECT count(*), count(rated_at) FROM clean.ratings") == [(6, 2)]
    ((times, lost, example),) = rows(
        warehouse, "SELECT times, times_lost, lost_time FROM clean.source_files WHERE source_file = 'ratings.csv'"
    )
    assert (times, lost) == (5, 3), "0 is no time, and none is lost"
    assert example in ("yesterday", "-5")


def test_without_a_column_of_times_the_ratings_have_none(tmp_path: Path) -> None:
    text = "".join(line.rpartition(",")[0] + "\n" for line in PLAIN.splitlines())
    warehouse = build(tmp_path, "movielens", {"movies.csv": MOVIES, "ratings.csv": text})
    assert rows(warehouse, RATINGS) == [(*row[:3], None) for row in EXPECTED]


def test_ids_as_decimals_are_whole_numbers_and_a_fraction_is_rejected_and_never_rounded(tmp_path: Path) -> None:
    movies = MOVIES.replace("\n1,", "\n1.0,").replace("\n2,", "\n2.,").replace("\n3,", "\n3.5,")
    text = RATINGS_HEADER + f"1.0,1.0,4,{T}\n1.5,1,4,{T}\n1,1.5,4,{T}\n2,2.00,4,{T}\n2,3,4,{T}\n"
    warehouse = build(tmp_path, "movielens", {"movies.csv": movies, "ratings.csv": text})
    assert rows(warehouse, "SELECT user_id, item_id FROM clean.ratings ORDER BY ALL") == [(1, 1), (2, 2)]
    assert rows(warehouse, "SELECT source_file, line, reason, raw FROM clean.rejected ORDER BY ALL") == [
        ("movies.csv", 4, "unparsable", "3.5,Big (1988),Comedy"),
        ("ratings.csv", 3, "unparsable", f"1.5,1,4,{T}"),
        ("ratings.csv", 4, "unparsable", f"1,1.5,4,{T}"),
        ("ratings.csv", 6, "unknown item", f"2,3,4.0,{T}"),
    ]


def test_ids_may_be_any_64_bit_integer(tmp_path: Path) -> None:
    users = [-(2**63), -1, 0, 2**31, 2**53 + 1, 2**63 - 1]
    items = [-5, 2**31 + 1, 2**53 + 1]
    movies = "movieId,title,genres\n" + "".join(f"{item},Film,Drama\n" for item in items)
    text = RATINGS_HEADER + "".join(f"{user},{item},4,0\n" for user in users for item in items)
    text += f"{2**63},{items[0]},4,0\n"
    warehouse = build(tmp_path, "movielens", {"movies.csv": movies, "ratings.csv": text}, features=True)
    assert rows(warehouse, "SELECT user_id, item_id FROM clean.ratings ORDER BY ALL") == [
        (user, item) for user in users for item in items
    ]
    assert rows(warehouse, "SELECT line, reason FROM clean.rejected") == [(len(users) * len(items) + 2, "unparsable")]
    assert rows(warehouse, "SELECT count(*) FROM features.interactions") == [(18,)]


def test_a_field_of_any_length_below_a_line_s_limit_is_read(tmp_path: Path) -> None:
    movies = MOVIES + f'\n4,"{"x" * 200_000}",Drama\n\n5,"a\nb",Drama\n'
    warehouse = build(tmp_path, "movielens", {"movies.csv": movies, "ratings.csv": PLAIN + f"1,9,4,{T}\n"})
    assert rows(warehouse, "SELECT max(length(title)), count(*) FROM clean.items") == [(200_000, 5)]


def test_genres_that_differ_in_case_or_blanks_are_one_as_most_items_spell_it(tmp_path: Path) -> None:
    genres = ["Action | Sci-Fi", "action|ACTION", "Action|sci-fi|Film Noir", "Unknown|Film  noir", "n/a", "Film Noir"]
    movies = "movieId,title,genres\n" + "".join(f"{n},Film,{names}\n" for n, names in enumerate(genres, start=1))
    warehouse = build(tmp_path, "movielens", {"movies.csv": movies, "ratings.csv": PLAIN}, features=True)
    assert rows(warehouse, "SELECT genres FROM clean.items ORDER BY item_id") == [
        (["Action", "Sci-Fi"],),
        (["Action"],),
        (["Action", "Sci-Fi", "Film Noir"],),
        (["Film Noir"],),
        (None,),
        (["Film Noir"],),
    ]
    assert rows(warehouse, "SELECT DISTINCT genre FROM features.item_genres ORDER BY 1") == [
        ("Action",),
        ("Film Noir",),
        ("Sci-Fi",),
    ]


def test_a_blank_title_is_unknown(tmp_path: Path) -> None:
    movies = "movieId,title,genres\n1,,Drama\n2,  ,Drama\n3,Unknown (2011),Drama\n"
    warehouse = build(tmp_path, "movielens", {"movies.csv": movies, "ratings.csv": PLAIN})
    assert rows(warehouse, "SELECT title FROM clean.items ORDER BY item_id") == [(None,), (None,), ("Unknown",)]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            "userId,movieId,rating,rating",
            "ratings.csv names the column rating 2 times in its header; rename or remove all but one",
        ),
        (
            ",".join(["userId,movieId,rating", *(f"x{n}" for n in range(MAX_COLUMNS))]),
            "ratings.csv has 1,003 columns, and at most 1,000 can be read; keep those that are needed",
        ),
    ],
)
def test_a_header_that_cannot_be_used_is_refused_in_one_line(header: str, message: str) -> None:
    source = FORMATS["movielens"].file("ratings.csv")
    with pytest.raises(BadArchiveError) as caught:
        examine([f"{header}\n1,1,4,4\n".encode()], Path("ratings.csv"), source, "ml.zip")
    assert str(caught.value).startswith(f"ml.zip: {message}")
    assert "\n" not in str(caught.value)


def test_lines_that_end_with_cr_are_counted() -> None:
    source = FORMATS["movielens"].file("ratings.csv")
    blocks = [PLAIN.replace("\n", "\r").encode()]
    assert examine(blocks, Path("ratings.csv"), source, "ml.zip").lines == 7


BOUNDED = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from handmade import MOVIES, RATINGS_HEADER, build_large
from recsys_dagster.errors import RecsysError
try:
    build_large(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
except RecsysError as error:
    print(error)
print(int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024)
"""


@pytest.mark.parametrize(
    ("line", "ends"),
    [
        ("", False),
        ("x,y,z,never", False),
        ("1,1,4,yesterday", False),
        ("1,1", True),
    ],
    ids=["blank lines", "values that cannot be read", "times that cannot be read", "rows without all fields"],
)
def test_memory_is_bounded_whatever_is_in_a_file(tmp_path: Path, line: str, ends: bool) -> None:
    command = [sys.executable, "-c", BOUNDED, str(Path(__file__).parents[1]), str(tmp_path), line, "3000000"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stderr
    *message, peak = done.stdout.splitlines()
    assert int(peak) < 1000, "megabytes"
    assert bool(message) == ends
    if ends:
        assert "100 % of 3,000,001 rows cannot be divided into fields (at most 5 % may be rejected" in message[0]
        assert "such as line 2: `1,1`; mend the file or fetch it again" in message[0]


def test_a_quoted_field_that_is_never_closed_is_still_named(tmp_path: Path) -> None:
    movies = MOVIES + '4,"Open,Drama\n' + "".join(f"{n},Film,Drama\n" for n in range(5, 50))
    with pytest.raises(RecsysError, match=r"movies\.csv, line 5: a quoted field is never closed"):
        build(tmp_path, "movielens", {"movies.csv": movies, "ratings.csv": PLAIN})
