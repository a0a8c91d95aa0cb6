"""Declared datasets are read from files of every type, with ids, times and scales of any kind."""

import bz2
import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from declared_data import built, declare, fetched, warehouse_of, write
from handmade import rows

from recsys_dagster.errors import RecsysError

COLUMNS = {"user": "customer", "item": "sku", "rating": "stars", "time": "created_at"}
SCALE = {"scale": [1, 5]}
TABLE = [
    ("ann@example.org", "A-1", 5, "2026-01-02T10:00:00+02:00"),
    ("bob", "B/2", 3, "2026-01-03"),
    ("bob", "A-1", 4.5, "2026-01-04 12:30:00"),
]
HEADER = "customer,sku,stars,created_at\n"
TEXT = HEADER + "".join(",".join(map(str, row)) + "\n" for row in TABLE)
READ = """
SELECT users.source_id, items.source_id, rating, rated_at::VARCHAR FROM clean.ratings
JOIN clean.users USING (user_id) JOIN clean.items USING (item_id) ORDER BY rated_at
"""
EXPECTED = [
    ("ann@example.org", "A-1", 5.0, "2026-01-02 08:00:00"),
    ("bob", "B/2", 3.0, "2026-01-03 00:00:00"),
    ("bob", "A-1", 4.5, "2026-01-04 12:30:00"),
]
REJECTED = "SELECT source_file, line, reason, raw FROM clean.rejected ORDER BY source_file, line"


def json_lines(table: list[tuple[Any, ...]]) -> str:
    names = list(COLUMNS.values())
    return "".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in table)


def json_array(table: list[tuple[Any, ...]]) -> str:
    return json.dumps([json.loads(line) for line in json_lines(table).splitlines()], indent=2)


def parquet(table: dict[str, list[Any]]) -> bytes:
    target = io.BytesIO()
    pq.write_table(pa.table(table), target)
    return target.getvalue()


def zstd(text: str) -> bytes:
    target = pa.BufferOutputStream()
    with pa.CompressedOutputStream(target, "zstd") as stream:
        stream.write(text.encode())
    return bytes(target.getvalue())


def zipped(members: dict[str, str]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target.getvalue()


def of_lines(*numbers: int) -> str:
    lines = TEXT.splitlines(keepends=True)
    return HEADER + "".join(lines[number] for number in numbers)


COLUMNWISE = dict(zip(COLUMNS.values(), (list(column) for column in zip(*TABLE, strict=True)), strict=True))


@pytest.mark.parametrize(
    ("files", "named", "more"),
    [
        ({"orders.csv": TEXT}, "orders.csv", {}),
        ({"orders.csv": "\ufeff" + TEXT.replace("\n", "\r\n")}, "orders.csv", {}),
        ({"orders.csv": TEXT.replace("\n", "\r")}, "orders.csv", {}),
        ({"orders.tsv": TEXT.replace(",", "\t")}, "orders.tsv", {}),
        ({"orders.csv": TEXT.replace(",", ";").replace("4.5", "4,5")}, "orders.csv", {}),
        ({"orders.dat": TEXT.replace(",", "::")}, "orders.dat", {"delimiter": "::"}),
        ({"orders.dat": TEXT.removeprefix(HEADER).replace(",", "::")}, "orders.dat", {"delimiter": "::", "columns": 4}),
        ({"u.data": TEXT.removeprefix(HEADER).replace(",", "\t")}, "u.data", {"columns": 4}),
        ({"orders.csv": TEXT.encode("utf-16")}, "orders.csv", {"encoding": "utf-16"}),
        ({"orders.jsonl": json_lines(TABLE)}, "orders.jsonl", {}),
        ({"orders.json": json_array(TABLE)}, "orders.json", {}),
        ({"orders.json.gz": gzip.compress(json_array(TABLE).encode())}, "orders.json.gz", {"format": "jsonl"}),
        ({"orders.parquet": parquet(COLUMNWISE)}, "orders.parquet", {}),
        ({"orders.csv.gz": gzip.compress(TEXT.encode())}, "orders.csv.gz", {}),
        ({"orders.csv.bz2": bz2.compress(TEXT.encode())}, "orders.csv.bz2", {}),
        ({"orders.csv.zst": zstd(TEXT)}, "orders.csv.zst", {}),
        ({"orders.jsonl.zst": zstd(json_lines(TABLE))}, "orders.jsonl.zst", {}),
        ({"all.zip": zipped({"a/1.csv": of_lines(1), "a/2.csv": of_lines(2, 3)})}, "all.zip", {}),
        ({"orders/1.csv": of_lines(1), "orders/b/2.csv": of_lines(2, 3), "orders/README.md": "no"}, "orders", {}),
        (
            {"orders/1.csv": of_lines(1), "orders/2.jsonl": json_lines(TABLE[1:]), "orders/x.txt": "?"},
            "orders/[12].*",
            {},
        ),
        (
            {"1.csv": of_lines(1), "2.parquet": parquet({k: v[1:] for k, v in COLUMNWISE.items()})},
            ["1.csv", "2.parquet"],
            {},
        ),
    ],
)
def test_a_table_is_the_same_whatever_its_type(
    tmp_path: Path, files: dict[str, str | bytes], named: str | list[str], more: dict[str, Any]
) -> None:
    write(tmp_path, files)
    if "columns" in more:
        more = more | {"columns": list(COLUMNS.values())}
    declare(tmp_path, {"ratings": SCALE, "interactions": {"files": named, **COLUMNS, **more}})
    warehouse = built(tmp_path)
    assert rows(warehouse, READ) == EXPECTED
    assert rows(warehouse, REJECTED) == []


BAD = [
    ("ann", "A-1", 5, 1767348000),
    ("bob", "A-1", "good", 1767348000),
    ("bob", "A-1", 9, 1767348000),
    ("", "A-1", 4, 1767348000),
    ("bob", "B-2", 3, 1767348000),
    ("bob", "B-2", 4, 1767348001),
]
BAD_TEXT = HEADER + "".join(",".join(map(str, row)) + "\n" for row in BAD)


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("blank", [0, 2])
def test_each_rejected_row_of_a_text_file_names_its_line(tmp_path: Path, header: bool, blank: int) -> None:
    text = (BAD_TEXT if header else BAD_TEXT.removeprefix(HEADER)) + "\n" * blank + "cut\nann,B-2,77,1767348000\n"
    write(tmp_path, {"orders.csv": text})
    columns = {} if header else {"columns": list(COLUMNS.values())}
    declare(tmp_path, {"ratings": SCALE, "interactions": {"files": "orders.csv", **COLUMNS, **columns}})
    first = 2 if header else 1
    assert [row[1:] for row in rows(built(tmp_path), REJECTED)] == [
        (first + 1, "unparsable", "bob,A-1,good,1767348000"),
        (first + 2, "out of scale", "bob,A-1,9.0,1767348000"),
        (first + 3, "unparsable", ",A-1,4.0,1767348000"),
        (first + 4, "duplicate", "bob,B-2,3.0,1767348000"),
        (first + 6 + blank, "unparsable", "cut"),
        (first + 7 + blank, "out of scale", "ann,B-2,77.0,1767348000"),
    ]


def test_each_rejected_row_of_json_lines_names_its_line(tmp_path: Path) -> None:
    lines = json_lines(BAD).splitlines(keepends=True)
    lines[1:1] = ["{broken\n", "\n"]
    write(tmp_path, {"orders.jsonl": "".join(lines)})
    declare(tmp_path, {"ratings": SCALE, "interactions": {"files": "orders.jsonl", **COLUMNS}})
    rejected = rows(built(tmp_path), REJECTED)
    assert [(line, reason) for _, line, reason, _ in rejected] == [
        (2, "unparsable"),
        (4, "unparsable"),
        (5, "out of scale"),
        (6, "unparsable"),
        (7, "duplicate"),
    ]
    assert rejected[0][3] == "{broken"
    assert json.loads(rejected[1][3])["stars"] == "good"


def test_each_rejected_row_of_a_parquet_file_names_its_number(tmp_path: Path) -> None:
    columns = {
        name: [str(value) for value in column]
        for name, column in zip(COLUMNS.values(), zip(*BAD, strict=True), strict=True)
    }
    columns["customer"][3] = None
    write(tmp_path, {"orders.parquet": parquet(columns)})
    declare(tmp_path, {"ratings": SCALE, "interactions": {"files": "orders.parquet", **COLUMNS}})
    assert [(line, reason) for _, line, reason, _ in rows(built(tmp_path), REJECTED)] == [
        (2, "unparsable"),
        (3, "out of scale"),
        (4, "unparsable"),
        (5, "duplicate"),
    ]


def ids_of(tmp_path: Path, table: str, **more: Any) -> tuple[Any, ...]:
    """What the ids of a table of users and items are, and the ids that the clean tables have."""
    write(tmp_path, {"orders.csv": "customer,sku\n" + table})
    declare(
        tmp_path,
        {"ratings": "implicit", "interactions": {"files": "orders.csv", "user": "customer", "item": "sku", **more}},
    )
    warehouse = built(tmp_path)
    (types,) = rows(warehouse, "SELECT user_ids, item_ids FROM clean.origin")
    users = rows(
        warehouse,
        "SELECT DISTINCT coalesce(source_id, user_id::VARCHAR) FROM clean.interactions"
        " LEFT JOIN clean.users USING (user_id) ORDER BY 1",
    )
    return (*types, [user for (user,) in users])


@pytest.mark.parametrize(
    ("users", "kind", "expected"),
    [
        (["1", "9223372036854775807", "-5"], "integer", ["-5", "1", "9223372036854775807"]),
        (["1", "2.0"], "integer", ["1", "2"]),
        (["1", "007"], "text", ["007", "1"]),
        (["1", "9223372036854775808"], "text", ["1", "9223372036854775808"]),
        (["1", "1.5"], "text", ["1", "1.5"]),
        (["6f1c2f2e-7a51-4a57-9b4e-5f7a6e1d2c3b", "1"], "text", ["1", "6f1c2f2e-7a51-4a57-9b4e-5f7a6e1d2c3b"]),
    ],
)
def test_ids_are_integers_only_where_all_are_written_as_integers(
    tmp_path: Path, users: list[str], kind: str, expected: list[str]
) -> None:
    table = "".join(f"{user},7\n" for user in users)
    assert ids_of(tmp_path, table) == (kind, "integer", expected)


def test_a_late_id_that_is_no_number_makes_all_ids_texts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = "".join(f"{number},7\n" for number in range(3000)) + "last,7\n"
    kind, _, users = ids_of(tmp_path, table)
    assert (kind, len(users), "last" in users, "2999" in users) == ("text", 3001, True, True)
    assert "such as 'last'; if these are mistakes, say `user_ids: integer`" in capsys.readouterr().err
    kind, _, users = ids_of(tmp_path, table, user_ids="integer")
    assert (kind, len(users)) == ("integer", 3000)


def test_pseudonymised_users_leave_no_trace(tmp_path: Path) -> None:
    write(tmp_path, {"orders.csv": "customer,sku\nann@example.org,1\nbob@example.org,1\nbroken\n"})
    declare(
        tmp_path,
        {
            "ratings": "implicit",
            "pseudonymise": True,
            "interactions": {"files": "orders.csv", "user": "customer", "item": "sku"},
        },
    )
    warehouse = built(tmp_path)
    assert rows(warehouse, "SELECT user_ids FROM clean.origin") == [("pseudonym",)]
    assert rows(warehouse, "SELECT count(DISTINCT user_id), count(*) FROM clean.interactions") == [(2, 2)]
    assert rows(warehouse, "SELECT * FROM clean.users") == []
    assert b"example.org" not in warehouse.path.read_bytes()


@pytest.mark.parametrize("ids", [("1", "2"), ("ann", "bob")])
def test_weights_and_repeated_rows_add_up(tmp_path: Path, ids: tuple[str, str]) -> None:
    ann, bob = ids
    write(
        tmp_path,
        {
            "1.csv": f"u,i,n,t\n{ann},7,2,2026-01-01\n{ann},7,3,2026-01-03\n{bob},7,1,2026-01-02\n",
            "2.csv": f"u,i,n,t\n{ann},7,4.5,2026-01-02\n{bob},8,0,2026-01-02\n{bob},8,,2026-01-05\n",
        },
    )
    source = {"files": ["1.csv", "2.csv"], "user": "u", "item": "i", "time": "t"}
    declare(tmp_path, {"ratings": "implicit", "interactions": source | {"weight": "n"}})
    summed = 'SELECT weight, "at"::DATE::VARCHAR FROM clean.interactions ORDER BY weight DESC, "at"'
    warehouse = built(tmp_path)
    assert rows(warehouse, summed) == [(9.5, "2026-01-03"), (1.0, "2026-01-02"), (1.0, "2026-01-05")]
    assert [row[1:3] for row in rows(warehouse, REJECTED)] == [(3, "weight not above zero")]
    declare(tmp_path, {"ratings": "implicit", "interactions": source})
    assert rows(built(tmp_path), summed) == [(3.0, "2026-01-03"), (2.0, "2026-01-05"), (1.0, "2026-01-02")]


def test_duplicates_in_several_files_are_settled_by_time_else_the_last_file_counts(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "orders/1.csv": "u,i,r,t\n1,7,5,2026-01-03\n1,8,5,\n",
            "orders/2.csv": "u,i,r,t\n1,7,1,2026-01-02\n1,8,2,\n",
        },
    )
    source = {"files": "orders", "user": "u", "item": "i", "rating": "r", "time": "t"}
    declare(tmp_path, {"ratings": SCALE, "interactions": source})
    warehouse = built(tmp_path)
    assert rows(warehouse, "SELECT item_id, rating FROM clean.ratings ORDER BY 1") == [(7, 5.0), (8, 2.0)]
    assert [row[:3] for row in rows(warehouse, REJECTED)] == [
        ("interactions/1.csv", 3, "duplicate"),
        ("interactions/2.csv", 2, "duplicate"),
    ]


def test_values_that_mean_no_rating_leave_an_interaction(tmp_path: Path) -> None:
    write(tmp_path, {"r.csv": "u,i,r\n1,7,0\n1,8,4\n1,9,-1\n2,7,\n"})
    source = {"files": "r.csv", "user": "u", "item": "i", "rating": "r", "unrated": [0, -1]}
    declare(tmp_path, {"ratings": {"scale": [1, 10]}, "interactions": source})
    warehouse = built(tmp_path)
    assert rows(warehouse, "SELECT item_id, rating FROM clean.ratings") == [(8, 4.0)]
    assert rows(warehouse, "SELECT count(*), count(*) FILTER (is_rated) FROM clean.interactions") == [(4, 1)]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-01-02", "2026-01-02 00:00:00"),
        ("2026-01-02T03:04:05Z", "2026-01-02 03:04:05"),
        ("2026-01-02T03:04:05.5-05:00", "2026-01-02 08:04:05.5"),
        ("1767323045", "2026-01-02 03:04:05"),
        ("1767323045000", "2026-01-02 03:04:05"),
        ("1767323045000000", "2026-01-02 03:04:05"),
        ("1767323045.0", "2026-01-02 03:04:05"),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_times_of_any_kind_are_read(tmp_path: Path, written: str, read: str, kind: str) -> None:
    line = f'{{"u":1,"i":2,"t":"{written}"}}\n' if kind == "jsonl" else f"u,i,t\n1,2,{written}\n"
    write(tmp_path, {f"r.{kind}": line})
    source = {"files": f"r.{kind}", "user": "u", "item": "i", "time": "t"}
    declare(tmp_path, {"ratings": "implicit", "interactions": source})
    assert rows(built(tmp_path), 'SELECT "at"::VARCHAR FROM clean.interactions') == [(read,)]


@pytest.mark.parametrize(
    ("written", "time_format", "read"),
    [
        ("31/01/2026", "day-first", "2026-01-31 00:00:00"),
        ("1/2/26", "day-first", "2026-02-01 00:00:00"),
        ("31.01.2026 12:30", "day-first", "2026-01-31 12:30:00"),
        ("31-1-2026, 9:05:06 PM", "day-first", "2026-01-31 21:05:06"),
        ("1/2/2026", "month-first", "2026-01-02 00:00:00"),
        ("20260131", "%Y%m%d", "2026-01-31 00:00:00"),
        ("Jan 31, 2026", "%b %d, %Y", "2026-01-31 00:00:00"),
        ("Sat Jan 31 12:30:00 +0200 2026", "%a %b %d %H:%M:%S %z %Y", "2026-01-31 10:30:00"),
        ("31/01/2026", "month-first", None),
        ("31/01/2026", None, None),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_times_are_read_in_the_declared_format(
    tmp_path: Path, written: str, time_format: str | None, read: str | None, kind: str
) -> None:
    line = json.dumps({"u": 1, "i": 2, "t": written}) + "\n" if kind == "jsonl" else f'u,i,t\n1,2,"{written}"\n'
    write(tmp_path, {f"r.{kind}": line})
    source = {"files": f"r.{kind}", "user": "u", "item": "i", "time": "t", "time_format": time_format}
    declare(tmp_path, {"ratings": "implicit", "interactions": source})
    warehouse = built(tmp_path)
    assert rows(warehouse, 'SELECT "at"::VARCHAR FROM clean.interactions') == [(read,)]
    lost = "SELECT times, times_lost, lost_time FROM clean.source_files WHERE source_file LIKE 'interactions/%'"
    assert rows(warehouse, lost) == [(1, 0, None) if read else (1, 1, written)]


def test_a_format_of_times_that_is_none_is_refused(tmp_path: Path) -> None:
    source = {"files": "r.csv", "user": "u", "item": "i", "time": "t", "time_format": "daily"}
    declare(tmp_path, {"ratings": "implicit", "interactions": source})
    with pytest.raises(RecsysError, match=r"interactions\.time_format: .*day-first, month-first, or a format such as"):
        built(tmp_path)


@pytest.mark.parametrize(
    ("scale", "words", "read"),
    [
        ([0, 1], ["up", "Down", "1", "meh"], [1.0, 0.0, 1.0]),
        ([-1, 1], ["like", "dislike", "0", "maybe"], [1.0, -1.0, 0.0]),
        ([0, 1], ["true", "false", "", "TRUTH"], [1.0, 0.0]),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_words_for_a_thumb_up_or_down_are_the_ends_of_the_scale(
    tmp_path: Path, scale: list[int], words: list[str], read: list[float], kind: str
) -> None:
    table = list(enumerate(words))
    lines = "".join(json.dumps({"u": 1, "i": n, "r": word}) + "\n" for n, word in table)
    write(tmp_path, {"r.jsonl": lines, "r.csv": "u,i,r\n" + "".join(f"1,{n},{word}\n" for n, word in table)})
    source = {"files": f"r.{kind}", "user": "u", "item": "i", "rating": "r"}
    declare(tmp_path, {"ratings": {"scale": scale}, "interactions": source})
    warehouse = built(tmp_path)
    assert [rating for (rating,) in rows(warehouse, "SELECT rating FROM clean.ratings ORDER BY item_id")] == read
    assert [row[1:3] for row in rows(warehouse, REJECTED)] == [(5 if kind == "csv" else 4, "unparsable")]


def test_a_query_joins_files(tmp_path: Path) -> None:
    names = "sku,name\nA,Ant\nB,Bee\n"
    write(tmp_path, {"p/names.csv": names, "p/subjects.csv.gz": gzip.compress(b"sku,subject\nA,six legs\nA,small\n")})
    write(tmp_path, {"orders.csv": "customer,sku\nann,A\nbob,B\n"})
    query = "SELECT names.*, subjects FROM names LEFT JOIN (SELECT sku, list(subject ORDER BY ALL) AS subjects FROM"
    query += " subjects GROUP BY sku) USING (sku)"
    items = {"files": "p", "query": query, "item": "sku", "title": "name", "genres": "subjects"}
    orders = {"files": "orders.csv", "user": "customer", "item": "sku"}
    declare(tmp_path, {"ratings": "implicit", "interactions": orders, "items": items})
    found = "SELECT source_id, title, genres FROM clean.items ORDER BY 1"
    assert rows(built(tmp_path), found) == [("A", "Ant", ["six legs", "small"]), ("B", "Bee", None)]
    first = fetched(tmp_path)
    assert fetched(tmp_path) == first
    write(tmp_path, {"p/names.csv": names.replace("Bee", "Beetle")})
    assert fetched(tmp_path).data_version != first.data_version


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT * FROM order", r"orders\.csv: Parser Error.*; correct `query` or `files`"),
        ("SELECT * FROM orders WHERE false", r"orders\.csv: the query gives no rows"),
        ("SELECT * FROM read_csv('/etc/passwd')", r"orders\.csv: Permission Error.*; correct `query` or `files`"),
        ("SELECT stars FROM orders", r"has no column customer"),
    ],
)
def test_a_query_on_files_that_fails_is_one_line(tmp_path: Path, query: str, message: str) -> None:
    write(tmp_path, {"orders.csv": TEXT})
    declare(tmp_path, {"ratings": SCALE, "interactions": {"files": "orders.csv", "query": query, **COLUMNS}})
    with pytest.raises(RecsysError, match=message) as caught:
        built(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cut", [1, 2, 20])
def test_a_json_array_that_is_cut_off_is_refused(tmp_path: Path, cut: int) -> None:
    write(tmp_path, {"orders.json": json_array(TABLE)[:-cut]})
    declare(tmp_path, {"ratings": SCALE, "interactions": {"files": "orders.json", **COLUMNS}})
    with pytest.raises(RecsysError, match=r"orders\.json: damaged or not whole .*; replace it by a fresh copy"):
        built(tmp_path)


def test_a_workbook_is_refused_with_the_cure(tmp_path: Path) -> None:
    write(tmp_path, {"orders.xlsx": zipped({"xl/workbook.xml": "<workbook/>"})})
    declare(tmp_path, {"ratings": SCALE, "interactions": {"files": "orders.xlsx", **COLUMNS}})
    with pytest.raises(RecsysError, match=r"orders\.xlsx: a workbook of a spreadsheet program; save the table as CSV"):
        built(tmp_path)


@pytest.mark.parametrize(
    ("written", "declared"),
    [
        ("Action|Drama", {"column": "g", "separator": "|"}),
        ('["Action", "Drama"]', "g"),
        ("['Action', 'Drama']", "g"),
    ],
)
def test_genres_are_read_as_lists_in_every_notation(tmp_path: Path, written: str, declared: Any) -> None:
    quoted = written.replace('"', '""')
    write(tmp_path, {"r.csv": "u,i\n1,2\n", "items.csv": f'i,name,g\n2,Two,"{quoted}"\n3,Three,\n'})
    items = {"files": "items.csv", "item": "i", "title": "name", "genres": declared}
    declare(
        tmp_path, {"ratings": "implicit", "interactions": {"files": "r.csv", "user": "u", "item": "i"}, "items": items}
    )
    assert rows(built(tmp_path), "SELECT title, genres FROM clean.items ORDER BY item_id") == [
        ("Two", ["Action", "Drama"]),
        ("Three", None),
    ]


def test_a_column_may_be_the_id_and_the_title_of_items(tmp_path: Path) -> None:
    write(tmp_path, {"r.csv": "u,i\n1,Tea\n", "items.csv": "name,g\nTea,Hot\nIce,Cold\n"})
    items = {"files": "items.csv", "item": "name", "title": "name", "genres": "g"}
    source = {"files": "r.csv", "user": "u", "item": "i"}
    declare(tmp_path, {"ratings": "implicit", "interactions": source, "items": items})
    read = "SELECT source_id, title, genres FROM clean.items ORDER BY 1"
    assert rows(built(tmp_path), read) == [("Ice", "Ice", ["Cold"]), ("Tea", "Tea", ["Hot"])]


def test_a_column_of_the_interactions_has_one_meaning(tmp_path: Path) -> None:
    source = {"files": "r.csv", "user": "u", "item": "i", "rating": "i"}
    declare(tmp_path, {"ratings": SCALE, "interactions": source})
    with pytest.raises(RecsysError, match=r"interactions: .*rating: names the column i, which is the item already"):
        built(tmp_path)


def test_every_column_of_items_is_read_from_a_latin_1_file_with_flags(tmp_path: Path) -> None:
    names = ["id", "t", "year", "Action", "Drama", "by", "lang", "n", "pic", "adult", "about", "score", "kind"]
    names += ["seen", "called", "page"]
    line = "2|Amélie (2001)|25-Apr-2001|0|1|Jean-Pierre Jeunet|fr|1|http://x/1.jpg|no|A tale|8.3|Film|12|odd, paris|http://x/2\n"
    write(tmp_path, {"u.data": "1\t2\n", "u.item": line.encode("latin-1")})
    items = {
        "files": "u.item",
        "columns": names,
        "delimiter": "|",
        "encoding": "latin-1",
        "item": "id",
        "title": "t",
        "year_in_title": True,
        "genres": {"flags": ["Action", "Drama"]},
        "creators": "by",
        "tags": {"column": "called", "separator": ","},
        "language": "lang",
        "episodes": "n",
        "image_url": "pic",
        "page_url": "page",
        "is_adult": "adult",
        "synopsis": "about",
        "site_score": "score",
        "kind": "kind",
        "members": "seen",
    }
    source = {"files": "u.data", "columns": ["u", "i"], "user": "u", "item": "i"}
    declare(tmp_path, {"ratings": "implicit", "interactions": source, "items": items})
    (read,) = rows(built(tmp_path), "SELECT * EXCLUDE (source_id, title_english, site_score) FROM clean.items")
    assert read == (
        2,
        "Amélie",
        "Film",
        2001,
        ["Drama"],
        ["Jean-Pierre Jeunet"],
        ["odd", "paris"],
        "fr",
        1,
        12,
        "A tale",
        "http://x/1.jpg",
        "http://x/2",
        False,
    )


RATED = {"files": "r.csv", "user": "u", "item": "i", "rating": "r"}


@pytest.mark.parametrize(
    ("ratings", "declared", "message"),
    [
        (
            "1,1,80\n2,1,95\n3,1,4\n",
            {},
            r"66\.7 % of 3 interactions have a rating outside of the scale from 1 to 5; the ratings go from 4 to 95: "
            r"correct `ratings\.scale`",
        ),
        (
            "1,A-1,4\n2,A-2,3\n",
            {"items": {"files": "items.csv", "item": "sku"}},
            r"100 % of 2 interactions are with items that are not among the declared ones, such as "
            r"line 2: `1,A-1,4\.0` of "
            r"interactions/r\.csv; items are such as a-\d: correct `items\.item` or `interactions\.item`",
        ),
        (
            "1,1,good\n2,1,bad\n",
            {},
            r"100 % of 2 interactions cannot be read, such as line 2: `1,1,good` of interactions/r\.csv; correct the "
            r"columns \(now user: u, item: i, rating: r\)",
        ),
    ],
)
def test_a_declaration_that_fits_few_rows_is_one_line_with_the_cure(
    tmp_path: Path, ratings: str, declared: dict[str, Any], message: str
) -> None:
    write(tmp_path, {"r.csv": "u,i,r\n" + ratings, "items.csv": "sku\na-1\na-2\n"})
    declare(tmp_path, {"ratings": SCALE, "interactions": RATED, **declared})
    with pytest.raises(RecsysError, match=message) as caught:
        built(tmp_path)
    assert "\n" not in str(caught.value)
    assert rows(warehouse_of(tmp_path), "SELECT * FROM duckdb_tables() WHERE schema_name = 'clean'") == []
