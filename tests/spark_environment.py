"""Spark for tests: two threads on this machine, with jobs in tests/; skipped, with the reason, where it is missing."""

import os
from pathlib import Path

import pytest

from recsys_dagster.runtime.spark_process import spark_problem

needs_spark = pytest.mark.skipif(spark_problem() is not None, reason=str(spark_problem()))


_DEFAULTS = """
spark.master                  local[2]
spark.driver.memory           1g
spark.driver.extraJavaOptions -Xss8m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC
spark.default.parallelism     2
spark.sql.shuffle.partitions  1
spark.sql.adaptive.enabled    false
spark.sql.codegen.wholeStage  false
spark.sql.codegen.factoryMode NO_CODEGEN
"""
"""A virtual machine that starts quickly rather than runs fast."""


def configure(folder: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> None:
    """Let Spark be small, and find the jobs of the tests; `more` are lines of `spark-defaults.conf`."""
    conf = folder / "spark-conf"
    conf.mkdir()
    (conf / "spark-defaults.conf").write_text("\n".join([_DEFAULTS, *more]) + "\n")
    monkeypatch.setenv("SPARK_CONF_DIR", str(conf))
    root = Path(__file__).parent
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(root.parent), str(root)]))


@pytest.fixture
def small_spark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(tmp_path, monkeypatch)
