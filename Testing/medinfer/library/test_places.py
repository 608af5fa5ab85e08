"""Where a user's models lie, on each system; expected paths from XDG's, Apple's and Microsoft's own guides."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from medinfer.library.places import catalogue_file, is_package, user_folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("MEDINFER_LIBRARY", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    return tmp_path


def test_on_linux_in_the_users_data(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert user_folder() == home / ".local" / "share" / "MedInfer" / "Models"
    monkeypatch.setenv("XDG_DATA_HOME", "relative/is/ignored")
    assert user_folder() == home / ".local" / "share" / "MedInfer" / "Models"
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    assert user_folder() == home / "data" / "MedInfer" / "Models"


def test_on_macos_in_application_support(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert user_folder() == home / "Library" / "Application Support" / "MedInfer" / "Models"


def test_on_windows_in_local_appdata(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert user_folder() == home / "AppData" / "Local" / "MedInfer" / "Models"
    monkeypatch.setenv("LOCALAPPDATA", str(home / "Local"))
    assert user_folder() == home / "Local" / "MedInfer" / "Models"


def test_both_can_be_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDINFER_LIBRARY", str(home / "own"))
    monkeypatch.setenv("MEDINFER_CATALOGUE", str(home / "own.json"))
    assert user_folder() == home / "own"
    assert catalogue_file() == home / "own.json"


def test_a_folder_that_merely_has_a_models_name_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "teeth").mkdir()
    assert not is_package(tmp_path / "teeth")
    (tmp_path / "teeth" / "model.json").write_text("{}")
    assert is_package(tmp_path / "teeth")
    assert is_package(tmp_path / "teeth" / "model.json")
