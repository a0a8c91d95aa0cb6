"""The arrays of a snapshot on the disk: ids, lists, texts; they are imported without what answers requests."""

import json
import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.serving.recommendation import Id

NO_TIME = np.iinfo(np.int64).min
"""Stands for a time that is unknown."""
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def compact_json(value: dict[str, Any]) -> bytes:
    """Return an object as JSON without blanks, of which answers are composed."""
    return _JSON.encode(value).encode()


@dataclass(frozen=True)
class IdIndex:
    """The position of each id.

    Attributes:
        values: (n,) rising ids: int64, or UTF-8 text as bytes.
    """

    values: NDArray[Any]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def is_text(self) -> bool:
        """Whether the ids are text."""
        return self.values.dtype.kind == "S"

    def find(self, text: str) -> int | None:
        """Return the position of an id as a URL or a user writes it; None if it is unknown."""
        key: bytes | int
        try:
            key = text.encode() if self.is_text else int(text)
        except ValueError:
            return None
        if isinstance(key, int) and not -(2**63) <= key < 2**63:
            return None
        position = int(self.values.searchsorted(key))
        return position if position < len(self.values) and self.values[position] == key else None

    def __getitem__(self, position: int) -> Id:
        value = self.values[position]
        return value.decode() if self.is_text else int(value)


@dataclass(frozen=True)
class Lists:
    """Lists of several owners in two long arrays.

    Attributes:
        offsets: (n + 1,) int64; the list of owner i is from offsets[i] to offsets[i + 1].
        items: positions of the items, best first; int16 where that suffices, else int32.
        scores: float32 score of each.
    """

    offsets: NDArray[np.int64]
    items: NDArray[np.int16 | np.int32]
    scores: NDArray[np.float32]

    def of(self, owner: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the (k,) int32 item positions and the (k,) float32 scores of one list."""
        start, stop = self.offsets[owner], self.offsets[owner + 1]
        return self.items[start:stop].astype(np.int32), self.scores[start:stop]


class Texts:
    """Texts in one memory-mapped file, by position."""

    def __init__(self, folder: Path, name: str) -> None:
        with (folder / f"{name}.bin").open("rb") as file:
            self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        # Plain numbers: indexing an array makes an object of its own each time.
        self._offsets: list[int] = np.load(folder / f"{name}_offsets.npy").tolist()

    def at(self, positions: Sequence[int]) -> list[bytes]:
        """Return the texts at several positions; that at -1 is empty."""
        content, offsets = self._bytes, self._offsets
        return [content[offsets[position] : offsets[position + 1]] for position in positions]

    @staticmethod
    def write(folder: Path, name: str, texts: Sequence[bytes]) -> None:
        """Write the files that the texts are read from."""
        (folder / f"{name}.bin").write_bytes(b"".join(texts))
        np.save(folder / f"{name}_offsets.npy", np.cumsum([0, *map(len, texts)]))
