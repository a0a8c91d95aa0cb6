"""In which order, and in which process, `pytest -n` runs the files of tests."""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

SLOWEST = (
    "tests/spark/test_equal_tables.py",
    "tests/orchestration/test_spark_run.py",
    "tests/spark/test_faults.py",
    "tests/orchestration/test_services.py",
    "tests/orchestration/test_interrupted_runs.py",
    "tests/orchestration/test_retraining.py",
    "tests/orchestration/test_disturbed_runs.py",
    "tests/orchestration/test_command.py",
    "tests/orchestration/test_own_data.py",
    "tests/orchestration/test_lineage.py",
    "tests/orchestration/test_everything.py",
    "tests/orchestration/test_retrain_choices.py",
    "tests/orchestration/test_failing_models.py",
    "tests/orchestration/test_dataset_switch.py",
    "tests/drills/test_drills.py",
    "tests/models/test_contract.py",
)
"""The files that take longest are run first, so that no process is left with one of them at the end."""

OF_THE_MOVIE_RUN = {
    f"tests/orchestration/test_{name}.py"
    for name in ("api", "cold_start", "everything", "on_demand", "pages", "papers", "published_file_in_use")
}
"""The files that look at `movie_run` are run by the same process, so that it is made once."""


class ByFile(LoadFileScheduling):
    """Gives each process whole files, in the order in which they were collected."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "movie_run" if file in OF_THE_MOVIE_RUN else file


def slowest_first(item: pytest.Item) -> int:
    """The place of a test's file among the slowest; all others follow."""
    file = item.nodeid.partition("::")[0]
    return SLOWEST.index(file) if file in SLOWEST else len(SLOWEST)
