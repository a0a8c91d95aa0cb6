"""Jobs run in Spark's own environment: their results, logs and failures come back, and they end with their caller."""

import os
import signal
import threading
import time
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from spark_environment import needs_spark, small_spark

from recsys_dagster.errors import RecsysError
from recsys_dagster.orchestration.spark_pipes import spark_through
from recsys_dagster.runtime.spark_process import run_spark
from recsys_dagster.spark.failures import cause_of

__all__ = ["small_spark"]


@needs_spark
@pytest.mark.usefixtures("small_spark")
def test_in_an_asset_the_result_comes_back_and_the_log_stands_in_the_run(tmp_path: Path) -> None:
    path = tmp_path / "no [pattern] {a,b}*?" / "pairs.parquet"
    path.parent.mkdir()
    pq.write_table(pa.table({"user": [1, 2, 3], "item": [7, 7, 8]}), path)

    @dg.asset
    def counted(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        with spark_through(context):
            result = run_spark("spark_jobs:count_rows", {"path": str(path)})
        return dg.MaterializeResult(metadata={"dagster/row_count": result["rows"], "master": result["master"]})

    with dg.DagsterInstance.ephemeral() as instance:
        executed = dg.materialize([counted], instance=instance)
        messages = [entry.user_message for entry in instance.all_logs(executed.run_id)]
    (event,) = executed.get_asset_materialization_events()
    assert event.materialization.metadata["dagster/row_count"].value == 3
    assert event.materialization.metadata["master"].value == "local[2]"
    assert any(message.startswith("counting the rows of") for message in messages)


@needs_spark
@pytest.mark.usefixtures("small_spark")
def test_the_cause_of_a_failure_comes_back_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(RecsysError, match=r"^Spark: \[PATH_NOT_FOUND\] Path does not exist: \S+nothing\b") as failed:
        run_spark("spark_jobs:count_rows", {"path": str(tmp_path / "nothing")})
    assert "\n" not in str(failed.value)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (
            "An exception was thrown from the Python worker:\nTraceback (most recent call last):\n"
            "recsys_dagster.errors.RecsysError: ratings.csv, line 7: a quoted field is never closed\n\tat java",
            "ratings.csv, line 7: a quoted field is never closed",
        ),
        ("Job aborted: java.io.IOException: No space left on device\n\tat java", "Spark: the disk is full; free some"),
        ("java.lang.OutOfMemoryError: Java heap space", "Spark ran out of memory; raise RECSYS_SPARK_MEMORY"),
        (
            "An error occurred while calling None.JavaSparkContext.\n: org.apache.spark.SparkException: no such master",
            "Spark: no such master",
        ),
        ("", "Spark: ValueError"),
    ],
)
def test_a_known_failure_is_said_with_its_cure(text: str, cause: str) -> None:
    assert cause_of(ValueError(text)).startswith(cause)


@needs_spark
@pytest.mark.usefixtures("small_spark")
def test_a_job_ends_when_its_caller_is_interrupted(tmp_path: Path) -> None:
    pid = tmp_path / "pid"

    def interrupt() -> None:
        while not pid.exists():
            time.sleep(0.05)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        run_spark("spark_jobs:sleep", {"pid": str(pid)})
    process = Path("/proc", pid.read_text())
    until = time.monotonic() + 10
    while process.exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not process.exists()


def test_without_java_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(RecsysError, match=r"^Spark needs Java 17 or 21; install it \(on Debian: apt-get install .+\)$"):
        run_spark("spark_jobs:count_rows", {})
