"""Single fields of a DICOM header as text and numbers: None or nothing where they are missing or make no sense.

A value that its representation forbids (PS3.5, 6.2) counts as missing: what it was meant to be, nobody knows.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def words(fields: Any, name: str) -> tuple[str, ...]:
    """All values of a field as text; none where it is missing or cannot be read."""
    try:
        content = fields.get(name)
        if content is None or content == "":
            return ()
        many = not isinstance(content, str | bytes) and hasattr(content, "__iter__")
        return tuple(str(one).strip() for one in (content if many else (content,)))
    except Exception:  # pydicom has no one exception for a value that cannot be read
        return ()


def text(fields: Any, name: str) -> str:
    """The field as one text, its values joined as DICOM joins them."""
    return "\\".join(words(fields, name))


def numbers(fields: Any, name: str, count: int) -> tuple[float, ...] | None:
    """`count` finite numbers, or None where the field is missing, has others, or cannot be read."""
    try:
        found = tuple(float(word) for word in words(fields, name))
    except ValueError:
        return None
    return found if len(found) == count and all(map(math.isfinite, found)) else None


def number(fields: Any, name: str) -> float | None:
    """One finite number, or None."""
    found = numbers(fields, name, 1)
    return found[0] if found else None


def whole(fields: Any, name: str) -> int | None:
    """One whole number, or None."""
    found = number(fields, name)
    return None if found is None else int(found)


@contextmanager
def unheard() -> Iterator[None]:
    """Keep what pydicom warns of, by warnings and in its log, from the user: what matters of it is said in a note."""
    logger = logging.getLogger("pydicom")
    before = logger.disabled
    logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = before
