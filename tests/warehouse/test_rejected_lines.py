"""Every line that does not make it is in clean.rejected, with its line and the reason."""

from pathlib import Path

import pytest
from handmade import MOVIES, RATINGS_HEADER, build, rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys_dagster.errors import RecsysError
from recsys_dagster.warehouse import file_loading
from recsys_dagster.warehouse.build import reconcile
from recsys_dagster.warehouse.database import pseudonym

REJECTED = "SELECT source_file, line, reason, raw FROM clean.rejected ORDER BY source_file, line"
LINES = [
    "1,1,4.0,1000000000",
    "x,1,4.0,1000000000",  # 3
    "1,9,4.0,1000000000",  # 4
    "1,2,5.5,1000000000",  # 5
    "1,3,0.0,1000000000",  # 6
    "1,1,2.0,1000000001",  # 7: later than line 2
    "1,2,3.0",  # 8
    "1,2,3.0,1000000000,7",  # 9
    "2,1,,1000000000",  # 10
    ",1,3.0,1000000000",  # 11
    "2,2,3.0,1000000000",  # 12
    "2,2,3.5,1000000000",  # 13: as late as line 12, and after it
    "2,3,nan,1000000000",  # 14
    '2,1,"4.0,1000000000',  # 15
    "2,1,4.0,1000000000",
]
EXPECTED = [
    ("ratings.csv", 2, "duplicate", "1,1,4.0,1000000000"),
    ("ratings.csv", 3, "unparsable", "x,1,4.0,1000000000"),
    ("ratings.csv", 4, "unknown item", "1,9,4.0,1000000000"),
    ("ratings.csv", 5, "out of scale", "1,2,5.5,1000000000"),
    ("ratings.csv", 6, "out of scale", "1,3,0.0,1000000000"),
    ("ratings.csv", 8, "unparsable", "1,2,3.0"),
    ("ratings.csv", 9, "unparsable", "1,2,3.0,1000000000,7"),
    ("ratings.csv", 10, "unparsable", "2,1,,1000000000"),
    ("ratings.csv", 11, "unparsable", ",1,3.0,1000000000"),
    ("ratings.csv", 12, "duplicate", "2,2,3.0,1000000000"),
    ("ratings.csv", 14, "out of scale", "2,3,nan,1000000000"),
    ("ratings.csv", 15, "unparsable", '2,1,"4.0,1000000000'),
]
KEPT = [(1, 1, 2.0), (2, 1, 4.0), (2, 2, 3.5)]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("last", ["", "end"])
def test_each_reason_names_the_line_it_is_on(tmp_path: Path, newline: str, last: str) -> None:
    text = (RATINGS_HEADER + "\n".join(LINES) + ("\n" if last else "")).replace("\n", newline)
    warehouse = build(tmp_path, "movielens", {"movies.csv": MOVIES.replace("\n", newline), "ratings.csv": text})
    assert rows(warehouse, REJECTED) == EXPECTED
    assert rows(warehouse, "SELECT user_id, item_id, rating FROM clean.ratings ORDER BY ALL") == KEPT
    movies, ratings = reconcile(warehouse)
    assert (movies.rows_in, movies.kept, movies.rejected) == (3, 3, {})
    assert (ratings.rows_in, ratings.kept) == (15, 3)
    assert ratings.rejected == {"duplicate": 2, "out of scale": 3, "unknown item": 1, "unparsable": 6}


def test_a_file_with_more_lines_than_may_be_unparsable_gives_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_loading, "MAX_UNPARSABLE", 4)
    text = RATINGS_HEADER + "\n".join(LINES) + "\n"
    warehouse = build(tmp_path, "movielens", {"movies.csv": MOVIES, "ratings.csv": text})
    assert rows(warehouse, REJECTED) == EXPECTED
    monkeypatch.setattr(file_loading, "MAX_UNPARSABLE", 1)
    with pytest.raises(RecsysError, match=r"ratings\.csv: 13\.3 % of 15 rows cannot be divided .* line 8: `1,2,3\.0`"):
        build(tmp_path, "movielens", {"movies.csv": MOVIES, "ratings.csv": text})


def test_blank_lines_are_no_rows_but_count_as_lines(tmp_path: Path) -> None:
    text = RATINGS_HEADER + "1,1,4,1\n\n\nx,1,4,1\n\n1,9,4,1\n\n1,2,9,1\n\n"
    warehouse = build(tmp_path, "movielens", {"movies.csv": MOVIES, "ratings.csv": text})
    assert [(line, reason) for _, line, reason, _ in rows(warehouse, REJECTED)] == [
        (5, "unparsable"),
        (7, "unknown item"),
        (9, "out of scale"),
    ]
    assert reconcile(warehouse)[1].rows_in == 4


def test_line_breaks_inside_fields_and_wide_rows_keep_the_lines_right(tmp_path: Path) -> None:
    movies = (
        "movieId,title,genres\n"
        '1,"Two\nlines",Drama\n'  # 2 and 3
        "one,No number,Drama\n"  # 4
        '2,"Three\n\nlines",Drama,too,wide\n'  # 5 to 7
        "1.5,Half a number,Drama\n"  # 8
        "3,First,Drama\n"  # 9
        '4,"A\nB",Drama\n'  # 10 and 11
        "3,Last,Drama\n"  # 12
        "9999999999999999999,Too large,Drama\n"  # 13
    )
    warehouse = build(tmp_path, "movielens", {"movies.csv": movies, "ratings.csv": RATINGS_HEADER + "1,3,4,1\n"})
    assert [(line, reason) for _, line, reason, _ in rows(warehouse, REJECTED)] == [
        (4, "unparsable"),
        (5, "unparsable"),
        (8, "unparsable"),
        (9, "duplicate"),
        (13, "unparsable"),
    ]
    titles = rows(warehouse, "SELECT item_id, title FROM clean.items ORDER BY 1")
    assert titles == [(1, "Two\nlines"), (3, "Last"), (4, "A\nB")]
    account = reconcile(warehouse)[0]
    assert account.rows_in == account.kept + sum(account.rejected.values()) == 8


def test_a_field_that_is_never_closed_is_an_error_that_names_file_and_line(tmp_path: Path) -> None:
    movies = 'movieId,title,genres\n1,"Heat",Crime\n2,"Alien,Horror\n3,Big,Comedy\n'
    with pytest.raises(RecsysError, match=r"movies\.csv, line 3: a quoted field is never closed"):
        build(tmp_path, "movielens", {"movies.csv": movies, "ratings.csv": RATINGS_HEADER + "1,1,4,1\n"})


def test_an_unknown_user_is_rejected_and_no_name_is_stored_anywhere(tmp_path: Path) -> None:
    header = "username,anime_id,my_watched_episodes,my_score,my_status,my_last_updated\n"
    lists = (
        "Ainsley,1,26,9,2,1363000000\n"  # 2
        "Brunhild,1,26,9,2,1363000000\n"  # 3
        "Ainsley,one,26,9,2,1363000000\n"  # 4
        "Ainsley,7,26,9,2,1363000000\n"  # 5
        "Ainsley,1,26,11,2,1363000000\n"  # 6
        ",1,26,9,2,1363000000\n"  # 7
    )
    titles = (
        "anime_id,title,title_english,type,episodes,aired_string,aired_from_year,rating,score,members,genre\n"
        "1,Trigun,,TV,26,1998,1998.0,,8.2,5,Action\n"
    )
    files = {
        "anime_cleaned.csv": titles,
        "users_cleaned.csv": "username\nAinsley\n",
        "animelists_cleaned.csv": header + lists,
    }
    warehouse = build(tmp_path, "myanimelist", files, features=True)
    assert rows(warehouse, REJECTED) == [
        ("animelists_cleaned.csv", 3, "unknown user", "1,26,9.0,2,1363000000"),
        ("animelists_cleaned.csv", 4, "unparsable", None),
        ("animelists_cleaned.csv", 5, "unknown item", "7,26,9.0,2,1363000000"),
        ("animelists_cleaned.csv", 6, "out of scale", "1,26,11.0,2,1363000000"),
        ("animelists_cleaned.csv", 7, "unparsable", "1,26,9.0,2,1363000000"),
    ]
    with warehouse.connect() as connection:
        tables = connection.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()
        text = " ".join(
            str(connection.execute(f"SELECT * FROM {schema}.{table}").fetchall()) for schema, table in tables
        )
    assert "Trigun" in text
    assert "Ainsley" not in text
    assert "Brunhild" not in text
    assert b"Ainsley" not in warehouse.path.read_bytes()


def test_a_user_keeps_the_pseudonym_in_every_build(tmp_path: Path) -> None:
    lists = (
        "username,anime_id,my_watched_episodes,my_score,my_status,my_last_updated\nAda,1,26,9,2,0\n{}ada,1,2,9,2,0\n"
    )
    titles = (
        "anime_id,title,title_english,type,episodes,aired_string,aired_from_year,rating,score,members,genre\n"
        "1,Trigun,,TV,26,1998,1998.0,,8.2,5,Action\n"
    )
    for more in ("", "Bo,1,26,9,2,0\n"):
        files = {
            "anime_cleaned.csv": titles,
            "users_cleaned.csv": "username\nAda\nada\nBo\n",
            "animelists_cleaned.csv": lists.format(more),
        }
        users = rows(build(tmp_path, "myanimelist", files), "SELECT user_id FROM clean.ratings")
        key = bytes.fromhex((tmp_path / "warehouse" / "pseudonym.key").read_text())
        assert users[0] == (pseudonym("Ada", key),)
        assert len(set(users)) == len(users) == 2 + bool(more)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["1", "2", "x", ""]),
            st.sampled_from(["1", "2", "3", "4"]),
            st.sampled_from(["0.5", "5", "6", "-1", ""]),
            st.sampled_from(["1000000000", "1000000001", "0"]),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_what_comes_in_is_kept_or_rejected_whatever_it_is(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[str, str, str, str]]
) -> None:
    text = RATINGS_HEADER + "".join(",".join(line) + "\n" for line in lines)
    warehouse = build(tmp_path_factory.mktemp("any"), "movielens", {"movies.csv": MOVIES, "ratings.csv": text})
    account = reconcile(warehouse)[1]
    assert account.rows_in == len(lines) == account.kept + sum(account.rejected.values())
    # Worked out anew: of the good lines of a pair the latest counts, else the last.
    best: dict[tuple[int, int], tuple[int, int]] = {}
    for number, (user, item, rating, time) in enumerate(lines, start=2):
        if user in ("1", "2") and item in ("1", "2", "3") and rating in ("0.5", "5"):
            pair = int(user), int(item)
            best[pair] = max(best.get(pair, (-1, 0)), (int(time), number))
    kept = {number for _, number in best.values()}
    assert {line for _, line, _, _ in rows(warehouse, REJECTED)} == set(range(2, len(lines) + 2)) - kept
    expected = sorted((*pair, float(lines[number - 2][2])) for pair, (_, number) in best.items())
    assert rows(warehouse, "SELECT user_id, item_id, rating FROM clean.ratings ORDER BY ALL") == expected
