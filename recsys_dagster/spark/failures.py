"""Say in one line why a job failed."""

import re

from recsys_dagster.runtime.storage import FULL_SIGNS

_RAISED_IN_A_WORKER = re.compile(r"^recsys_dagster\.errors\.\w+: (.+)$", re.MULTILINE)
_CALLED = "An error occurred while calling"
_CLASS = re.compile(r"^[\w.$]+(Exception|Error): ")
_DISK_FULL = (
    "Spark: the disk is full; free some space, or point RECSYS_HOME or Spark's scratch space (spark.local.dir) at a "
    "larger disk, then run again"
)
_SIGNS = {
    "All masters are unresponsive": "the Spark master does not answer; start it, or correct RECSYS_SPARK_MASTER",
    "Master removed our application": "the Spark master has removed the application; look at its log, then run again",
    "OutOfMemoryError": "Spark ran out of memory; raise RECSYS_SPARK_MEMORY",
    "SparkContext was shut down": "Spark was shut down while the job ran; look at its log, then run again",
}
"""What stands in the texts of Spark's errors, and what it means."""


def cause_of(error: Exception) -> str:
    """Return the cause of an error of Spark, with the cure where it is known."""
    text = str(error)
    raised = _RAISED_IN_A_WORKER.search(text)
    if raised:
        return raised[1]
    if any(sign in text for sign in FULL_SIGNS):
        return _DISK_FULL
    for sign, cause in _SIGNS.items():
        if sign in text:
            return cause
    lines = [line.strip(" :") for line in text.splitlines() if line.strip() and not line.startswith(_CALLED)]
    return f"Spark: {_CLASS.sub('', lines[0]) if lines else type(error).__name__}"
