import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from database_client import connected
from small_publication import ITEMS, items_table, publish_small
from typed_command import Typed

from recsys_dagster.cli.main import app

KNOWN_COMMANDS = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]

RECSYS = [sys.executable, "-c", "from recsys_dagster.cli.main import main; main()"]


@pytest.fixture(autouse=True)
def _nothing_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty RECSYS_HOME and no `.env`, unless a test publishes something."""
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path / "empty"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("published_home")
class TestRecommend:
    def test_a_list_is_a_table_with_titles_kind_year_genres_and_score(self, capsys: pytest.CaptureFixture[str]) -> None:
        typed = Typed(capsys, "recommend", "--domain", "anime", "--user", "7", "-n", "2")

        assert typed.code == 0
        header, first, second, source = typed.out.splitlines()
        assert header.split() == ["rank", "title", "English", "title", "kind", "year", "genres", "score"]
        assert re.split(r"\s{2,}", first.strip()) == [
            "1", "Kimi no Na wa.", "Your Name.", "Movie", "2016", "Drama, Slice of Life", "4.5",
        ]  # fmt: skip
        assert second.split()[:2] == ["2", "Mushishi"]
        assert source.startswith("popularity 20260102T030405-abcdef, fitted on 1,234 interactions of sample-anime")
        assert typed.err == ""

    def test_titles_are_printed_literally_without_markup(self, capsys: pytest.CaptureFixture[str]) -> None:
        typed = Typed(capsys, "recommend", "-d", "anime", "-u", "7")
        assert "<b>Bold</b> & [red]Brash[/red]" in typed.out

    def test_only_titles_of_a_kind(self, capsys: pytest.CaptureFixture[str]) -> None:
        typed = Typed(capsys, "recommend", "-d", "anime", "-u", "7", "--kind", "movie")
        assert typed.code == 0
        assert "Kimi no Na wa." in typed.out
        assert "Mushishi" not in typed.out
        assert typed.err == "popularity has no more titles for user 7 (movie).\n"

    @pytest.mark.parametrize(
        ("words", "titles"),
        [
            ("--genre drama", ["Kimi no Na wa.", "Mushishi"]),
            ("--year 2005", ["Mushishi"]),
            ("--year 2006-2020 --no-adult", ["Kimi no Na wa."]),
            ("--year 1990 --genre Drama --kind TV", []),
        ],
    )
    def test_only_titles_of_a_genre_or_year(
        self, capsys: pytest.CaptureFixture[str], words: str, titles: list[str]
    ) -> None:
        typed = Typed(capsys, "recommend", "-d", "anime", "-u", "7", "--json", *words.split())
        assert [one["title"] for one in json.loads(typed.out)["recommendations"]] == titles

    def test_the_wide_form_has_episodes_members_site_score_and_synopsis(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        typed = Typed(capsys, "recommend", "-d", "anime", "-u", "40", "--wide")
        header, item, synopsis = typed.out.splitlines()[:3]
        assert header.split()[-4:] == ["episodes", "members", "site", "score"]
        assert item.split()[-4:] == ["1", "10", "8.50", "67,310"]
        assert synopsis.strip() == "A tale."
        assert "A tale." not in Typed(capsys, "recommend", "-d", "anime", "-u", "40").out

    def test_a_predicted_rating_has_its_interval_beside_it(
        self, capsys: pytest.CaptureFixture[str], published_home: Path
    ) -> None:
        def predict(users: np.ndarray, items: np.ndarray) -> dict[str, np.ndarray]:
            ratings = np.full(len(users), 8.25, np.float32)
            return {"rating": ratings, "rating_low": ratings - 2, "rating_high": ratings + 1}

        publish_small(published_home / "published" / "anime.duckdb", predict=predict)
        header, item = Typed(capsys, "recommend", "-d", "anime", "-u", "40").out.splitlines()[:2]
        assert header.split()[-3:] == ["rating", "interval", "score"]
        assert item.split()[-5:] == ["8.25", "6.2", "–", "9.2", "67,310"]
        publish_small(
            published_home / "published" / "anime.duckdb", predict=lambda *pairs: {"rating": predict(*pairs)["rating"]}
        )
        header = Typed(capsys, "recommend", "-d", "anime", "-u", "40").out.splitlines()[0]
        assert header.split()[-2:] == ["rating", "score"], "a model of an earlier version has no interval"

    def test_why_names_the_titles_that_an_item_is_recommended_for(
        self, capsys: pytest.CaptureFixture[str], published_home: Path
    ) -> None:
        typed = Typed(capsys, "recommend", "-d", "anime", "-u", "7", "-n", "3", "--why")
        assert typed.err == "popularity cannot say which of the user's titles it recommends these for.\n"

        def explain(users: np.ndarray, items: np.ndarray) -> np.ndarray:
            """The second item of a list is recommended for items 999 and 100, and nothing else is explained."""
            reasons = np.full((*items.shape, 3), -1, np.int32)
            reasons[:, 1, :2] = [3, 1]
            return reasons

        publish_small(published_home / "published" / "anime.duckdb", explain=explain)
        lines = Typed(capsys, "recommend", "-d", "anime", "-u", "7", "--why").out.splitlines()
        assert lines[2].split()[1] == "Mushishi"
        assert lines[3].strip() == "because of Never recommended, Kimi no Na wa."
        assert "because" not in Typed(capsys, "recommend", "-d", "anime", "-u", "7").out
        typed = Typed(capsys, "recommend", "-d", "anime", "-u", "7", "--json")
        (_, second, _) = json.loads(typed.out)["recommendations"]
        assert second["because"] == [
            {"item_id": 999, "title": "Never recommended"},
            {"item_id": 100, "title": "Kimi no Na wa."},
        ]

    def test_json_has_everything_known_about_each_title(self, capsys: pytest.CaptureFixture[str]) -> None:
        typed = Typed(capsys, "recommend", "-d", "anime", "-u", "40", "--json")
        assert json.loads(typed.out) == {
            "domain": "anime",
            "user_id": 40,
            "model": "popularity",
            "version": "20260102T030405-abcdef",
            "recommendations": [
                {
                    "rank": 1,
                    "item_id": 310,
                    "title": "Mushishi",
                    "title_english": "Mushi-Shi",
                    "kind": "TV",
                    "year": 2005,
                    "genres": ["Drama", "Slice of Life"],
                    "score": 67310.0,
                    "rating": None,
                    "rating_low": None,
                    "rating_high": None,
                    "probability": None,
                    "similarity": None,
                    "because": [],
                    "episodes": 1,
                    "members": 10,
                    "site_score": 8.5,
                    "synopsis": "A tale.",
                    "creators": [],
                    "language": None,
                    "image_url": None,
                    "page_url": None,
                    "is_adult": False,
                }
            ],
        }

    @pytest.mark.parametrize(
        ("words", "line"),
        [
            ("--user 8", "unknown user 8 in anime; known: 4 users with ids from 7 to 40, such as 7, 11, 12"),
            ("--user 7 --kind Opera", "unknown kind 'Opera' in anime; known: Movie, OVA, TV"),
            ("--user 7 --genre Opera", "unknown genre 'Opera' in anime; known: Drama, Slice of Life"),
            ("--user 7 --year soon", "'--year' 'soon': expected a year, such as 1995, or 1990-1999"),
            ("--user 7 --year 1999-1990", "'--year' '1999-1990': the first year is after the last"),
            ("--user 7 --model ease", "the last run of anime had no ease; it had: popularity"),
        ],
    )
    def test_an_unknown_user_or_kind_is_one_line_that_names_known_ones(
        self, capsys: pytest.CaptureFixture[str], words: str, line: str
    ) -> None:
        typed = Typed(capsys, "recommend", "--domain", "anime", *words.split())
        assert (typed.code, typed.out, typed.err) == (2, "", f"recsys: {line}\n")

    def test_a_file_that_another_program_has_open_is_one_line_with_the_cure(
        self, capsys: pytest.CaptureFixture[str], published_home: Path
    ) -> None:
        path = published_home / "published" / "anime.duckdb"
        with connected(path) as client:
            typed = Typed(capsys, "recommend", "-d", "anime", "-u", "7")
        assert (typed.code, typed.out, typed.err.count("\n")) == (1, "", 1)
        assert f"{path}: open for writing in " in typed.err
        assert f"(process {client.process.pid}); close it there" in typed.err

    def test_titles_cannot_send_control_characters_to_the_terminal(
        self, capsys: pytest.CaptureFixture[str], published_home: Path
    ) -> None:
        evil = "\x1b]0;owned\x07\x1b[2J\rDone\u202e"
        items = [item | {"title": evil, "title_english": evil + "!", "kind": evil} for item in ITEMS]
        publish_small(published_home / "published" / "anime.duckdb", items=items_table(items))
        typed = Typed(capsys, "recommend", "-d", "anime", "-u", "7")
        assert typed.code == 0
        unknown_kind = Typed(capsys, "recommend", "-d", "anime", "-u", "7", "--kind", "x")
        assert unknown_kind.code == 2
        for line in (typed.out + unknown_kind.err).splitlines():
            assert line.isprintable()

    def test_the_longest_list_is_everything_there_is(self, capsys: pytest.CaptureFixture[str]) -> None:
        typed = Typed(capsys, "recommend", "-d", "anime", "-u", "7", "-n", str(10**30))
        assert typed.code == 0
        assert len(typed.out.splitlines()) == 5

    def test_the_answer_imports_nothing_that_takes_seconds(self) -> None:
        code = (
            "import sys; from recsys_dagster.cli.main import _run\n"
            "assert _run(['recommend', '-d', 'anime', '-u', '7']) == 0\n"
            "heavy = 'tensorflow keras pandas dagster sklearn matplotlib pyarrow scipy numpy'.split()\n"
            "print(set(heavy) & set(sys.modules), file=sys.stderr)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stderr.splitlines()[-1] == "set()"

    def test_a_closed_pipe_is_no_error(self) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        for words in (["recommend", "-d", "anime", "-u", "7"], ["recommend", "-d", "anime", "-u", "7", "--json"]):
            done = subprocess.run([*RECSYS, *words], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
            assert done.stderr == ""
        os.close(writer)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            "frobnicate",
            f"unknown command 'frobnicate'; known: {', '.join(KNOWN_COMMANDS)}",
        ),
        ("run --domain podcast", "unknown domain 'podcast'; known: anime, movie, book; `recsys import` adds one"),
        ("report --domain podcast", "unknown domain 'podcast'; known: anime, movie, book; `recsys import` adds one"),
        (
            "recommend --domain boook --user 1",
            "unknown domain 'boook' (did you mean book?); known: anime, movie, book; `recsys import` adds one",
        ),
    ],
)
def test_an_unknown_name_is_one_line_that_says_what_is_known(
    capsys: pytest.CaptureFixture[str], words: str, line: str
) -> None:
    typed = Typed(capsys, *words.split())
    assert (typed.code, typed.out, typed.err) == (2, "", f"recsys: {line}\n")


@pytest.mark.parametrize("words", ["recommend --domain anime", "recommend -d anime -u 1 -n 0", "--frob", "run x"])
def test_a_wrong_option_is_one_line_that_names_it(capsys: pytest.CaptureFixture[str], words: str) -> None:
    typed = Typed(capsys, *words.split())
    assert (typed.code, typed.out) == (2, "")
    assert re.fullmatch(r"recsys: .*('--user'|'--number'|--frob|argument).*\n", typed.err)


def test_before_anything_is_published_the_cure_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (("recommend", "-d", "movie", "-u", "1"), ("report", "-d", "movie")):
        typed = Typed(capsys, *words)
        assert (typed.code, typed.out) == (1, "")
        assert typed.err.endswith(
            "run `recsys run --domain movie` first, or set RECSYS_HOME to the folder that has it\n"
        )
        assert typed.err.count("\n") == 1


def test_a_bad_setting_is_one_line_that_names_the_variable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECSYS_TOP_N", "many")
    monkeypatch.setenv("RECSYS_SEED", "none")
    typed = Typed(capsys, "datasets")
    assert typed.code == 1
    assert re.fullmatch(r"recsys: RECSYS_SEED=none: .*; RECSYS_TOP_N=many: .*\.env\n", typed.err)


def test_datasets_are_listed_with_licence_and_whether_they_are_chosen_and_here(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECSYS_DATASET_MOVIE", "ml-latest-small")
    typed = Typed(capsys, "datasets")

    assert typed.code == 0
    rows = {line.split()[0]: line for line in typed.out.splitlines() if line}
    assert rows["ml-latest-small"].split()[1:5] == ["movie", "movielens", "download", "chosen"]
    assert rows["sample-anime"].split()[1:5] == ["anime", "anime-2020", "generated", "chosen"]
    assert "chosen" not in rows["sample-movie"]
    assert "on disk" not in typed.out
    assert "no commercial use without permission" in typed.out


def test_the_path_of_the_report_is_printed_and_the_report_opened_on_request(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "empty" / "reports" / "movie" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text("<!doctype html>")
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(browser))

    assert Typed(capsys, "report", "--domain", "movie").out == f"{page}\n"
    assert not opened.exists()
    done = subprocess.run([*RECSYS, "report", "-d", "movie", "--open"], capture_output=True, text=True, check=True)
    assert done.stdout == f"{page}\n"
    assert opened.read_text() == page.as_uri()


def test_help_and_version_say_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ((), ("--help",)):
        typed = Typed(capsys, *words)
        assert typed.code == 0
        assert all(command in typed.out for command in ("run", "datasets", "recommend", "evaluate", "tune", "report"))
    typed = Typed(capsys, "recommend", "--help")
    assert "recsys recommend --domain movie --user 42" in typed.out
    assert re.fullmatch(r"recsys \d+\.\d+\.\d+\n", Typed(capsys, "--version").out)


def test_ctrl_c_ends_with_130_and_without_a_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Tests that run in the background are started with the signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(
        sys.modules["recsys_dagster.cli.report"], "get_domain", lambda *_: signal.raise_signal(signal.SIGINT)
    )
    typed = Typed(capsys, "report", "-d", "movie")
    signal.signal(signal.SIGINT, before)
    assert (typed.code, typed.out, typed.err) == (130, "", "")
