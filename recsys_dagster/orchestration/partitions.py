"""The partitions: one for each domain."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import dagster as dg

_T = TypeVar("_T")

Partitioned = Callable[[dg.PartitionsDefinition], _T]
"""Makes an asset or a check, once the domains are known."""


def domain_partitions(domains: Sequence[str]) -> dg.StaticPartitionsDefinition:
    """Return a partition for each domain."""
    return dg.StaticPartitionsDefinition(list(domains))


def for_each_domain(
    decorator: Callable[..., Callable[[Any], _T]], **arguments: Any
) -> Callable[[Any], Partitioned[_T]]:
    """Decorate a function as an asset or a check of every domain, which is made once the domains are known.

    Args:
        decorator: `dg.asset`, `dg.multi_asset` or `dg.asset_check`.
        arguments: of the decorator, all but `partitions_def`.
    """

    def decorate(function: Any) -> Partitioned[_T]:
        return lambda partitions: decorator(partitions_def=partitions, **arguments)(function)

    return decorate
