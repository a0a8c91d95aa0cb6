"""Read the YAML files that users write."""

from pathlib import Path

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.text import printable


def read_yaml(path: Path) -> object:
    """Return what a YAML file that a user wrote holds; None if it is empty.

    Raises:
        OSError: the file cannot be read.
        RecsysError: it is not in UTF-8, or no YAML; the message names the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise RecsysError(f"{path}: expected UTF-8; save the file in that encoding") from None
    import yaml  # most homes have no such file

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        reason = printable(getattr(error, "problem", None) or "damaged")
        raise RecsysError(f"{path}{line}: not readable as YAML ({reason}); mend it") from None
