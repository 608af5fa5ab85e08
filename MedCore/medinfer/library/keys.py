"""Where the key of a locked model is: in a file, in the environment, or in the system's keyring."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

from ..errors import PackageError
from .locked_file import key_of

FILE, TEXT = "MEDINFER_KEY_FILE", "MEDINFER_KEY"
"""The variables of the environment that name a key file, or are the key."""
SERVICE = "medinfer"
"""Under which the keyring has keys, each with the model's id as the user's name."""


def find_key(model: str, file: Path | None = None) -> bytes:
    """The key for the model of this id: of `file`, or else of the environment, or else of the keyring.

    Raises PackageError where there is none, and for what is no key.
    """
    named = os.environ.get(FILE)
    if file is not None or named:
        path = file or Path(str(named))
        try:
            return key_of(path.read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is no text"
            raise PackageError(f"The key file {path} cannot be read ({why}).") from None
    text = os.environ.get(TEXT) or _of_keyring(model)
    if not text:
        raise PackageError(
            f"{model} is locked: give the key that it came with, by --key-file FILE or the variable {FILE}."
        )
    return key_of(text, f"The key for {model}")


def _of_keyring(model: str) -> str | None:
    try:
        keyring = importlib.import_module("keyring")
        found: str | None = keyring.get_password(SERVICE, model)
    except Exception:  # not installed, or there is no keyring on this system: both are no key
        return None
    return found
