"""`recsys recommend` for a new user, as typed, on the results of a small real run."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from recsys_dagster.runtime.locks import domain_lock


def recommend(run: Any, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RECSYS_")}
    command = [str(Path(sys.executable).with_name("recsys")), "recommend", "-d", "movie", *words]
    return subprocess.run(
        command,
        env={**environment, "RECSYS_HOME": str(run.settings.home)},
        cwd=run.settings.home,
        capture_output=True,
        text=True,
        timeout=1200,
    )


def published(run: Any, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(run.layout.published("movie"), read_only=True) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture(scope="module")
def liked(movie_run: Any) -> list[tuple[int, str]]:
    """Id and name of the three titles most often on the first place of a list, names that are a title's alone."""
    return published(
        movie_run,
        "SELECT item_id, title FROM recommendations JOIN items USING (item_id) "
        "WHERE title IN (SELECT title FROM items GROUP BY title HAVING count(*) = 1) "
        "GROUP BY ALL ORDER BY count(*) FILTER (rank = 1) DESC, item_id LIMIT 3",
    )


def test_rated_titles_are_answered_by_the_model_from_the_store_in_published_ids(
    movie_run: Any, liked: list[tuple[int, str]]
) -> None:
    import numpy as np

    from recsys_dagster.data.interactions import Interactions
    from recsys_dagster.model_store.store import ModelStore

    words = [word for _, title in liked for word in ("--rated", f"{title.upper()}=5")]
    done = recommend(movie_run, *words, "--model", "ease", "-n", "5", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)

    # The warehouse, which the command does not open, knows the same indices.
    index = dict(movie_run.rows("SELECT item_id, item_idx FROM features.items"))
    store = ModelStore(movie_run.layout)
    record = store.record("movie", "ease")
    model, _ = store.load("movie", "ease", id_map_hash=record.id_map_hash)
    items = np.array([index[item_id] for item_id, _ in liked], np.int32)
    top = model.recommend_for(5, Interactions(np.zeros(3, np.int32), items, np.full(3, 5, np.float32)))
    assert [index[title["item_id"]] for title in answer["recommendations"]] == top.items[0].tolist()
    assert (answer["model"], answer["version"]) == ("ease", record.version)
    assert [int(name.rpartition("#")[2]) for name in answer["rated"]] == [item_id for item_id, _ in liked]


def test_the_champion_answers_unless_a_model_is_named(movie_run: Any, liked: list[tuple[int, str]]) -> None:
    ((champion, version),) = published(movie_run, "SELECT model, version FROM provenance")
    done = recommend(movie_run, "--rated", f"{liked[0][1]}=5", "-n", "3")
    assert done.returncode == 0, done.stderr
    # None of the run's models is neural and folds in, so each champion there can be answers itself.
    assert f"{champion} {version}, for: " in done.stdout
    assert len(done.stdout.splitlines()) == 1 + 3 + 1


def test_tastes_raise_their_genre(movie_run: Any) -> None:
    def share(rating: str) -> float:
        done = recommend(movie_run, "--taste", f"comedy={rating}", "-n", "20", "--json")
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        assert (answer["model"], answer["tastes"]) == ("popularity", {"Comedy": float(rating)})
        return sum("Comedy" in title["genres"] for title in answer["recommendations"]) / 20

    assert share("0.5") < share("5")


def test_an_answer_needs_no_lock_and_no_warehouse(movie_run: Any, liked: list[tuple[int, str]]) -> None:
    with domain_lock(movie_run.layout, "movie"), duckdb.connect(movie_run.layout.warehouse("movie")):
        done = recommend(movie_run, "--rated", f"{liked[0][1]}=5", "-n", "1")
    assert done.returncode == 0, done.stderr


def test_an_answer_imports_nothing_that_trains(
    movie_run: Any, liked: list[tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import sys; from recsys_dagster.cli.main import _run\n"
        f"assert _run(['recommend', '-d', 'movie', '--model', 'ease', '--rated', {liked[0][1] + '=5'!r}]) == 0\n"
        "heavy = 'tensorflow keras pandas dagster sklearn matplotlib pyarrow'.split()\n"
        "print(set(heavy) & set(sys.modules), file=sys.stderr)"
    )
    monkeypatch.setenv("RECSYS_HOME", str(movie_run.settings.home))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "set()"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rated", "No such title at all, ever=4"], "unknown title 'No such title at all, ever'; "),
        (["--rated", "#1"], "--rated '#1': expected NAME=RATING with a number from 0.5 to 5"),
        (["--rated", "=4"], "--rated '=4': expected NAME=RATING with a number from 0.5 to 5"),
        (["--rated", "#1=nan"], "--rated '#1=nan': expected NAME=RATING with a number from 0.5 to 5"),
        (["--rated", "#1=6"], "--rated '#1=6': 6 is outside of the scale from 0.5 to 5"),
        (["--rated", "#1=4", "--rated", "#1=5"], " is named twice"),
        (["--taste", "Opera=4"], "unknown genre 'Opera' in movie; known: Action, "),
        (["--taste", "Comedy=0"], "--taste 'Comedy=0': 0 is outside of the scale from 0.5 to 5"),
        (
            ["--taste", "Comedy=4", "--model", "ease"],
            "ease is not a model that can recommend by genres; models of the last run that do: popularity",
        ),
        (["--taste", "Comedy=4", "--model", "two_tower"], "the last run of movie had no two_tower; it had: "),
        (["--rated", "#1=4", "--model", "oracle"], "unknown model 'oracle'; known: popularity, "),
        (["--rated", "#1=4", "--kind", "Opera"], "unknown kind 'Opera' in movie; known: Movie"),
        (["--rated", "#1=4", "--user", "1"], "give '--user', or '--rated' and '--liked', or '--taste'"),
        (["--rated", "#1=4", "--taste", "Comedy=4"], "give '--user', or '--rated' and '--liked', or '--taste'"),
        (["--rated", "#1=4", "--genre", "Opera"], "unknown genre 'Opera' in movie; known: Action, "),
        (["--rated", "#1=4", "--diversity", "0.7", "--calibration", "0.7"], "together are more than 1; lower one"),
        (["--rated", "#1=4", "--model", "ease", "--model", "popularity"], "only one '--model'"),
    ],
)
def test_an_input_that_cannot_be_parsed_is_an_error_in_one_line(movie_run: Any, words: list[str], said: str) -> None:
    done = recommend(movie_run, *words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert said in done.stderr


def test_why_names_titles_of_the_user_for_published_and_live_lists(
    movie_run: Any, liked: list[tuple[int, str]]
) -> None:
    ((user,),) = published(movie_run, "SELECT min(user_id) FROM recommendations")
    owned = {item for (item,) in published(movie_run, f"SELECT item_id FROM user_history WHERE user_id = {user}")}
    done = recommend(movie_run, "--user", str(user), "--model", "ease", "-n", "5", "--why", "--json")
    assert done.returncode == 0, done.stderr
    items = json.loads(done.stdout)["recommendations"]
    assert any(item["because"] for item in items)
    assert {reason["item_id"] for item in items for reason in item["because"]} <= owned

    words = [word for _, title in liked for word in ("--liked", title)]
    done = recommend(movie_run, *words, "--model", "ease", "-n", "3", "--why")
    assert done.returncode == 0, done.stderr
    assert "because of" in done.stdout
