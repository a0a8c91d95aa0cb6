"""The partitions: one for each domain."""

import dagster as dg

from recsys_dagster.domains import DOMAINS

domain_partitions = dg.StaticPartitionsDefinition(list(DOMAINS))
