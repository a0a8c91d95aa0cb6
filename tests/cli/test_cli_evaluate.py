import json
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from handmade import build
from split_files import TEST, TRAIN, write_pairs, write_titles
from typed_command import Typed

from recsys_dagster.domains import BUILT_IN_DOMAINS, default_like_threshold
from recsys_dagster.models.registry import model_names


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command on a small split, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    write_pairs(tmp_path / "train.parquet", TRAIN)
    write_pairs(tmp_path / "test.parquet", TEST)
    return ["evaluate", "--train", "train.parquet", "--test", "test.parquet", "--scale", "1", "5", "--out", "out"]


def test_models_are_compared_in_a_table_and_the_results_kept(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str]
) -> None:
    typed = Typed(capsys, *words, "--models", "popularity, user_item_bias,ease,item_knn,genre_similarity")

    assert typed.code == 0
    header, *rows, definitions, skipped = typed.out.splitlines()
    assert re.split(r"\s{2,}", header.strip()) == [
        "model", "rmse", "mae", "interval_coverage", "interval_width",
        "capped_recall@20", "capped_recall@50", "ndcg@100", "ndcg@10", "fit s", "peak MB",
    ]  # fmt: skip
    assert [row.split()[0] for row in rows] == ["popularity", "user_item_bias", "ease", "item_knn"]
    assert "capped_recall@k: hits@k / min(k, relevant items of the user)" in definitions
    written = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert written["split"]["like_threshold"] == 4
    assert rows[1].split()[1] == f"{written['models']['user_item_bias']['metrics']['rmse']:.4f}"
    assert rows[0].split()[1] == "0.5000", "no error of a model that predicts no ratings: recall comes first"
    assert skipped.rstrip() == "genre_similarity skipped: needs the genres of the items; give --titles"
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.parquet")) == [
        "ease.parquet", "item_knn.parquet", "popularity.parquet", "user_item_bias.parquet", "user_item_bias.parquet",
    ]  # fmt: skip
    assert "popularity (1 of 5)" in typed.err
    assert "user_item_bias: rmse 1." in typed.err


def test_new_users_get_lists_by_their_history(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str]
) -> None:
    write_pairs(tmp_path / "fold_in.parquet", [(7, 100, 5), (8, 200, None)])
    write_pairs(tmp_path / "test.parquet", [(7, 200, 4), (8, 100, None)])
    write_titles(tmp_path / "titles.parquet", {100: ["Drama"], 200: ["Crime", "Drama"], 300: ["Crime"]})
    more = ["--fold-in", "fold_in.parquet", "--titles", "titles.parquet", "--models", "genre_similarity,bayesian_fm"]
    typed = Typed(capsys, *words, *more)

    assert typed.code == 0
    assert "bayesian_fm skipped: cannot serve users who are not in the training part" in typed.out
    lists = pq.read_table(tmp_path / "out/lists/genre_similarity.parquet").to_pylist()
    assert {(row["user_id"], row["item_id"]) for row in lists} == {(7, 200), (7, 300), (8, 100), (8, 300)}
    assert not (tmp_path / "out/predictions").exists()


def test_the_default_like_threshold_of_a_scale_agrees_with_the_domains() -> None:
    for domain in BUILT_IN_DOMAINS.values():
        assert default_like_threshold(domain.scale) == domain.like_threshold
    assert default_like_threshold((1, 5)) == 4
    assert default_like_threshold((0, 100)) == 78


def test_the_like_threshold_can_be_chosen(capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str]) -> None:
    Typed(capsys, *words, "--models", "popularity", "--like-threshold", "5")
    written = json.loads((tmp_path / "out/metrics.json").read_text())
    assert written["split"]["like_threshold"] == 5
    # 10 now likes only 400, which no list can hold; 20 likes 400 too; 30 likes 300, listed second.
    assert written["models"]["popularity"]["metrics"]["capped_recall@20"] == pytest.approx(1 / 3)


def test_an_unknown_model_is_refused_with_the_list_before_anything_is_read(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str]
) -> None:
    (tmp_path / "train.parquet").unlink()
    typed = Typed(capsys, *words, "--models", "ease,easy")
    assert (typed.code, typed.out) == (2, "")
    assert typed.err == f"recsys: unknown model 'easy'; known: {', '.join(model_names())}\n"


@pytest.mark.parametrize("more", ["--scale 5 1", "--like-threshold 6", "--like-threshold 1"])
def test_a_scale_or_threshold_that_cannot_be_is_a_wrong_option(
    capsys: pytest.CaptureFixture[str], words: list[str], more: str
) -> None:
    typed = Typed(capsys, *words, *more.split())
    assert (typed.code, typed.out) == (2, "")
    assert re.fullmatch(r"recsys: .*like threshold of .* on a scale from .*\n", typed.err)


def test_a_missing_column_is_one_line_that_names_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str]
) -> None:
    path = tmp_path / "test.parquet"
    pq.write_table(pq.read_table(path).rename_columns(["user", "item_id", "rating"]), path)
    typed = Typed(capsys, *words, "--models", "popularity")
    assert (typed.code, typed.out) == (1, "")
    assert typed.err == (
        "recsys: test.parquet: no column user_id (BIGINT or VARCHAR; which user), only user, item_id, rating; "
        "add it or rename one\n"
    )


def test_when_every_model_is_skipped_the_exit_code_is_1(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    typed = Typed(capsys, *words, "--models", "genre_similarity")
    assert typed.code == 1
    assert "genre_similarity skipped: needs the genres of the items" in typed.out
    assert typed.err.endswith("recsys: every model was skipped; the reasons are given above\n")


def test_help_imports_nothing_that_takes_seconds() -> None:
    code = (
        "import sys; from recsys_dagster.cli.main import _run\n"
        "assert _run(['evaluate', '--help']) == 0\n"
        "heavy = 'tensorflow keras pandas dagster sklearn matplotlib pyarrow scipy numpy duckdb'.split()\n"
        "print(set(heavy) & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "set()"
    assert "recsys evaluate --train train.parquet" in done.stdout


def test_a_domain_is_split_by_a_protocol_and_the_split_is_kept(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path))
    titles = "movieId,title,genres\n" + "".join(f"{n},Title {n} (1999),Drama\n" for n in range(1, 11))
    ratings = "userId,movieId,rating,timestamp\n" + "".join(
        f"{user},{item},{4 + (user + item) % 2},{1_000_000_000 + user}\n"
        for user in range(1, 21)
        for item in range(1, 11)
    )
    files = {"movies.csv": titles, "ratings.csv": ratings}
    build(tmp_path, "movielens", files, features=True)
    typed = Typed(capsys, "evaluate", "-d", "movie", "-p", "strong-generalisation", "-m", "ease,popularity,bayesian_fm")

    assert typed.code == 0
    header, *rows, _, skipped = typed.out.splitlines()
    assert re.split(r"\s{2,}", header.strip())[:4] == ["model", "capped_recall@20", "capped_recall@50", "ndcg@100"]
    assert [row.split()[:2] for row in rows] == [["ease", "1.0000"], ["popularity", "1.0000"]], (
        "ten titles are all shown"
    )
    assert skipped.startswith("bayesian_fm skipped: cannot serve users who are not in the training part")
    out = tmp_path / "evaluation/movie/protocols/strong-generalisation"
    assert json.loads((out / "metrics.json").read_text())["split"]["train_users"] == 10
    again = [str(out / "split" / f"{part}.parquet") for part in ("train", "test", "fold_in", "items")]
    options = [
        word for pair in zip(("--train", "--test", "--fold-in", "--titles"), again, strict=True) for word in pair
    ]
    own = Typed(capsys, "evaluate", *options, "--scale", "0.5", "5", "--out", str(tmp_path / "own"), "-m", "ease")
    assert own.out.splitlines()[1].split()[:5] == rows[0].split()[:5], "the files that are kept are the split itself"


def test_a_paper_s_protocol_takes_the_paper_s_split_and_like_threshold(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path))
    titles = "movieId,title,genres\n" + "".join(f"{n},Title {n} (1999),Drama\n" for n in range(1, 11))
    ratings = "userId,movieId,rating,timestamp\n" + "".join(
        f"{user},{item},{3.5 + (user + item) % 2},{1_000_000_000 + user}\n"
        for user in range(1, 21)
        for item in range(1, 11)
    )
    build(tmp_path, "movielens", {"movies.csv": titles, "ratings.csv": ratings}, features=True)
    typed = Typed(capsys, "evaluate", "-d", "movie", "-p", "paper-001", "-m", "like_naive_bayes")
    assert typed.code == 0
    written = json.loads((tmp_path / "evaluation/movie/protocols/paper-001/metrics.json").read_text())
    assert list(written["models"]) == ["like_naive_bayes"]
    assert written["split"]["like_threshold"] == 4
    assert written["split"]["train_pairs"] + written["split"]["test_pairs"] == 200
    other = Typed(capsys, "evaluate", "-d", "movie", "-p", "paper-003")
    assert other.code == 2
    assert "no protocol 'paper-003' for the domain 'movie'; known: paper-000, paper-001, paper-002" in other.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--domain movie", "'--protocol' goes together with '--domain' or '--dataset'"),
        ("--protocol random", "'--protocol' goes together with '--domain' or '--dataset'"),
        ("--domain movie --dataset ml-1m --protocol random", "either '--domain' or '--dataset'"),
        (
            "--domain movie --protocol random --scale 1 5",
            "either '--domain' or '--dataset' with '--protocol', or a split of your own",
        ),
        ("--train a.parquet", "--test and --out missing; or name a '--domain' and a '--protocol'"),
        ("--train a.csv --test b.csv --out c --like-threshold 4", "'--like-threshold' is for ratings: give their"),
        ("--domain movie --protocol sideways", "unknown protocol 'sideways'; known: holdout, random, "),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    capsys: pytest.CaptureFixture[str], words: str, message: str
) -> None:
    typed = Typed(capsys, "evaluate", *words.split())
    assert (typed.code, typed.out) == (2, "")
    assert message in typed.err


def test_the_spread_over_seeds_is_shown_for_models_that_are_random(
    capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    typed = Typed(capsys, *words, "--models", "als,popularity", "--seeds", "2")
    als, popularity, _ = typed.out.splitlines()[1:]
    assert re.match(r"als +[\d.]+ ± 0\.\d{4} ", als)
    assert "±" not in popularity


def test_implicit_feedback_needs_neither_ratings_nor_a_scale(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plays = [f"{user},{item},{n + 1}" for n, user in enumerate("abcdef") for item in ("x1", "x2", f"y{n % 2}")]
    Path("plays.csv").write_text("\n".join(["user_id,item_id,weight", *plays]))
    Path("later.csv").write_text("user_id,item_id\na,y1\nb,y0\n")
    words = ["evaluate", "--train", "plays.csv", "--test", "later.csv", "--out", "out", "--models"]
    typed = Typed(capsys, *words, "implicit_als,ease,popularity,als,like_logistic")

    assert typed.code == 0
    header, *rows, _, als, likes = typed.out.splitlines()
    assert "rmse" not in header
    assert [row.split()[0] for row in rows] == ["implicit_als", "ease", "popularity"]
    assert als.rstrip() == "als skipped: needs ratings, and these data are implicit feedback"
    assert likes.startswith("like_logistic skipped: needs ratings")
    lists = pq.read_table("out/lists/ease.parquet").to_pylist()
    assert [(row["user_id"], row["item_id"]) for row in lists][:2] == [("a", "y1"), ("b", "y0")]
    written = json.loads(Path("out/metrics.json").read_text())
    assert written["split"]["scale"] is written["split"]["like_threshold"] is None
    assert written["models"]["popularity"]["metrics"]["ndcg@10"] == 1, "every item of the test is relevant"
