"""`recsys import` finds out what the columns of files mean, says it, and writes a declaration of it."""

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from shapes import EVENTS, N_ITEMS, SHAPES, Shape, write_csv
from typed_command import Typed

from recsys_dagster.ingest.declaration import Declaration, read_declaration

ROLES = ("user", "item", "rating", "weight", "time", "status", "progress")
PLACE = ("files", "format", "columns", "delimiter", "encoding")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty RECSYS_HOME."""
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def imported(home: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Type `recsys import … --yes` and return what it printed and the declaration that it wrote."""

    def run(*words: str) -> tuple[str, Declaration]:
        typed = Typed(capsys, "import", *words, "--yes")
        assert (typed.code, typed.err) == (0, "")
        (path,) = (home / "datasets").glob("*.yaml")
        return typed.out, read_declaration(path)

    return run


def refused(capsys: pytest.CaptureFixture[str], *words: str, code: int = 2) -> str:
    """The one line in which a command ends that cannot do what is asked."""
    typed = Typed(capsys, "import", *words, "--yes")
    assert (typed.code, typed.err.count("\n")) == (code, 1)
    return typed.err.removeprefix("recsys: ").strip()


def ratings(folder: Path, name: str = "ratings.csv", **columns: Any) -> str:
    """A file of ratings with the given columns, each by an expression of an event."""
    given = {
        "user": lambda one: one.user,
        "item": lambda one: one.item,
        "rating": lambda one: one.stars,
        **columns,
    }
    return write_csv(folder / name, list(given), [[value(one) for value in given.values()] for one in EVENTS])


class TestGuess:
    @pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
    def test_columns_scale_and_items_of_each_shape(self, shape: Shape, tmp_path: Path, imported: Any) -> None:
        out, declaration = imported(*shape.write(tmp_path / "files"))
        source = declaration.interactions
        assert {role: getattr(source, role) for role in ROLES if getattr(source, role)} == shape.interactions
        assert (declaration.scale, source.unrated) == (shape.scale, shape.unrated)
        items = declaration.items.model_dump(exclude_defaults=True) if declaration.items else {}
        assert {name: value for name, value in items.items() if name not in PLACE} == (shape.items or {})
        assert "60 users" in out
        assert f"{N_ITEMS} items" in out
        assert "100 % usable" in out

    @pytest.mark.parametrize(
        ("user", "item", "rating", "time"),
        [
            ("userId", "movieId", "rating", "timestamp"),
            ("Customer ID", "Product", "Stars", "Created At"),
            ("MEMBER_NO", "ISBN", "SCORE", "DATE"),
            ("utilisateur", "livre", "note", "horodatage"),
            ("usuario", "película", "valoración", "fecha"),
            ("utente", "prodotto", "punteggio", "data"),
            ("ユーザー", "作品", "評価", "日時"),
            ("пользователь", "товар", "оценка", "дата"),
        ],
    )
    def test_names_in_several_languages_and_notations(
        self, tmp_path: Path, imported: Any, user: str, item: str, rating: str, time: str
    ) -> None:
        rows = [(one.at.isoformat(), one.stars, f"i{one.item}", f"u{one.user}", "web") for one in EVENTS]
        path = write_csv(tmp_path / "x.csv", (time, rating, item, user, "channel"), rows)
        out, declaration = imported(path)
        source = declaration.interactions
        assert (source.user, source.item, source.rating, source.time) == (user, item, rating, time)
        assert re.search(r"channel +ignored", out)

    def test_ids_win_over_names_beside_them(self, tmp_path: Path, imported: Any) -> None:
        header = ("user_id", "Username", "anime_id", "Anime Title", "rating")
        rows = [(one.user, f"person{one.user}", one.item, f"Title {one.item}", one.stars * 2) for one in EVENTS]
        _, declaration = imported(write_csv(tmp_path / "scores.csv", header, rows))
        assert (declaration.interactions.user, declaration.interactions.item) == ("user_id", "anime_id")

    def test_a_column_of_row_numbers_is_no_user(self, tmp_path: Path, imported: Any) -> None:
        rows = [(place, f"a{one.user}", f"b{one.item}") for place, one in enumerate(EVENTS)]
        _, declaration = imported(write_csv(tmp_path / "pairs.csv", ("", "who", "what"), rows))
        assert (declaration.interactions.user, declaration.interactions.item) == ("who", "what")
        assert declaration.ratings == "implicit"

    def test_minus_one_beside_ratings_stands_for_none(self, tmp_path: Path, imported: Any) -> None:
        path = ratings(tmp_path, "x.csv", rating=lambda one: -1 if one.plays % 3 else 2 * one.stars)
        out, declaration = imported(path)
        assert (declaration.scale, declaration.interactions.unrated) == ((1, 10), (-1,))
        assert "-1 stands for none" in out

    @pytest.mark.parametrize(
        ("down", "up"), [("false", "true"), ("No", "Yes"), ("down", "UP"), ("dislike", "like"), ("👎", "👍")]
    )
    def test_words_for_a_thumb_up_or_down_are_a_rating(self, tmp_path: Path, imported: Any, down: str, up: str) -> None:
        path = ratings(tmp_path, "x.csv", rating=lambda one: up if one.stars > 3 else down)
        out, declaration = imported(path)
        assert (declaration.scale, declaration.interactions.rating) == ((0, 1), "rating")
        assert "1,080 rows, 100 % usable" in out

    def test_a_json_array_is_read(self, tmp_path: Path, imported: Any) -> None:
        rows = [{"user": one.user, "item": f"i{one.item}", "rating": one.stars} for one in EVENTS]
        (tmp_path / "export.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
        out, declaration = imported("export.json")
        assert "export.json: a JSON array" in out
        assert "1,080 rows, 100 % usable" in out
        assert declaration.interactions.format == "jsonl"

    def test_a_rating_that_is_always_the_same_is_none(self, tmp_path: Path, imported: Any) -> None:
        _, declaration = imported(ratings(tmp_path, "x.csv", rating=lambda _: 1))
        assert (declaration.ratings, declaration.interactions.weight) == ("implicit", None)

    def test_what_is_said_wins_over_what_would_be_found(self, tmp_path: Path, imported: Any) -> None:
        path = ratings(tmp_path, "x.csv", other=lambda one: f"o{one.user % 7}", points=lambda one: one.plays)
        words = ("--user", "other", "--weight", "POINTS", "--implicit", "--name", "mine", "--domain", "toys")
        _, declaration = imported(path, *words)
        source = declaration.interactions
        assert (declaration.id, declaration.domain) == ("mine", "toys")
        assert (source.user, source.weight, source.rating) == ("other", "points", None)

    def test_scale_threshold_and_value_for_no_rating_can_be_said(self, tmp_path: Path, imported: Any) -> None:
        path = ratings(tmp_path, "x.csv", rating=lambda one: one.stars if one.plays % 9 else 99)
        words = ("--scale", "0", "5", "--liked-from", "3.5", "--unrated", "99", "--pseudonymise")
        _, declaration = imported(path, *words)
        assert declaration.model_dump()["ratings"] == {"scale": (0, 5), "liked_from": 3.5}
        assert (declaration.interactions.unrated, declaration.pseudonymise) == ((99,), True)

    def test_flags_become_genres(self, tmp_path: Path, imported: Any) -> None:
        films = [(item, f"Film {item}", item % 2, int(item % 3 == 0), 1) for item in range(1, N_ITEMS + 1)]
        items = write_csv(tmp_path / "films.csv", ("id", "name", "Action", "Drama", "Comedy"), films)
        _, declaration = imported(ratings(tmp_path, "x.csv"), "--items", items)
        assert declaration.items is not None
        assert declaration.items.model_dump()["genres"] == {"flags": ("Action", "Drama", "Comedy")}

    def test_a_folder_with_other_tables_is_sorted_out(self, tmp_path: Path, imported: Any) -> None:
        folder = tmp_path / "set"
        ratings(folder, time=lambda one: int(one.at.timestamp()))
        tags = [(one.user, one.item, "good", 1700000000) for one in EVENTS[:100]]
        write_csv(folder / "tags.csv", ("userId", "movieId", "tag", "timestamp"), tags)
        write_csv(folder / "links.csv", ("movieId", "imdbId"), [(item, 1000 + item) for item in range(1, 41)])
        films = [(item, f"Film {item}", "Drama|War") for item in range(1, 41)]
        write_csv(folder / "movies.csv", ("movieId", "title", "genres"), films)
        (folder / "README.txt").write_text("Thank you.", encoding="utf-8")
        out, declaration = imported(str(folder))
        assert declaration.interactions.files == (str(folder / "ratings.csv"),)
        assert declaration.items is not None
        assert declaration.items.files == (str(folder / "movies.csv"),)
        assert "Not used: links.csv, tags.csv" in out

    def test_files_that_are_added_to_a_folder_or_a_pattern_belong_to_it(self, tmp_path: Path, imported: Any) -> None:
        ratings(tmp_path / "days", "1.csv")
        ratings(tmp_path / "days", "2.csv")
        assert imported(str(tmp_path / "days"))[1].interactions.files == (str(tmp_path / "days"),)
        assert imported("days/*.csv", "--name", "days")[1].interactions.files == (str(tmp_path / "days" / "*.csv"),)

    def test_several_files_are_one_dataset(self, tmp_path: Path, imported: Any) -> None:
        files = [ratings(tmp_path, name) for name in ("a.csv", "b.csv")]
        out, declaration = imported(*files)
        assert declaration.interactions.files == tuple(files)
        assert f"{2 * len(EVENTS):,} rows" in out

    def test_rows_that_cannot_be_used_are_counted_by_their_fault(self, tmp_path: Path, imported: Any) -> None:
        path = Path(ratings(tmp_path, "x.csv"))
        with path.open("a", encoding="utf-8") as file:
            file.write(",5,3\n7,,3\n7,5,good\n7,5\n")
        out, _ = imported(str(path))
        assert f"{len(EVENTS) + 4:,} rows, 99.6 % usable" in out
        for fault in ("without a user", "without an item", "a rating that is no number", "another number of fields"):
            assert f"1 {fault}" in out.replace("with ", "")


class TestTimes:
    @pytest.mark.parametrize(
        ("written", "found", "said"),
        [
            ("%d/%m/%Y", "day-first", "written day first"),
            ("%d.%m.%Y %H:%M", "day-first", "written day first"),
            ("%d.%m.%y, %H:%M:%S", "day-first", "written day first"),
            ("%m/%d/%Y", "month-first", "written month first"),
            ("%m/%d/%Y %I:%M %p", "month-first", "written month first"),
            ("%b %d, %Y", "%b %d, %Y", "written as %b %d, %Y"),
            ("%d-%b-%Y %H:%M", "%d-%b-%Y %H:%M", "written as %d-%b-%Y %H:%M"),
            ("%a %b %d %H:%M:%S +0000 %Y", "%a %b %d %H:%M:%S %z %Y", "written as %a %b %d %H:%M:%S %z %Y"),
            ("%Y%m%d", "%Y%m%d", "written as %Y%m%d"),
            ("%Y/%m/%d", None, ""),
        ],
    )
    def test_the_format_of_times_is_found_and_said(
        self, tmp_path: Path, imported: Any, written: str, found: str | None, said: str
    ) -> None:
        out, declaration = imported(ratings(tmp_path, "x.csv", date=lambda one: one.at.strftime(written)))
        assert (declaration.interactions.time, declaration.interactions.time_format) == ("date", found)
        first, last = EVENTS[0].at, EVENTS[-1].at
        line = next(line for line in out.splitlines() if line.startswith("times from"))
        assert line == f"times from {first:%Y-%m-%d} to {last:%Y-%m-%d}{f', {said}' if said else ''}"

    def test_a_late_row_decides_between_day_and_month(self, tmp_path: Path, imported: Any) -> None:
        rows = [(one, one % 97, 1 + one % 5, f"0{1 + one % 9}/02/2023") for one in range(25_000)]
        path = write_csv(tmp_path / "x.csv", ("user", "item", "rating", "date"), [*rows, (7, 7, 4, "02/28/2023")])
        assert imported(path)[1].interactions.time_format == "month-first"

    def test_where_day_and_month_cannot_be_told_apart_it_has_to_be_said(
        self, tmp_path: Path, imported: Any, capsys: Any
    ) -> None:
        path = ratings(tmp_path, "x.csv", date=lambda one: f"0{1 + one.plays % 9}/0{1 + one.item % 9}/2023")
        line = refused(capsys, path)
        assert re.fullmatch(
            r"date: dates such as 0./0./2023 may have the day or the month first; say which with --time-format "
            r"day-first or --time-format month-first",
            line,
        )
        assert imported(path, "--time-format", "month-first")[1].interactions.time_format == "month-first"
        line = refused(capsys, path, "--time-format", "monthly")
        assert line == "--time-format monthly: say day-first, month-first, or a format such as %Y%m%d"

    def test_with_points_the_day_comes_first(self, tmp_path: Path, imported: Any) -> None:
        path = ratings(tmp_path, "x.csv", date=lambda one: f"0{1 + one.plays % 9}.0{1 + one.item % 9}.2023")
        assert imported(path)[1].interactions.time_format == "day-first"

    def test_a_format_needs_a_column_of_times(self, tmp_path: Path, capsys: Any) -> None:
        line = refused(capsys, ratings(tmp_path, "x.csv"), "--time-format", "day-first")
        assert line.startswith("--time-format is given, but no column of x.csv looks like times; name it with --time")


class TestWriting:
    def test_nothing_is_written_without_a_yes(self, tmp_path: Path, home: Path, capsys: Any) -> None:
        typed = Typed(capsys, "import", ratings(tmp_path, "shop.csv"))
        assert typed.code == 2
        assert typed.err == f"recsys: nothing is written yet: say --yes to write {home}/datasets/shop.yaml\n"
        assert not home.exists()

    def test_the_file_has_comments_and_says_what_is_ignored(self, tmp_path: Path, home: Path, imported: Any) -> None:
        imported(ratings(tmp_path, "shop.csv", channel=lambda _: "web"))
        text = (home / "datasets" / "shop.yaml").read_text(encoding="utf-8")
        assert "# a rating of 4 or more counts as liked" in text
        assert "# ignored: channel" in text
        assert f"recsys import --check {home}/datasets/shop.yaml" in text

    def test_importing_again_replaces_the_declaration_and_says_so(self, tmp_path: Path, imported: Any) -> None:
        path = ratings(tmp_path, "shop.csv", points=lambda one: one.plays)
        imported(path)
        out, declaration = imported(path, "--implicit", "--weight", "points")
        assert "replacing the one that is there" in out
        assert declaration.interactions.weight == "points"

    def test_the_next_command_is_said(self, tmp_path: Path, imported: Any) -> None:
        assert "Next: recsys run --domain shop\n" in imported(ratings(tmp_path, "shop.csv"))[0]

    def test_the_next_command_chooses_the_dataset_where_the_domain_has_another(
        self, tmp_path: Path, imported: Any
    ) -> None:
        out, _ = imported(ratings(tmp_path, "shop.csv"), "--domain", "movie")
        assert "Next: RECSYS_DATASET_MOVIE=shop recsys run --domain movie\n" in out


class TestCheck:
    def test_a_declaration_by_hand_is_shown_with_its_counts(self, tmp_path: Path, home: Path, capsys: Any) -> None:
        ratings(tmp_path, "shop.csv")
        path = home / "datasets" / "shop.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(
            "domain: shop\nratings: {scale: [1, 5]}\n"
            "interactions: {files: ../../shop.csv, user: user, item: item, rating: rating}\n",
            encoding="utf-8",
        )
        typed = Typed(capsys, "import", "--check", str(path))
        assert (typed.code, typed.err) == (0, "")
        assert "1,080 rows, 100 % usable" in typed.out
        assert f"{path} is valid.\nNext: recsys run --domain shop\n" in typed.out

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            (
                "user: usr, item: item",
                "interactions.user: shop.csv has no column usr (did you mean user?); its columns",
            ),
            ("user: user", "interactions.item is missing"),
            ("user: user, item: item, colour: x", "interactions.colour is not a field"),
        ],
    )
    def test_what_is_wrong_is_one_line(self, tmp_path: Path, capsys: Any, line: str, message: str) -> None:
        ratings(tmp_path, "shop.csv")
        path = tmp_path / "shop.yaml"
        path.write_text(
            f"domain: shop\nratings: {{scale: [1, 5]}}\ninteractions: {{files: shop.csv, rating: rating, {line}}}\n",
            encoding="utf-8",
        )
        typed = Typed(capsys, "import", "--check", str(path))
        assert (typed.code, typed.err.count("\n")) == (1, 1)
        assert typed.err.startswith(f"recsys: {path}: {message}")

    def test_a_file_that_is_not_there_is_named(self, tmp_path: Path, capsys: Any) -> None:
        path = tmp_path / "shop.yaml"
        path.write_text(
            "domain: shop\nratings: implicit\ninteractions: {files: nowhere.csv, user: u, item: i}\n", encoding="utf-8"
        )
        typed = Typed(capsys, "import", "--check", str(path))
        assert (typed.code, typed.err.count("\n")) == (2, 1)
        assert "nowhere.csv: no such file" in typed.err

    @pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
    def test_what_import_wrote_is_valid(
        self, shape: Shape, tmp_path: Path, home: Path, capsys: Any, imported: Any
    ) -> None:
        imported(*shape.write(tmp_path / "files"))
        (path,) = (home / "datasets").glob("*.yaml")
        typed = Typed(capsys, "import", "--check", str(path))
        assert (typed.code, typed.err) == (0, "")
        assert "1,080 rows, 100 % usable" in typed.out or shape.name == "purchases"


class TestFirstErrors:
    def test_a_name_instead_of_a_file(self, tmp_path: Path, capsys: Any) -> None:
        ratings(tmp_path, "orders.csv")
        assert refused(capsys, "shop") == "shop: no such file; there are orders.csv"

    def test_a_path_instead_of_a_name(self, tmp_path: Path, capsys: Any) -> None:
        line = refused(capsys, ratings(tmp_path), "--name", "./Shop data.csv")
        assert line.endswith("has lower-case letters, digits, - and _, such as --name shop-data")
        line = refused(capsys, ratings(tmp_path), "--domain", "My Shop")
        assert line.endswith("begins with a letter, such as --domain my_shop")

    def test_a_name_that_is_taken(self, tmp_path: Path, capsys: Any) -> None:
        line = refused(capsys, ratings(tmp_path), "--name", "ml-20m")
        assert line == "ml-20m is a dataset that comes with recsys; choose another name with --name"

    def test_a_column_that_is_not_there(self, tmp_path: Path, capsys: Any) -> None:
        line = refused(capsys, ratings(tmp_path), "--rating", "raiting")
        assert line == "ratings.csv has no column raiting (did you mean rating?); its columns are user, item, rating"

    def test_no_column_that_could_be_the_user(self, tmp_path: Path, capsys: Any) -> None:
        path = write_csv(tmp_path / "prices.csv", ("sku", "price"), [(f"s{n}", n + 0.5) for n in range(30)])
        line = refused(capsys, path)
        assert "no column looks like the user; name it with --user COLUMN; its columns are sku, price" in line

    def test_all_rows_rejected(self, tmp_path: Path, capsys: Any) -> None:
        path = ratings(tmp_path, "x.csv", note=lambda _: "fine")
        line = refused(capsys, path, "--rating", "note", "--scale", "1", "5", code=1)
        assert "none of 1,080 rows can be used (1,080 with a rating that is no number)" in line
        assert line.endswith("its columns are user, item, rating, note")

    def test_a_scale_that_does_not_fit(self, tmp_path: Path, capsys: Any) -> None:
        path = ratings(tmp_path, "x.csv", rating=lambda one: one.stars * 20)
        line = refused(capsys, path, "--scale", "1", "5", code=1)
        assert line.startswith("x.csv: none of 1,080 rows can be used (1,080 with a rating outside of the scale)")
        path = ratings(tmp_path, "x.csv", rating=lambda one: one.stars * 2)
        line = refused(capsys, path, "--scale", "1", "5", code=1)
        assert re.search(r"\d+ % of the ratings are outside of the scale from 1 to 5; give the scale that", line)

    def test_a_scale_whose_ends_are_swapped(self, tmp_path: Path, capsys: Any) -> None:
        line = refused(capsys, ratings(tmp_path), "--scale", "5", "1")
        assert line == "--scale 5 1: the lowest rating comes first, such as --scale 1 5"

    def test_a_column_that_is_to_be_two_things(self, tmp_path: Path, capsys: Any) -> None:
        line = refused(capsys, ratings(tmp_path), "--user", "user", "--item", "user", "--rating", "rating")
        assert line == "--item user: the column is the user already; its columns are user, item, rating"

    def test_ratings_without_a_scale(self, tmp_path: Path, capsys: Any) -> None:
        path = ratings(tmp_path, "x.csv", rating=lambda one: one.plays * 1000)
        line = refused(capsys, path, "--rating", "rating")
        assert "rating looks like no ratings: its values go from" in line
        assert line.endswith("give the scale, such as --scale 1 5, or --implicit --weight rating")

    def test_items_that_do_not_match(self, tmp_path: Path, capsys: Any) -> None:
        items = write_csv(tmp_path / "items.csv", ("sku", "name"), [(f"A-{n}", f"Thing {n}") for n in range(9)])
        line = refused(capsys, ratings(tmp_path, "x.csv"), "--items", items, code=1)
        assert line.startswith("no item of x.csv is in items.csv: item has 22, 33, 23, sku has A-0, A-1, A-2; name the")

    def test_files_that_are_no_tables(self, tmp_path: Path, capsys: Any) -> None:
        cases = {
            "empty.csv": (b"", "is empty; name a file with rows"),
            "header.csv": (b"user,item,rating\n", "has a header but no rows"),
            "sheet.xlsx": (workbook(), "an Excel workbook: save the table as CSV"),
            "wide.csv": ("user,item\n1,2\n".encode("utf-16"), "expected UTF-8, found UTF-16; convert it"),
            "array.json": (b'[{"user": 1}, {"us', "not readable as JSON"),
            "broken.csv.gz": (b"\x1f\x8b\x08\x00broken", "the packed file is damaged"),
            "broken.parquet": (b"PAR1 and nothing else", "not readable as Parquet"),
            "scan.pdf": (b"%PDF-1.7", "is a PDF"),
        }
        for name, (content, message) in cases.items():
            (tmp_path / name).write_bytes(content)
            typed = Typed(capsys, "import", name, "--yes")
            assert typed.code in (1, 2)
            assert typed.err.count("\n") == 1
            assert message in typed.err


def workbook() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return file.getvalue()


def test_zstd_is_read_whatever_the_name(tmp_path: Path, imported: Any) -> None:
    path = Path(ratings(tmp_path, "x.csv"))
    packed = tmp_path / "x.csv.zst"
    with pa.output_stream(str(packed), compression="zstd") as stream:
        stream.write(path.read_bytes())
    assert "1,080 rows" in imported(str(packed))[0]
