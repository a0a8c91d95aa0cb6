"""Keep a random secret in a file that only its owner can read."""

import os
import secrets
from pathlib import Path

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.files import open_descriptor
from recsys_dagster.runtime.locks import file_lock
from recsys_dagster.runtime.storage import replacing

KEY_BYTES = 32
_OWNER_ONLY = 0o600


def read_or_create_key(path: Path) -> bytes:
    """Return the secret in a file; create the file, with a random secret and mode 0600, if it does not exist.

    Raises:
        RecsysError: the file is damaged, or is a link.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with file_lock(path.with_name(f".{path.name}.lock"), f"another creation of {path}", wait_seconds=60):
        if not os.path.lexists(path):
            with replacing(path) as temporary:
                descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
                with os.fdopen(descriptor, "w") as file:
                    file.write(secrets.token_hex(KEY_BYTES) + "\n")
        descriptor = open_descriptor(path, os.O_RDONLY)
        os.fchmod(descriptor, _OWNER_ONLY)
        os.close(descriptor)
    return read_key(path)


def read_key(path: Path) -> bytes:
    """Return the secret in a file, which may be in a folder that cannot be written to.

    Raises:
        RecsysError: the file is damaged, or is a link.
    """
    with os.fdopen(open_descriptor(path, os.O_RDONLY), "rb") as file:
        content = file.read(1024)
    try:
        key = bytes.fromhex(content.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise RecsysError(
            f"{path}: damaged; restore it from a backup, or remove it, which gives all pseudonymous users other ids"
        )
    return key
