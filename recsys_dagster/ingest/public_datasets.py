"""Read the declarations of public datasets that come with the project: the files in the folder `public`."""

import functools

from recsys_dagster.domains import PUBLIC_DECLARATIONS, declared_files
from recsys_dagster.ingest.declaration import Declaration, read_declaration


@functools.cache
def public_declarations() -> dict[str, Declaration]:
    """Return the declarations by id; their archives are fetched from their publishers, or from a mirror."""
    return {path.stem: read_declaration(path) for path in declared_files(PUBLIC_DECLARATIONS)}


def public_text(dataset_id: str) -> str:
    """Return the declaration of a public dataset as it is written; KeyError if there is none."""
    if dataset_id not in public_declarations():
        raise KeyError(dataset_id)
    return (PUBLIC_DECLARATIONS / f"{dataset_id}.yaml").read_text(encoding="utf-8")
