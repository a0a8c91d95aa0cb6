"""Open a Spark session as the settings and `spark-defaults.conf` say."""

import os
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyspark
from pyspark.sql import DataFrame, SparkSession

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.memory import available_bytes
from recsys_dagster.runtime.units import GIB
from recsys_dagster.settings import read_settings_before_import

_ALWAYS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
}
"""What the results depend on; nobody can change it."""
_SECONDS_TO_ANSWER = 10


@contextmanager
def open_session(name: str) -> Iterator[SparkSession]:
    """Open the session during the block.

    The master and the memory are those of the settings, else those of `spark-defaults.conf`, else this machine and half
    of its free memory.

    Args:
        name: of the application, for Spark's own pages.

    Raises:
        RecsysError: no standalone master answers.
    """
    settings = read_settings_before_import()
    configured = _configured()
    chosen = {"spark.master": settings.spark_master, "spark.driver.memory": settings.spark_memory}
    master = settings.spark_master or configured.get("spark.master", "local[*]")
    _require_master(master)
    defaults = {key: value for key, value in _defaults(master).items() if key not in configured}
    values = {**defaults, **{key: value for key, value in chosen.items() if value}, **_ALWAYS}
    # PySpark itself would take the first `python3` of the path for its tasks.
    os.environ.setdefault("PYSPARK_PYTHON", configured.get("spark.pyspark.python", sys.executable))
    if master.startswith("local"):
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")  # nobody else has to reach it
    builder = SparkSession.builder.appName(f"recsys {name}")
    for key, value in values.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    try:
        yield session
    finally:
        session.stop()


def read_parquet(session: SparkSession, path: str | Path) -> DataFrame:
    """Return the rows of a Parquet file or folder, whatever its name; Spark itself takes a path for a pattern."""
    return session.read.parquet(re.sub(r"[\\{}\[\]*?]", r"\\\g<0>", str(path)))


def _require_master(master: str) -> None:
    """Raise RecsysError unless a standalone master answers; Spark itself would try for a minute.

    Args:
        master: of any kind; only spark://host:port,host:port is looked at, of which one has to answer.
    """
    scheme, _, addresses = master.partition("://")
    if scheme != "spark":
        return
    problem = ""
    for address in addresses.split(","):
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), _SECONDS_TO_ANSWER).close()
        except OSError as error:
            problem = error.strerror or str(error)
        except ValueError:
            problem = "it has no port"
        else:
            return
    raise RecsysError(
        f"the Spark master {master} does not answer ({problem}); start it, or correct RECSYS_SPARK_MASTER or "
        "spark-defaults.conf"
    )


def _defaults(master: str) -> dict[str, str]:
    """Return what counts where nobody says anything else."""
    free = available_bytes() or 2 * GIB
    return {
        "spark.master": master,
        "spark.driver.extraJavaOptions": "-Xss8m",  # some of the SQL is deep
        "spark.driver.memory": f"{max(1, free // 2 // GIB)}g",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }


def _configured() -> dict[str, str]:
    """Return the values in `spark-defaults.conf`."""
    home = Path(os.environ.get("SPARK_HOME") or Path(pyspark.__file__).parent)
    file = Path(os.environ.get("SPARK_CONF_DIR") or home / "conf") / "spark-defaults.conf"
    if not file.exists():
        return {}
    lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    pairs = (line.replace("=", " ", 1).split(maxsplit=1) for line in lines if line and not line.startswith("#"))
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
