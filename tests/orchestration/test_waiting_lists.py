"""Lists that wait until a person approves or rejects them."""

import json
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from retraining import FEATURES, TABLES, Retraining
from typed_command import Typed

from recsys_dagster.errors import RecsysError
from recsys_dagster.lifecycle import publication, waiting
from recsys_dagster.lifecycle.backup import restore_backup, write_backup
from recsys_dagster.lifecycle.pending import published_history
from recsys_dagster.lifecycle.promotion import promote
from recsys_dagster.lifecycle.rollback import rollback
from recsys_dagster.lifecycle.waiting import approve, find_waiting, reject, require_waiting
from recsys_dagster.model_store.decisions import read_rejections
from recsys_dagster.reports.collect import collect_report
from recsys_dagster.reports.page import write_report
from recsys_dagster.settings import Settings


@pytest.fixture(scope="module")
def waits(tmp_path_factory: pytest.TempPathFactory) -> Retraining:
    """A home in which user_item_bias is published, and the lists of ease wait."""
    settings = Settings(
        home=tmp_path_factory.mktemp("waiting"), datasets={"movie": "sample-movie"}, models=("all",), _env_file=None
    )
    home = Retraining(settings)
    assert home.materialize(*TABLES, *FEATURES).success
    assert home.train("popularity", "user_item_bias").success
    home = Retraining(settings.model_copy(update={"promotion": "manual"}))
    assert home.train("ease").success
    return home


@pytest.fixture
def home(waits: Retraining, tmp_path: Path) -> Retraining:
    """A copy of it."""
    shutil.copytree(waits.settings.home, tmp_path / "home")
    return Retraining(waits.settings.model_copy(update={"home": tmp_path / "home"}))


def state(home: Retraining) -> tuple[Any, ...]:
    """What readers see, and the history."""
    return home.lists(), published_history(home.run.layout, "movie")


def test_nothing_that_readers_see_changes_until_the_lists_are_approved(home: Retraining) -> None:
    layout = home.run.layout
    before, decisions = state(home)
    assert {row[-2] for row in before} == {"user_item_bias"}
    left = require_waiting(layout, "movie")
    assert left.decision.model == "ease"
    assert left.decision.reason.startswith("ease beats user_item_bias on validation by NDCG@10 +")
    with duckdb.connect(layout.waiting("movie"), read_only=True) as connection:
        query = "SELECT user_id, rank, item_id, score, model, version FROM recommendations ORDER BY user_id, rank"
        lists = connection.execute(query).fetchall()

    with home.run as run:
        approve(run, "looks good")
    assert home.lists() == lists
    last = published_history(layout, "movie")[-1]
    assert (last.model, last.by, last.previous_model) == ("ease", "hand", "user_item_bias")
    assert last.reason == f"{left.decision.reason}; looks good"
    assert published_history(layout, "movie")[:-1] == decisions
    assert find_waiting(layout, "movie") is None
    assert rollback(layout, "movie", "after all").model == "user_item_bias"
    assert home.lists() == before


def test_the_review_says_what_changes_for_whom(home: Retraining) -> None:
    review = require_waiting(home.run.layout, "movie").review
    with duckdb.connect() as connection:
        for name, path in (("old", home.run.layout.published("movie")), ("new", home.run.layout.waiting("movie"))):
            connection.execute(f"ATTACH '{path}' AS {name} (READ_ONLY)")
        heads = {
            name: {
                user: set(items)
                for user, items in connection.execute(
                    f"SELECT user_id, list(item_id) FROM {name}.recommendations WHERE rank <= 10 GROUP BY user_id"
                ).fetchall()
            }
            for name in ("old", "new")
        }
    shares = {user: len(items & heads["old"][user]) / len(items) for user, items in heads["new"].items()}
    assert [part.part for part in review.parts] == ["all", "light", "medium", "heavy"]
    assert review.parts[0].users == len(shares)
    assert review.parts[0].kept == pytest.approx(sum(shares.values()) / len(shares))
    assert sum(part.users for part in review.parts[1:]) == len(shares)
    old, new = (set().union(*heads[name].values()) for name in ("old", "new"))
    assert (review.gained, review.lost) == (len(new - old), len(old - new))
    assert review.rising[0].new - review.rising[0].live == max(
        sum(item in head for head in heads["new"].values()) - sum(item in head for head in heads["old"].values())
        for item in new
    )
    assert len(review.users) == 20
    kept = [user.kept for user in review.users]
    assert kept == sorted(kept)
    assert review.users[0].kept == round(10 * min(shares.values()))
    assert all(len(user.live) == len(user.new) == 10 for user in review.users)
    ndcg = review.metrics[0]
    assert ndcg.metric == "NDCG@10"
    assert ndcg.live is not None
    assert ndcg.new is not None
    assert ndcg.new.low is not None
    assert ndcg.new.low < ndcg.new.value
    assert ndcg.new.value > ndcg.live.value


def test_rejected_lists_are_gone_and_stay_in_the_history(home: Retraining) -> None:
    layout, before = home.run.layout, state(home)
    with home.run:
        reject(layout, "movie", "too many sequels")
    assert state(home) == before
    assert find_waiting(layout, "movie") is None
    assert not layout.waiting("movie").exists()
    (rejection,) = read_rejections(layout, "movie")
    assert (rejection.decision.model, rejection.reason) == ("ease", "too many sequels")
    with home.run, pytest.raises(RecsysError, match="no lists of movie wait"):
        reject(layout, "movie", "again")
    with home.run as run, pytest.raises(RecsysError, match="no lists of movie wait"):
        approve(run, "too late")


def test_a_run_replaces_lists_that_wait_and_says_so(home: Retraining) -> None:
    first, before = require_waiting(home.run.layout, "movie"), state(home)
    with duckdb.connect(home.run.layout.waiting("movie")) as connection:  # made a while ago
        connection.execute("UPDATE provenance SET created_at = created_at - INTERVAL 1 HOUR")
    made = home.run.layout.review("movie")
    made.write_text(made.read_text().replace(first.lists.made_at.isoformat(), _an_hour_before(first)))
    assert home.materialize("serving/champion", "serving/lists", "serving/recommendations").success
    second = require_waiting(home.run.layout, "movie")
    assert second.replaced is not None
    assert second.replaced != second.lists
    assert ", in the place of ease's of " in waiting.describe_waiting("movie", second)
    assert state(home) == before


def _an_hour_before(left: waiting.Waiting) -> str:
    return (left.lists.made_at - timedelta(hours=1)).isoformat()


def test_a_failed_run_leaves_the_lists_that_wait(home: Retraining) -> None:
    left = require_waiting(home.run.layout, "movie")
    assert home.materialize("serving/champion", "serving/lists").success
    home.spoil("built", "DELETE FROM recommendations WHERE user_id = 1")
    assert not home.materialize("serving/recommendations").success
    assert find_waiting(home.run.layout, "movie") == left


@pytest.mark.parametrize("killed_after_the_swap", [False, True])
def test_an_approval_that_is_killed_has_happened_or_not(
    home: Retraining, monkeypatch: pytest.MonkeyPatch, killed_after_the_swap: bool
) -> None:
    before, layout, swap = state(home), home.run.layout, publication.swap_in

    def die(*paths: Path) -> None:
        if killed_after_the_swap:
            swap(*paths)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt), home.run as run:
        patched.setattr(publication, "swap_in", die)
        approve(run, "looks good")
    if killed_after_the_swap:
        assert {row[-2] for row in home.lists()} == {"ease"}
        assert published_history(layout, "movie")[-1].model == "ease"
        assert find_waiting(layout, "movie") is None
    else:
        assert state(home) == before
        with home.run as run:
            approve(run, "once more")
        assert published_history(layout, "movie")[-1].model == "ease"


def test_a_run_that_is_killed_while_it_leaves_lists_harms_nobody(
    home: Retraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, layout = state(home), home.run.layout
    assert home.materialize("serving/champion", "serving/lists").success

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with duckdb.connect(layout.built("movie")) as connection:
        connection.execute("UPDATE provenance SET created_at = created_at + INTERVAL 1 HOUR")
    with monkeypatch.context() as patched, home.run as run, pytest.raises(KeyboardInterrupt):
        patched.setattr(waiting, "write_json", die)
        waiting.leave_waiting(run)
    assert state(home) == before
    assert find_waiting(layout, "movie") is None
    with home.run as run, pytest.raises(RecsysError, match="incomplete, as a run was killed"):
        approve(run, "looks good")
    assert home.materialize("serving/champion", "serving/lists", "serving/recommendations").success
    assert require_waiting(layout, "movie").decision.model == "ease"


def test_lists_are_approved_without_the_warehouse(home: Retraining) -> None:
    home.run.layout.warehouse("movie").unlink()
    with home.run as run:
        assert approve(run, "looks good").model == "ease"
    assert {row[-2] for row in home.lists()} == {"ease"}


def test_lists_that_were_compared_with_others_than_the_live_ones_are_not_approved(home: Retraining) -> None:
    with home.run as run:
        promote(run, "popularity", None, "in a hurry")
    before = state(home)
    with home.run as run, pytest.raises(RecsysError, match=r"compared with user_item_bias's of .* now popularity's of"):
        approve(run, "looks good")
    assert state(home) == before
    assert find_waiting(home.run.layout, "movie") is not None


def test_lists_with_what_a_rule_forbids_by_now_are_not_approved(home: Retraining) -> None:
    before, rules = state(home), home.run.layout.rules("movie")
    rules.parent.mkdir()
    rules.write_text("never: {genres: [Drama]}")
    with home.run as run, pytest.raises(RecsysError, match=r"a rule forbids \(never.genres: Drama\): expected 0"):
        approve(run, "looks good")
    assert state(home) == before


def test_the_commands_show_approve_reject_and_remember(
    home: Retraining, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RECSYS_HOME", str(home.settings.home))
    typed = Typed(capsys, "review", "-d", "movie")
    assert typed.code == 0
    assert "ease beats user_item_bias on validation" in typed.out
    for words in ("metric on validation", "light", "title", "live", "waits", "recsys approve --domain movie"):
        assert words in typed.out
    assert json.loads(Typed(capsys, "review", "-d", "movie", "--json").out)["decision"]["model"] == "ease"
    rejected = Typed(capsys, "reject", "-d", "movie", "--reason", "too many sequels")
    assert rejected.out.endswith("; the lists of user_item_bias stay\n")
    again = Typed(capsys, "approve", "-d", "movie")
    assert again.code == 1
    assert again.err.count("\n") == 1
    assert "no lists of movie wait" in again.err
    latest = json.loads(Typed(capsys, "history", "-d", "movie", "--json").out)[0]
    assert (latest["rejected"], latest["model"]) == (True, "ease (rejected)")
    assert latest["reason"].startswith("rejected: too many sequels; ease beats")

    assert home.materialize("serving/champion", "serving/lists", "serving/recommendations").success
    approved = Typed(capsys, "approve", "-d", "movie", "--reason", "on second thoughts")
    assert approved.code == 0
    assert approved.out.startswith("movie: published the lists of ease ")
    rows = json.loads(Typed(capsys, "history", "-d", "movie", "--json").out)
    assert [row["rejected"] for row in rows] == [False, True, False]
    assert rows[0]["reason"].endswith("; on second thoughts")


def test_lists_that_wait_are_in_a_backup_and_can_be_approved_where_it_is_restored(
    home: Retraining, tmp_path: Path
) -> None:
    write_backup(home.run.layout, tmp_path / "state.tar")
    restored = Retraining(home.settings.model_copy(update={"home": tmp_path / "restored"}))
    restore_backup(tmp_path / "state.tar", restored.run.layout)
    assert state(restored) == state(home)
    assert require_waiting(restored.run.layout, "movie") == require_waiting(home.run.layout, "movie")
    with restored.run as run:
        approve(run, "looked at there")
    assert {row[-2] for row in restored.lists()} == {"ease"}
    assert find_waiting(home.run.layout, "movie") is not None


def test_an_automatic_run_publishes_and_removes_lists_that_wait(home: Retraining) -> None:
    keys = ("serving/champion", "serving/lists", "serving/recommendations")
    assert home.materialize(*keys, promotion="automatic").success
    assert {row[-2] for row in home.lists()} == {"ease"}
    assert find_waiting(home.run.layout, "movie") is None


def test_the_first_lists_wait_too_and_the_command_says_so_with_an_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(home=tmp_path / "home", models=("popularity",), promotion="manual", _env_file=None)
    home = Retraining(settings)
    for name, value in {"HOME": str(settings.home), "MODELS": "popularity", "PROMOTION": "manual"}.items():
        monkeypatch.setenv(f"RECSYS_{name}", value)
    typed = Typed(capsys, "run", "--domain", "movie")
    assert typed.code == 4
    last = typed.err.splitlines()[-1]
    assert last.startswith("recsys: movie: the lists of ")
    assert last.endswith(" wait for approval; look at them with `recsys review --domain movie`")
    assert not home.run.layout.published("movie").exists()
    page = home.run.layout.report("movie").read_text(encoding="utf-8")
    assert "Lists that wait for approval" in page
    assert "Nothing is published yet." in page
    with home.run as run:
        approve(run, "the first")
    assert home.lists()
    with home.run as run:
        write_report(run.layout.report("movie"), collect_report(run))
    assert "Lists that wait" not in home.run.layout.report("movie").read_text(encoding="utf-8")
