"""The job `papers`, on the folds that a run of everything left."""

import dagster as dg
from whole_runs import Run

from recsys_dagster.orchestration.build import build_definitions
from recsys_dagster.orchestration.papers_run import choose_papers, run_job_papers
from recsys_dagster.papers.figures import NOT_MEASURED
from recsys_dagster.papers.records import FaultRow, PaperRow, read_records
from recsys_dagster.warehouse.database import Warehouse


def test_the_page_has_the_printed_figures_from_the_first_run_and_ours_after_recsys_papers(movie_run: Run) -> None:
    page = movie_run.layout.report("movie")
    before = page.read_text(encoding="utf-8")
    assert "0.7417" in before
    assert NOT_MEASURED in before

    chosen = choose_papers(movie_run.settings, [], ["000"])
    figures, effects, failures = run_job_papers(movie_run.settings, chosen, faults=False)

    assert (chosen, effects, failures) == ({"movie": ("000",)}, {"movie": []}, [])
    printed = {one.metric: one.printed for one in figures["movie"] if one.system == "embedding_mlp"}
    assert printed == {"mse": 0.7417, "mae": 0.6606, "mse_training": 0.7306, "mae_training": 0.6556}
    for ours in (one.ours for one in figures["movie"]):
        assert ours is not None
        assert (ours.dataset, ours.printed_dataset) == ("sample-movie", "ml-20m")
        assert ours.as_published > 0
        assert ours.honest is not None
        assert ours.as_published_trivial is not None
        assert ours.as_published_trivial > ours.honest * 0.1
        assert 0.15 < ours.test_pairs / (ours.train_pairs + ours.test_pairs) < 0.25
    trained = {(one.system, one.metric): one.ours.honest for one in figures["movie"] if one.ours and one.ours.honest}
    assert trained["embedding_mlp", "mse_training"] < trained["embedding_mlp", "mse"]
    with Warehouse(movie_run.layout.warehouse("movie")).connect() as connection:
        assert [one.ours for one in figures["movie"]] == read_records(connection, PaperRow)
    after = page.read_text(encoding="utf-8")
    assert f"{figures['movie'][0].ours.as_published:.4f}" in after
    assert "too few to learn" in after


def test_the_job_stores_what_a_fault_does(movie_run: Run) -> None:
    job = build_definitions(movie_run.settings).resolve_job_def("papers")
    ops = {"papers__faults": {"config": {"faults": ["ids-by-largest", "masked-below-6"]}}}
    with dg.DagsterInstance.ephemeral() as instance:
        keys = [dg.AssetKey(["papers", "faults"])]
        result = job.execute_in_process(
            partition_key="movie", instance=instance, run_config={"ops": ops}, asset_selection=keys
        )
        assert result.success
    with Warehouse(movie_run.layout.warehouse("movie")).connect() as connection:
        faults = read_records(connection, FaultRow)
    assert {row.fault for row in faults} == {"ids-by-largest"}, "movies have no ratings below 6 to mask"
