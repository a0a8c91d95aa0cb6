"""What `dagster dev` loads."""

from recsys_dagster.orchestration.build import build_definitions
from recsys_dagster.settings import Settings

defs = build_definitions(Settings())
