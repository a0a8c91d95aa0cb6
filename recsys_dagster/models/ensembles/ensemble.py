"""Combine several models into one: what all ensembles share."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from recsys_dagster.models.base import STATE_FILE, Model
from recsys_dagster.models.budget import Estimate, Size
from recsys_dagster.models.params import Params
from recsys_dagster.models.registry import get_model_class

REHEARSAL = "rehearsal"
"""Name of the preset with which a slow member is fitted while the weights are learnt, if it has such a preset."""


class EnsembleParams(Params):
    """Parameters of every ensemble."""

    members: list[str]


class Ensemble(Model):
    """A model with members, which are saved to numbered folders inside its own."""

    params: EnsembleParams
    _members: Sequence[Model]

    @property
    def _fits_of_a_member(self) -> int:
        """Largest number of fits of each member: to learn the weights, and to be used."""
        return 2

    def estimate(self, size: Size) -> Estimate:
        """Estimate the fits and evaluations of all members together."""
        members = [get_model_class(name.partition(":")[0])().estimate(size) for name in self.params.members]
        return Estimate(
            self._fits_of_a_member * sum(member.fit for member in members),
            sum(member.ranking for member in members),
            sum(member.bytes for member in members),
        )

    def save(self, folder: Path) -> None:
        """Write the fitted model to an existing folder, and each member to a folder inside."""
        super().save(folder)
        for position, member in enumerate(self._members):
            member_folder = folder / f"member-{position}"
            member_folder.mkdir()
            member.save(member_folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the model, with its members, that `save` wrote to the folder."""
        ensemble = super().load(folder)
        folders = sorted(folder.glob("member-*"), key=lambda path: int(path.name.removeprefix("member-")))
        ensemble._members = [load_model(path) for path in folders]
        return ensemble


def load_model(folder: Path) -> Model:
    """Return the model that was saved to the folder, whatever its class."""
    name = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))["model"]
    return get_model_class(name).load(folder)
