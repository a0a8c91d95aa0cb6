"""The job `papers`, on the folds that a run of everything left."""

import dagster as dg
from whole_runs import Run

from recsys_dagster.orchestration.build import build_definitions
from recsys_dagster.papers.records import FaultRow, PaperRow, read_records
from recsys_dagster.warehouse.database import Warehouse


def test_the_job_stores_the_papers_figures_and_what_a_fault_does(movie_run: Run) -> None:
    job = build_definitions(movie_run.settings).resolve_job_def("papers")
    ops = {
        "papers__faults": {"config": {"faults": ["ids-by-largest", "masked-below-6"]}},
    }
    with dg.DagsterInstance.ephemeral() as instance:
        keys = [dg.AssetKey(["papers", name]) for name in ("paper_000", "faults")]
        result = job.execute_in_process(
            partition_key="movie", instance=instance, run_config={"ops": ops}, asset_selection=keys
        )
        assert result.success
    with Warehouse(movie_run.layout.warehouse("movie")).connect() as connection:
        papers, faults = read_records(connection, PaperRow), read_records(connection, FaultRow)
    printed = {row.metric: row.printed for row in papers if row.system == "embedding_mlp"}
    assert printed == {"mse": 0.7417, "mae": 0.6606}
    for row in papers:
        assert (row.paper, row.dataset, row.printed_dataset) == ("000", "sample-movie", "ml-20m")
        assert row.as_published > 0
        assert row.as_published_trivial > row.honest * 0.1
        assert 0.15 < row.test_pairs / (row.train_pairs + row.test_pairs) < 0.25
    assert {row.fault for row in faults} == {"ids-by-largest"}, "movies have no ratings below 6 to mask"
