"""What a whole run leaves behind, on the sample of the movie domain."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from recsys_dagster.domains import BUILT_IN_DOMAINS
from recsys_dagster.reports.collect import collect_report
from recsys_dagster.reports.page import write_report
from recsys_dagster.warehouse.domain_run import DomainRun

pytestmark = pytest.mark.usefixtures("movie_run")


def published(run: Any, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(run.layout.published("movie"), read_only=True) as connection:
        return connection.execute(query).fetchall()


def materialized(run: Any) -> dict[str, dg.AssetMaterialization]:
    return {
        event.materialization.asset_key.to_user_string(): event.materialization
        for event in run.result.get_asset_materialization_events()
    }


def test_every_selected_asset_is_materialized(movie_run: Any) -> None:
    keys = set(materialized(movie_run))
    models = {"ease", "embedding_mlp", "popularity", "recent_popularity", "user_item_bias"}
    assert {key for key in keys if key.startswith("models/")} == {f"models/{name}" for name in models}
    assert {key for key in keys if key.startswith("evaluation/")} == {
        *(f"evaluation/{name}" for name in models),
        "evaluation/leaderboard",
    }
    assert {"raw/files", "clean/rejected", "explore/profile", "features/interactions", "serving/report"} <= keys


def test_sql_assets_show_rows_schema_and_column_lineage(movie_run: Any) -> None:
    metadata = materialized(movie_run)["clean/ratings"].metadata
    assert metadata["dagster/row_count"].value == movie_run.rows("SELECT count(*) FROM clean.ratings")[0][0] == 16_000
    schema = metadata["dagster/column_schema"].value
    assert {column.name: column.type for column in schema.columns} == {
        "user_id": "BIGINT",
        "item_id": "BIGINT",
        "rating": "FLOAT",
        "rated_at": "TIMESTAMP",
    }
    lineage = metadata["dagster/column_lineage"].value.deps_by_column
    raw = materialized(movie_run)["raw/files"].metadata["dagster/column_schema"].value
    assert {(dep.asset_key.to_user_string(), dep.column_name) for dep in lineage["rating"]} == {
        ("raw/files", "ratings.csv:rating")
    }
    assert "ratings.csv:rating" in {column.name for column in raw.columns}


def test_steps_tell_what_they_cost(movie_run: Any) -> None:
    for key in (
        "raw/files",
        "clean/items",
        "features/users",
        "models/ease",
        "evaluation/ease",
        "serving/recommendations",
    ):
        metadata = materialized(movie_run)[key].metadata
        assert metadata["wall_seconds"].value > 0
        assert metadata["peak_memory_mb"].value > 10


def test_the_page_has_a_line_for_each_step_in_the_order_they_ran_in(movie_run: Any) -> None:
    html = movie_run.layout.report("movie").read_text(encoding="utf-8")
    steps = re.findall(r'<th scope="row" data-value="([\w/]+)">', html.partition('id="usage"')[2])
    assert set(steps) >= {"raw/files", "clean_tables", "features_tables", "models/ease", "evaluation/leaderboard"}
    assert "evaluation/als" not in steps, "the run left it out"
    order = [steps.index(step) for step in ("raw/files", "clean_tables", "models/ease", "serving/champion")]
    assert order == sorted(order)
    assert "serving/report" not in steps, "not of this run: the page was not there yet"


def test_a_neural_model_shows_its_learning_curve(movie_run: Any) -> None:
    assert (
        "data:image/svg+xml;base64,"
        in materialized(movie_run)["models/embedding_mlp"].metadata["learning_curves"].value
    )


def test_every_check_passed_and_shows_expected_and_actual_values(movie_run: Any) -> None:
    evaluations = {e.check_name: e for e in movie_run.result.get_asset_check_evaluations()}
    assert all(e.passed for e in evaluations.values())
    assert {"every_row_is_kept_or_rejected", "no_pair_is_in_two_folds", "lists_hold_nothing_seen"} <= set(evaluations)
    rows = evaluations["every_row_is_kept_or_rejected"]
    assert rows.asset_key == dg.AssetKey(["clean", "ratings"])
    assert "| rows of ratings.csv | 16,000 | 16,000 kept + 0 rejected | yes |" in rows.metadata["findings"].value


def test_every_user_gets_a_full_list_without_items_that_they_have(movie_run: Any) -> None:
    users = movie_run.rows("SELECT count(*) FROM features.users")[0][0]
    rows = published(movie_run, "SELECT count(DISTINCT user_id), count(*), max(rank) FROM recommendations")
    assert rows == [(users, users * 100, 100)]
    with duckdb.connect(movie_run.layout.warehouse("movie")) as connection:
        connection.execute(f"ATTACH '{movie_run.layout.published('movie')}' AS lists (READ_ONLY)")
        seen = "SELECT count(*) FROM lists.recommendations JOIN clean.interactions USING (user_id, item_id)"
        assert connection.execute(seen).fetchall() == [(0,)]


def test_the_champion_is_the_best_on_validation_and_its_lists_are_published(movie_run: Any) -> None:
    best = movie_run.rows(
        "SELECT model, version FROM evaluation.metrics"
        " WHERE fold = 'validation' AND metric = 'ndcg' AND k = 10 ORDER BY value DESC LIMIT 1"
    )
    pointer = json.loads((movie_run.layout.models("movie") / "champion.json").read_text())
    assert [(pointer["model"], pointer["version"])] == best
    assert published(movie_run, "SELECT DISTINCT model, version FROM recommendations") == best
    assert published(movie_run, "SELECT model, version FROM history") == best
    assert published(movie_run, "SELECT model, version, trained_rows FROM provenance") == [(*best[0], 16_000)]


def test_the_metrics_of_each_fold_have_intervals(movie_run: Any) -> None:
    rows = movie_run.rows(
        "SELECT protocol, fold, low <= value AND value <= high FROM evaluation.metrics"
        " WHERE metric = 'ndcg' AND k = 10 AND model = 'ease' ORDER BY protocol, fold"
    )
    folds = [(protocol, fold) for protocol in ("frozen", "holdout") for fold in ("test", "validation")]
    assert rows == [(*fold, True) for fold in folds]


def test_every_model_is_evaluated_on_the_users_that_were_drawn_and_the_page_says_how_many(movie_run: Any) -> None:
    rated = "SELECT DISTINCT users FROM evaluation.metrics WHERE metric = 'rmse' AND protocol = 'holdout'"
    assert movie_run.rows(rated) == [(60,)]
    users = movie_run.rows("SELECT count(DISTINCT user_idx) FROM features.interactions WHERE fold = 'test'")[0][0]
    page = movie_run.layout.report("movie").read_text(encoding="utf-8")
    assert f"means over 60 of the {users:,} users of the fold" in " ".join(page.split())


def test_the_constant_stands_in_the_leaderboard(movie_run: Any) -> None:
    assert "| constant |" in materialized(movie_run)["evaluation/leaderboard"].metadata["leaderboard"].value


def test_the_leaderboard_in_the_ui_has_a_row_for_each_model_with_its_version_once(movie_run: Any) -> None:
    table = materialized(movie_run)["evaluation/leaderboard"].metadata["leaderboard"].value
    columns, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    assert columns[:4] == ["rank", "model", "NDCG@10, validation", "NDCG@10, test"]
    assert columns[-2:] == ["version", "notes"]
    by_model = {row[1]: row for row in rows}
    assert len(by_model) == len(rows)
    ease = by_model["ease"]
    assert re.fullmatch(r"\d\.\d{4} \(\d\.\d{4} – \d\.\d{4}\)", ease[2])
    version = materialized(movie_run)["models/ease"].metadata["version"].value
    assert [cell for cell in ease if version in cell] == [ease[-2]]


def test_the_report_is_one_page_with_the_leaderboard(movie_run: Any) -> None:
    page = movie_run.layout.report("movie").read_text(encoding="utf-8")
    assert "embedding_mlp" in page
    assert "sample-movie" in page


def test_nothing_temporary_is_left(movie_run: Any) -> None:
    assert not [path for path in movie_run.settings.home.rglob(".*") if path.name != ".lock"]


def test_a_model_that_was_evaluated_before_lists_were_kept_is_on_the_page_without_them(
    movie_run: Any, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(movie_run.layout.home, home)
    run = DomainRun(movie_run.settings.model_copy(update={"home": home}), BUILT_IN_DOMAINS["movie"])
    run.layout.example_lists(run.domain.name, "ease").unlink()
    run.layout.importance(run.domain.name, "embedding_mlp").unlink()

    report = collect_report(run)

    cards = {card.name: card for card in report.models}
    assert cards["ease"].lists == []
    assert cards["ease"].metrics
    assert cards["popularity"].lists
    assert cards["embedding_mlp"].importances == []
    write_report(tmp_path / "index.html", report)
    assert 'id="model-ease"' in (tmp_path / "index.html").read_text(encoding="utf-8")
