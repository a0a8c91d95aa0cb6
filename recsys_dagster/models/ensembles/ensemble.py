"""Models that are made of others: how these are kept with them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from recsys_dagster.models.base import STATE_FILE, Model, Params
from recsys_dagster.models.budget import Estimate, Size
from recsys_dagster.models.registry import get_model_class

REHEARSAL = "rehearsal"
"""Name of the preset by which a member is fitted only for its weight to be learnt, where it is costly and that does."""


class EnsembleParams(Params):
    """Parameters of every ensemble."""

    members: list[str]


class Ensemble(Model):
    """A model with members, which are saved to numbered folders within its own."""

    params: EnsembleParams
    _members: Sequence[Model]

    @property
    def _fits_of_a_member(self) -> int:
        """How often each member is fitted at most: to learn how to put them together, and to be kept."""
        return 2

    def estimate(self, size: Size) -> Estimate:
        """Return what the members are expected to cost together."""
        members = [get_model_class(name.partition(":")[0])().estimate(size) for name in self.params.members]
        return Estimate(
            self._fits_of_a_member * sum(member.fit for member in members),
            sum(member.ranking for member in members),
            sum(member.bytes for member in members),
        )

    def save(self, folder: Path) -> None:
        """Write what was learnt to `folder`, which exists, and each member to a folder within."""
        super().save(folder)
        for position, member in enumerate(self._members):
            inside = folder / f"member-{position}"
            inside.mkdir()
            member.save(inside)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the model, with its members, that `save` wrote to `folder`."""
        ensemble = super().load(folder)
        inside = sorted(folder.glob("member-*"), key=lambda path: int(path.name.removeprefix("member-")))
        ensemble._members = [load_model(path) for path in inside]
        return ensemble


def load_model(folder: Path) -> Model:
    """Return the model, whatever it is, that was saved to `folder`."""
    name = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))["model"]
    return get_model_class(name).load(folder)
