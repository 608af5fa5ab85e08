"""The locations of bundled models, the user's models, and the catalogue of downloads.

Only the standard library: a panel shows the models before anything is installed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ..errors import PackageError

DEFAULT_MODELS: dict[str, str] = {"detect": "chest-nodules", "landmark": "vertebrae", "segment": "teeth"}
"""What a task runs where no model is named."""


def bundled_folder() -> Path:
    """Where the packages that come with MedInfer lie. Raises PackageError."""
    here = Path(__file__).resolve().parents[1]
    in_wheel, in_extension, in_checkout = here / "bundled", here.parent / "Resources", here.parents[1] / "Resources"
    for folder in (in_wheel, in_extension / "Models", in_checkout / "Models"):
        if (folder / "catalogue.json").is_file():
            return folder
    raise PackageError(f"The bundled models are missing next to {here}; reinstall MedInfer.")


def user_folder() -> Path:
    """Where fetched and own packages are installed (`MEDINFER_LIBRARY`, or the user's data folder)."""
    chosen = os.environ.get("MEDINFER_LIBRARY")
    return Path(chosen) if chosen else _user_data() / "MedInfer" / "Models"


def catalogue_file() -> Path:
    """The list of what can be fetched (`MEDINFER_CATALOGUE` names another one). Raises PackageError."""
    chosen = os.environ.get("MEDINFER_CATALOGUE")
    return Path(chosen) if chosen else bundled_folder() / "catalogue.json"


def public_file() -> Path:
    """The list of other people's public models (`MEDINFER_PUBLIC` names another one). Raises PackageError."""
    chosen = os.environ.get("MEDINFER_PUBLIC")
    return Path(chosen) if chosen else bundled_folder() / "public.json"


def is_package(path: Path) -> bool:
    """Whether the path is a model: a folder with a `model.json`, or that file itself. A folder in the working
    directory that merely has a model's name is not one."""
    return path.name == "model.json" or (path / "model.json").is_file()


def _user_data() -> Path:
    """Where programs keep a user's data: as Windows, Apple and the XDG Base Directory Specification say."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    named = os.environ.get("XDG_DATA_HOME", "")
    # The specification: a relative path is to be ignored.
    return Path(named) if os.path.isabs(named) else Path.home() / ".local" / "share"
