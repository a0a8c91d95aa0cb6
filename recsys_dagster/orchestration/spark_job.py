"""Run one job in Spark's environment, as `python -m recsys_dagster.spark` does, with its log in the Dagster run.

Only `dagster_pipes` is installed there, not dagster.
"""

import sys
from pathlib import Path

from dagster_pipes import open_dagster_pipes

from recsys_dagster.spark.__main__ import main

if __name__ == "__main__":
    with open_dagster_pipes() as pipes:
        main(sys.argv[1], Path(sys.argv[2]), pipes.log.handlers)
