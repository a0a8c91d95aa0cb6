"""Retrains of MovieLens, one after the other: who becomes champion, what is published, and the way back."""

import os
import re
import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from retraining import FEATURES, PUBLISHING, TABLES, Retraining

from recsys_dagster.cli import main as cli
from recsys_dagster.errors import RecsysError
from recsys_dagster.lifecycle import publication
from recsys_dagster.lifecycle.pending import choice_of_gate, published_history, settle
from recsys_dagster.lifecycle.promotion import promote
from recsys_dagster.lifecycle.rollback import rollback
from recsys_dagster.model_store.store import ModelStore
from recsys_dagster.models.registry import get_model_class
from recsys_dagster.orchestration.instance import open_instance
from recsys_dagster.reports.collect import collect_report
from recsys_dagster.runtime.resource_usage import ResourceUsage
from recsys_dagster.serving.lookup import open_without_lock
from recsys_dagster.settings import Settings
from recsys_dagster.warehouse.arrays import id_map_hash, load_training_data

MIRROR = os.environ.get("RECSYS_MIRROR")
pytestmark = pytest.mark.skipif(not MIRROR, reason="RECSYS_MIRROR names no mirror of the real datasets")

ASSETS = (("champion", "chosen_model"), ("recommendations", "model"))


@pytest.fixture(scope="module")
def retrained(tmp_path_factory: pytest.TempPathFactory) -> Retraining:
    """After a first run with the damped bias and popularity."""
    home = Retraining(
        Settings(
            home=tmp_path_factory.mktemp("retraining"),
            mirror=MIRROR,
            datasets={"movie": "ml-latest-small"},
            models=("all",),
            _env_file=None,
        )
    )
    assert home.materialize(*TABLES, *FEATURES).success
    assert home.train("popularity", "user_item_bias").success
    return home


@pytest.fixture
def home(retrained: Retraining, tmp_path: Path) -> Retraining:
    """A copy of that, to be retrained further."""
    shutil.copytree(retrained.settings.home, tmp_path / "home")
    return Retraining(retrained.settings.model_copy(update={"home": tmp_path / "home"}))


@pytest.fixture
def sample(tmp_path: Path) -> Retraining:
    """A home with the generated sample, whose 400 users tell the models apart."""
    home = Retraining(
        Settings(home=tmp_path / "sample", datasets={"movie": "sample-movie"}, models=("all",), _env_file=None)
    )
    assert home.materialize(*TABLES, *FEATURES).success
    assert home.train("popularity", "user_item_bias").success
    return home


def metadata(result: dg.ExecuteInProcessResult, key: str) -> dict[str, dg.MetadataValue]:
    return dict(result.asset_materializations_for_node(key.replace("/", "__"))[0].metadata)


def failed_checks(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    return {e.check_name: e.description or "" for e in result.get_asset_check_evaluations() if not e.passed}


def test_a_worse_challenger_is_refused_a_better_one_promoted_and_rolled_back(sample: Retraining) -> None:
    first = sample.lists()
    shuffled = sample.save_shuffled("als")
    refused = sample.materialize("evaluation/als", *PUBLISHING)
    assert refused.success
    assert ModelStore(sample.run.layout).champion("movie")[0] == "user_item_bias"
    assert "| als |" in metadata(refused, "serving/champion")["challengers"].value
    assert ModelStore(sample.run.layout).current_versions("movie")["als"] == shuffled

    promoted = sample.train("ease")
    assert promoted.success
    reason = metadata(promoted, "serving/champion")["reason"].value
    assert reason.startswith("ease beats user_item_bias on validation")
    assert "after Holm's correction for 3 challengers" in reason
    assert "user_item_bias stays; of " in metadata(promoted, "serving/recommendations")["history"].value
    assert 0 < metadata(promoted, "serving/lists")["overlap_with_published_top_10"].value < 1
    assert sample.lists() != first

    back = rollback(sample.run.layout, "movie", "for the test")
    assert back.model == "user_item_bias"
    assert sample.lists() == first
    assert sample.said() == [
        (None, "user_item_bias", "gate"),
        ("user_item_bias", "user_item_bias", "gate"),
        ("user_item_bias", "ease", "gate"),
        ("ease", "user_item_bias", "hand"),
    ]
    # The run that refused als had published user_item_bias too; before it is the first run.
    assert rollback(sample.run.layout, "movie", "further").model == "user_item_bias"
    with pytest.raises(RecsysError, match="no lists to go back to"):
        rollback(sample.run.layout, "movie", "once more")
    assert sample.lists() == first


def test_a_champion_that_the_run_skipped_or_gave_other_parameters_is_fitted_again(
    home: Retraining,
) -> None:
    store, index = ModelStore(home.run.layout), id_map_hash(home.run.warehouse)
    kind = get_model_class("item_knn")
    data = load_training_data(home.run.warehouse)

    def save(params: Any) -> str:
        model = kind(params).fit(data)
        return store.save("movie", model, data_version="d", id_map_hash=index, usage=ResourceUsage())

    champion = save(kind.params_type())
    store.set_champion("movie", store.decide("movie", "item_knn", champion, reason="for the test", by="hand"))
    challenger = save(kind.params_type(neighbours=1))
    assert home.materialize("evaluation/item_knn", *PUBLISHING).success
    name, version = store.champion("movie")
    assert name == "item_knn"
    assert version not in (champion, challenger)
    assert store.record("movie", "item_knn", version).params == kind.params_type().model_dump()
    assert store.record("movie", "item_knn", version).metrics["validation_ndcg_10"] == pytest.approx(0.1384, abs=1e-3)
    assert store.current_versions("movie")["item_knn"] == challenger


def test_a_champion_that_fails_on_the_new_data_gives_way_to_the_best_that_is_left(
    home: Retraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError("too large")

    with monkeypatch.context() as patched:
        patched.setattr(get_model_class("user_item_bias"), "_fit", fail)
        home.materialize("models/user_item_bias", "evaluation/user_item_bias")
        assert home.materialize("serving/champion").success
    chosen = choice_of_gate(home.run.layout, "movie")
    assert chosen is not None
    assert chosen.model == "popularity"
    assert chosen.reason.startswith("the champion could not be fitted on today's data (user_item_bias failed: ")


def test_by_hand_any_version_can_be_promoted_and_its_reason_is_published(home: Retraining) -> None:
    version = ModelStore(home.run.layout).current_versions("movie")["popularity"]
    provenance = promote(home.run, "popularity", version, "the most popular, please")
    assert (provenance.model, provenance.version) == ("popularity", version)
    with duckdb.connect(home.run.layout.published("movie"), read_only=True) as connection:
        rows = connection.execute('SELECT previous_model, model, "by", reason FROM history ORDER BY "at"').fetchall()
    assert rows[1:] == [("user_item_bias", "popularity", "hand", "the most popular, please")]
    assert len(rows) == 2


def test_the_page_names_the_published_champion_and_why_a_better_one_was_not_taken(home: Retraining) -> None:
    assert home.materialize("explore/profile").success
    promote(home.run, "popularity", None, "the most popular, please")
    report = collect_report(home.run)
    assert report.fold_cuts.startswith("folds are cut by time, at ")
    champion, reason, *others = report.champion_verdicts
    assert report.provenance.model == "popularity"
    assert report.leaderboard.leader == "user_item_bias"
    assert champion.startswith("popularity is the champion: NDCG@10 ")
    assert reason == "It was chosen by hand (the most popular, please)."
    assert others[0].startswith("user_item_bias is better on test: ")
    assert others[0].endswith(" It was not taken: the champion was chosen by hand.")
    difference = {row.model: row.difference for row in report.leaderboard.rows}
    assert difference["popularity"] is None
    assert difference["user_item_bias"] is not None


def test_what_cannot_be_loaded_is_not_promoted(home: Retraining) -> None:
    with pytest.raises(RecsysError, match="train ease first"):
        promote(home.run, "ease", None, "why not")
    assert len(home.said()) == 1


def test_a_promotion_goes_by_what_the_warehouse_was_built_of_and_needs_no_archive(home: Retraining) -> None:
    shutil.rmtree(home.run.layout.raw("ml-latest-small"))
    forgetful = Retraining(home.settings.model_copy(update={"datasets": {}, "mirror": None}))
    with forgetful.run as run:
        provenance = promote(run, "popularity", None, "for the test")
    assert provenance.dataset == "ml-latest-small"
    assert "GroupLens" in provenance.licence


def test_a_promotion_whose_lists_fail_a_check_changes_nothing(
    home: Retraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, decisions = home.lists(), home.said()
    home.spoil("warehouse", "DELETE FROM clean.items WHERE item_id = 356")
    with home.run as run, pytest.raises(RecsysError, match="recommended items are missing"):
        promote(run, "popularity", None, "for the test")
    assert (home.lists(), home.said()) == (before, decisions)


@pytest.mark.parametrize("killed_after_the_swap", [False, True])
def test_a_promotion_that_is_killed_has_happened_or_not(
    home: Retraining, monkeypatch: pytest.MonkeyPatch, killed_after_the_swap: bool
) -> None:
    before, decisions, layout = home.lists(), home.said(), home.run.layout
    swap = publication.swap_in

    def die(*paths: Path) -> None:
        if killed_after_the_swap:
            swap(*paths)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt), home.run as run:
        patched.setattr(publication, "swap_in", die)
        promote(run, "popularity", None, "for the test")
    (published,) = {row[-2] for row in home.lists()}
    assert published_history(layout, "movie")[-1].model == published
    with home.run as run:
        settle(run.layout, "movie")
        settle(run.layout, "movie")
    if killed_after_the_swap:
        assert home.said() == [*decisions, ("user_item_bias", "popularity", "hand")]
        assert home.lists() != before
        assert rollback(home.run.layout, "movie", "back").model == "user_item_bias"
    else:
        assert (home.lists(), home.said()) == (before, decisions)


def test_a_choice_of_the_gate_counts_only_once_its_lists_are_published(
    sample: Retraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, before = sample.run.layout, sample.lists()
    keys = ("models/ease", "evaluation/ease", "evaluation/leaderboard", "serving/champion", "serving/lists")
    assert sample.materialize(*keys).success
    chosen = choice_of_gate(layout, "movie")
    assert chosen is not None
    assert chosen.model == "ease"
    sample.spoil("built", FAULTY_LISTS["every_user_has_a_list"])
    assert not sample.materialize("serving/recommendations").success
    assert [row.model for row in published_history(layout, "movie")] == ["user_item_bias"]
    assert ModelStore(layout).champion("movie")[0] == "user_item_bias"
    assert sample.lists() == before

    assert sample.materialize("serving/lists").success
    with monkeypatch.context() as patched:
        patched.setattr(publication, "settle", lambda *_: None)  # as if the process was killed after the swap
        assert sample.materialize("serving/recommendations").success
    assert sample.lists() != before
    assert published_history(layout, "movie")[-1] == chosen
    assert rollback(layout, "movie", "for the test").model == "user_item_bias"
    assert sample.lists() == before
    assert sample.said() == [
        (None, "user_item_bias", "gate"),
        ("user_item_bias", "ease", "gate"),
        ("ease", "user_item_bias", "hand"),
    ]
    assert published_history(layout, "movie")[-1].reason == "for the test"


@pytest.mark.parametrize(
    ("statement", "check", "said"),
    [
        (
            "INSERT INTO features.interactions SELECT * REPLACE ('test' AS fold) FROM features.interactions LIMIT 3",
            "no_pair_is_in_two_folds",
            "repeated (user, item) pairs: expected 0, found 3",
        ),
        (
            """UPDATE features.interactions SET "at" = TIMESTAMP '2030-01-01' WHERE fold = 'train' AND item_idx = 0""",
            "folds_follow_each_other_in_time",
            "found 2030-01-01 00:00:00",
        ),
        (
            "UPDATE features.user_genre_taste SET mean_rating = mean_rating + 0.01 WHERE user_idx = 0",
            "tastes_are_of_the_training_fold",
            "expected 0, found ",
        ),
        ("UPDATE clean.ratings SET rating = 6 WHERE user_id = 1", "ratings_are_on_the_scale", "expected 0, found 232"),
        ("DELETE FROM clean.items WHERE item_id = 1", "nothing_is_orphaned", "expected 0, found 215"),
        (
            "DELETE FROM clean.ratings WHERE user_id <= 100",
            "volumes_are_as_before",
            "ratings: expected 90,752 to 201,672, found ",
        ),
        (
            "UPDATE clean.ratings SET rating = 0.5 WHERE item_id % 2 = 0",
            "ratings_are_distributed_as_before",
            "stability index of the ratings: expected at most 0.25, found ",
        ),
        (
            "UPDATE clean.ratings SET item_id = 1 WHERE user_id % 2 = 0",
            "items_are_as_popular_as_before",
            "stability index of the popularity of items: expected at most 0.25, found ",
        ),
        (
            "UPDATE clean.source_files SET kept = kept - 1 WHERE source_file = 'ratings.csv'",
            "every_row_is_kept_or_rejected",
            "rows of ratings.csv: expected 100,836, found 100,835 kept + 0 rejected",
        ),
        (
            "INSERT INTO clean.rejected SELECT 'ratings.csv', range, 'nonsense', '' FROM range(9999)",
            "few_rows_are_rejected",
            "ratings.csv: 9.92 % of 100,836 rows were rejected (at most 5 %): nonsense 9,999, such as line 0: ``",
        ),
    ],
)
def test_a_fault_in_the_tables_turns_its_check_red(home: Retraining, statement: str, check: str, said: str) -> None:
    assert home.faults(check) == []
    home.spoil("warehouse", statement)
    (fault, *_) = home.faults(check)
    assert said in fault


FAULTY_LISTS = {
    "lists_hold_nothing_seen": "UPDATE recommendations SET item_id = 1 WHERE user_id = 1 AND rank = 1",
    "lists_hold_known_items": "UPDATE recommendations SET item_id = -1 WHERE user_id = 1 AND rank = 1",
    "lists_hold_nothing_twice": "UPDATE recommendations SET rank = 2 WHERE user_id = 1 AND rank = 1",
    "every_user_has_a_list": "DELETE FROM recommendations WHERE user_id = 1",
}


def test_faulty_lists_turn_their_check_red_and_are_not_swapped_in(home: Retraining) -> None:
    before = home.lists()
    for check, statement in FAULTY_LISTS.items():
        assert home.materialize("serving/lists").success
        assert home.faults(check) == []
        home.spoil("built", statement)
        (fault,) = home.faults(check)
        assert fault.endswith("expected 0, found 1")
        swapped = home.materialize("serving/recommendations")
        assert not swapped.success
    assert home.lists() == before


def test_a_red_check_stops_the_run_before_anything_is_trained_or_published(home: Retraining) -> None:
    before = home.lists()
    keys = (*TABLES, *FEATURES, "models/popularity", "evaluation/popularity", *PUBLISHING)
    stopped = home.materialize(*keys, volume_loss=0.0, volume_growth=0.0, max_rejected=0.0, max_drift=-1.0)
    assert not stopped.success
    assert set(failed_checks(stopped)) == {"ratings_are_distributed_as_before", "items_are_as_popular_as_before"}
    assert not stopped.asset_materializations_for_node("models__popularity")
    assert home.lists() == before
    assert home.materialize(*keys).success, "the next run is none the worse for it"


def test_the_commands_do_it_too(home: Retraining, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("RECSYS_HOME", str(home.settings.home))
    monkeypatch.setenv("RECSYS_DATASET_MOVIE", "ml-latest-small")
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    layout = home.run.layout

    def typed(*words: str) -> str:
        with pytest.raises(SystemExit) as left:
            cli.main(words)
        out, err = capsys.readouterr()
        assert left.value.code == 0, err
        return out

    def champion_everywhere() -> set[str]:
        """Return the champion by the pages, the UI and the published file."""
        page, comparison = (path.read_text("utf-8") for path in (layout.report("movie"), layout.comparison()))
        (badge,) = re.findall(r'<tr class="champion">.*?data-value="(\w+)"', page, re.DOTALL)
        (compared,) = re.findall(r"<dt>Champion</dt><dd><strong>(\w+)", comparison)
        with open_instance(layout) as instance, open_without_lock(layout.published("movie")) as published:
            shown = []
            for name, key in ASSETS:
                event = instance.get_latest_materialization_event(dg.AssetKey(["serving", name]))
                assert event is not None
                shown.append(str(event.asset_materialization.metadata[key].value))
            return {badge, compared, *shown, published.provenance().model}

    assert home.materialize("explore/profile").success
    assert "published the lists of popularity" in typed(
        "promote", "-d", "movie", "-m", "popularity", "--reason", "a | test"
    )
    assert champion_everywhere() == {"popularity"}
    assert "the lists are user_item_bias's again" in typed("rollback", "-d", "movie", "--reason", "enough")
    assert champion_everywhere() == {"user_item_bias"}
    header, last, *_ = typed("history", "-d", "movie").splitlines()
    assert header.split()[:4] == ["at", "(UTC)", "from", "to"]
    assert last.split()[2:4] == ["popularity", "user_item_bias"]
    assert last.rstrip().endswith("enough")
    assert '"reason": "a | test"' in typed("history", "-d", "movie", "--json")
