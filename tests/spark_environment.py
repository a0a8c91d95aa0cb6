"""Spark for tests: two threads on this machine, with jobs in tests/; skipped, with the reason, where it is missing."""

import os
from pathlib import Path

import pytest

from recsys_dagster.runtime.spark_process import spark_problem

needs_spark = pytest.mark.skipif(spark_problem() is not None, reason=str(spark_problem()))


_DEFAULTS = """
spark.master                  local[2]
spark.driver.memory           1g
spark.driver.extraJavaOptions -XX:TieredStopAtLevel=1 -XX:+UseSerialGC
spark.sql.shuffle.partitions  2
"""
"""A virtual machine that starts quickly rather than runs fast."""


@pytest.fixture
def small_spark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conf = tmp_path / "spark"
    conf.mkdir()
    (conf / "spark-defaults.conf").write_text(_DEFAULTS)
    monkeypatch.setenv("SPARK_CONF_DIR", str(conf))
    root = Path(__file__).parent
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(root.parent), str(root)]))
