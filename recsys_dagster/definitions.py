"""What `dagster dev` loads."""

from recsys_dagster.orchestration.build import build_definitions
from recsys_dagster.settings import read_settings

defs = build_definitions(read_settings())
