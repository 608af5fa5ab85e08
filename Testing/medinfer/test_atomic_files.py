"""A new folder takes an old one's place whole, or the old one stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from medinfer.atomic_files import staging, take_place
from medinfer.errors import OutputError


def test_an_older_folder_comes_back_where_the_new_one_cannot_take_its_place(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "old.txt").write_text("old")
    with pytest.raises(OutputError, match="home"), staging(home) as place:
        take_place(place / "never-written", home, place / "older")
    assert (home / "old.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_a_new_folder_takes_the_place_and_nothing_of_the_old_one_is_left(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "old.txt").write_text("old")
    with staging(home) as place:
        (place / "fresh").mkdir()
        (place / "fresh" / "new.txt").write_text("new")
        take_place(place / "fresh", home, place / "older")
    assert [path.name for path in home.iterdir()] == ["new.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
