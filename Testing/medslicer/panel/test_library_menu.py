"""The menu beside the model: fetching from a server of this machine, adding, deleting; the list and the card follow."""

from __future__ import annotations

import hashlib
import json
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import SlicerHarness
from model_server import ModelServer, model_server
from panel_user import PanelUser, workers

Make = Callable[..., Path]
MENU = "modelMenuButton"
FETCH, STOP, DELETE = "Fetch this model", "Stop this", "Delete this model"
FROM_FOLDER, FROM_FILE = "Add from a folder", "Add from a file"


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with model_server() as running:
        yield running


def archive(folder: Path, file: Path) -> None:
    with zipfile.ZipFile(file, "w") as opened:
        for path in sorted(folder.iterdir()):
            opened.write(path, f"{folder.name}/{path.name}")


@pytest.fixture
def offered(
    server: ModelServer, blob_package: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, temporary: Path,
    open_panel: Callable[[], PanelUser],
) -> Callable[..., PanelUser]:
    """A user who has chosen a model that is yet to be fetched; `change` spoils its entry in the catalogue."""

    def make(**change: Any) -> PanelUser:
        folder = blob_package()
        (folder / "filling").write_bytes(bytes(3 << 20))
        archive(folder, tmp_path / "blobs.zip")
        server.body = (tmp_path / "blobs.zip").read_bytes()
        entry = {
            "id": "blobs", "title": "Blobs from afar", "url": server.address,
            "format": "package", "licence": "Apache-2.0", "sha256": hashlib.sha256(server.body).hexdigest(),
            "size": len(server.body), "homepage": "https://example.org/blobs", "commit": "", "needs": "",
        }
        (tmp_path / "catalogue.json").write_text(json.dumps([{**entry, **change}]))
        monkeypatch.setenv("MEDINFER_CATALOGUE", str(tmp_path / "catalogue.json"))
        user = open_panel()
        user.choose("modelSelector", "Blobs from afar")
        return user

    return make


def enabled(user: PanelUser) -> dict[str, bool]:
    entries = (FETCH, STOP, FROM_FOLDER, FROM_FILE, DELETE)
    return {entry: user.menu_entry(MENU, entry).isEnabled() for entry in entries}


def until_idle(user: PanelUser) -> None:
    user.wait(lambda: not enabled(user)[STOP], "the end of what the menu began")


def test_a_fetched_model_is_chosen_shown_and_ready_to_run(
    offered: Callable[..., PanelUser], harness: SlicerHarness, temporary: Path
) -> None:
    user = offered()
    user.unfold("cardSection")
    assert "to fetch" in user.chosen("modelSelector")
    assert "Apache-2.0" in user.card
    assert enabled(user) == {FETCH: True, STOP: False, FROM_FOLDER: True, FROM_FILE: True, DELETE: False}
    harness.answer(True)
    user.menu(MENU, FETCH)
    assert "Blobs from afar" in harness.shown_dialogs[-1].text
    assert " MB" in harness.shown_dialogs[-1].text
    assert enabled(user) == {FETCH: False, STOP: True, FROM_FOLDER: False, FROM_FILE: False, DELETE: False}
    until_idle(user)
    assert "blobs 1.0.0 is installed in" in user.message
    assert not user.complains
    assert user.chosen("modelSelector") == "Bright blobs"
    assert not any("to fetch" in entry for entry in user.entries("modelSelector"))
    assert "Finds bright blobs." in user.card
    assert enabled(user) == {FETCH: False, STOP: False, FROM_FOLDER: True, FROM_FILE: True, DELETE: True}
    assert not list(temporary.iterdir())
    assert not user.ui("progressBar").isVisible()


def test_who_does_not_want_to_fetch_fetches_nothing(
    offered: Callable[..., PanelUser], harness: SlicerHarness
) -> None:
    user = offered()
    harness.answer(False)
    user.menu(MENU, FETCH)
    assert not enabled(user)[STOP]
    assert not workers()
    assert "to fetch" in user.chosen("modelSelector")


def test_a_wrong_checksum_is_told_and_nothing_is_installed(
    offered: Callable[..., PanelUser], harness: SlicerHarness, own_library: Path
) -> None:
    user = offered(sha256="0" * 64)
    harness.answer(True)
    user.menu(MENU, FETCH)
    until_idle(user)
    assert user.complains
    assert "its sha256 differs" in user.message
    assert "nothing was installed" in user.message
    assert user.message in user.log
    assert "to fetch" in user.chosen("modelSelector")
    assert not user.may_run
    assert not (own_library / "blobs").exists()
    assert enabled(user)[FETCH]


def test_fetching_can_be_stopped_and_says_so(
    offered: Callable[..., PanelUser], harness: SlicerHarness, server: ModelServer, temporary: Path, own_library: Path
) -> None:
    user = offered()
    server.holds_after = len(server.body) // 2
    harness.answer(True)
    user.menu(MENU, FETCH)
    bar = user.ui("progressBar")
    user.wait(lambda: bar.isVisible() and bar.value() > 100, "the first bytes")
    user.menu(MENU, STOP)
    until_idle(user)
    assert user.message == "Stopped; the part already fetched is kept for the next time."
    assert not user.complains
    assert not bar.isVisible()
    assert not (own_library / "blobs").exists()
    assert not workers()
    assert not list(temporary.iterdir())
    server.holds_after = None
    harness.answer(True)
    user.menu(MENU, FETCH)
    until_idle(user)
    assert user.chosen("modelSelector") == "Bright blobs"


def test_a_server_that_is_not_there_is_told(offered: Callable[..., PanelUser], harness: SlicerHarness) -> None:
    user = offered(url="http://127.0.0.1:9/blobs.zip")
    harness.answer(True)
    user.menu(MENU, FETCH)
    until_idle(user)
    assert user.complains
    assert "could not be fetched" in user.message


def test_run_waits_while_the_library_changes(
    offered: Callable[..., PanelUser], harness: SlicerHarness, server: ModelServer, blob_scan: Any
) -> None:
    from medslicer.nodes.volumes import add_volume

    user = offered()
    add_volume(harness.scene, blob_scan[0])
    harness.process_events()
    user.choose("scanSelector", "blobs")
    server.holds_after = len(server.body) // 2
    harness.answer(True)
    user.menu(MENU, FETCH)
    user.choose("modelSelector", "odules")
    assert not user.may_run
    assert "library is being changed" in user.ui("runButton").toolTip()
    user.menu(MENU, STOP)
    until_idle(user)
    harness.process_events()
    assert user.may_run


def test_while_a_model_runs_the_library_stays_as_it_is(long_run: PanelUser) -> None:
    """Its result needs the model to the end."""
    assert enabled(long_run)[DELETE]
    long_run.run()
    assert not any(enabled(long_run).values())
    long_run.click("cancelButton")
    long_run.wait_for_the_end()
    assert enabled(long_run)[DELETE]


def test_reloading_while_fetching_ends_it(
    offered: Callable[..., PanelUser], harness: SlicerHarness, server: ModelServer
) -> None:
    user = offered()
    server.holds_after = len(server.body) // 2
    harness.answer(True)
    user.menu(MENU, FETCH)
    user.wait(workers)
    harness.reload(user.module)
    user.wait(lambda: not workers())


@pytest.fixture
def user_without_models(open_panel: Callable[[], PanelUser], temporary: Path) -> PanelUser:
    return open_panel()


def test_a_model_is_added_from_a_folder_and_deleted(
    user_without_models: PanelUser, harness: SlicerHarness, blob_package: Make, own_library: Path
) -> None:
    user = user_without_models
    harness.choose_file(blob_package())
    user.menu(MENU, FROM_FOLDER)
    until_idle(user)
    assert user.chosen("modelSelector") == "Bright blobs"
    assert "installed in" in user.message
    for answer, there in ((False, True), (True, False)):
        harness.answer(answer)
        user.menu(MENU, DELETE)
        assert harness.shown_dialogs[-1].text.startswith("Delete Bright blobs from the disk")
        until_idle(user)
        assert (own_library / "blobs").exists() == there
        assert ("Bright blobs" in user.entries("modelSelector")) == there
    assert user.chosen("modelSelector") == user.entries("modelSelector")[0]
    assert not enabled(user)[DELETE]


def test_a_model_is_added_from_an_archive(
    user_without_models: PanelUser, harness: SlicerHarness, blob_package: Make, tmp_path: Path
) -> None:
    user = user_without_models
    archive(blob_package(), tmp_path / "Ä blobs.zip")
    harness.choose_file(tmp_path / "Ä blobs.zip")
    user.menu(MENU, FROM_FILE)
    until_idle(user)
    assert user.chosen("modelSelector") == "Bright blobs"
    assert not user.complains


def test_what_is_no_model_is_refused(
    user_without_models: PanelUser, harness: SlicerHarness, blob_package: Make, tmp_path: Path
) -> None:
    user, before = user_without_models, user_without_models.entries("modelSelector")
    tampered = blob_package()
    (tampered / "network.onnx").write_bytes(b"exchanged")
    (tmp_path / "note.zip").write_text("no archive")
    (tmp_path / "nothing").mkdir()
    for entry, path, words in (
        (FROM_FOLDER, tampered, "is damaged or was replaced"),
        (FROM_FOLDER, tmp_path / "nothing", "model.json"),
        (FROM_FILE, tmp_path / "note.zip", "note.zip"),
    ):
        harness.choose_file(path)
        user.menu(MENU, entry)
        until_idle(user)
        assert user.complains
        assert words in user.message
        assert "\n" not in user.message
        assert user.entries("modelSelector") == before


def test_what_is_begun_while_packages_are_installed_goes_on_alone(
    user_without_models: PanelUser, harness: SlicerHarness, blob_package: Make, temporary: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Slicer's window is live meanwhile."""
    user, folder, asked = user_without_models, blob_package(), []

    def install(needs: Any) -> None:
        asked.append(needs)
        if len(asked) == 1:
            harness.choose_file(folder)
            user.menu(MENU, FROM_FOLDER)

    monkeypatch.setattr("medslicer.panel.model_section.install", install)
    harness.choose_file(folder)
    user.menu(MENU, FROM_FOLDER)
    assert len(workers()) == 1
    until_idle(user)
    assert user.chosen("modelSelector") == "Bright blobs"
    assert not list(temporary.iterdir())


def test_no_temporary_folder_is_one_sentence(
    user_without_models: PanelUser, harness: SlicerHarness, blob_package: Make, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    harness.choose_file(blob_package())
    user_without_models.menu(MENU, FROM_FOLDER)
    assert user_without_models.complains
    assert "No temporary folder could be made in" in user_without_models.message
    assert not enabled(user_without_models)[STOP]


def test_a_dialog_that_is_cancelled_changes_nothing(user_without_models: PanelUser, harness: SlicerHarness) -> None:
    user = user_without_models
    for entry in (FROM_FOLDER, FROM_FILE):
        harness.choose_file("")
        user.menu(MENU, entry)
        assert not enabled(user)[STOP]
    assert not user.complains


def test_a_bundled_model_cannot_be_deleted(user_without_models: PanelUser) -> None:
    assert not enabled(user_without_models)[DELETE]


@pytest.fixture
def public(
    server: ModelServer, blob_package: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, temporary: Path,
    open_panel: Callable[[], PanelUser],
) -> PanelUser:
    """A user with two public models in the menu: one that can be fetched, and one that needs a licence first."""
    archive(blob_package(), tmp_path / "blobs.zip")
    server.body = (tmp_path / "blobs.zip").read_bytes()
    entry = {
        "id": "afar", "title": "Public blobs", "url": server.address, "format": "package", "licence": "CC-BY-4.0",
        "sha256": "", "size": 0, "homepage": "https://example.org", "commit": "", "needs": "",
        "purpose": "Finds bright blobs.", "task": "detect",
    }
    others = [{**entry, "id": "barred", "title": "Barred blobs", "how": "Get a licence at https://example.org."},
              {**entry, "id": "teeth-afar", "title": "Other teeth", "task": "segment"}]
    (tmp_path / "public.json").write_text(json.dumps([entry, *others]))
    monkeypatch.setenv("MEDINFER_PUBLIC", str(tmp_path / "public.json"))
    return open_panel()


def test_a_public_model_is_fetched_after_its_conditions_were_shown(public: PanelUser, harness: SlicerHarness) -> None:
    harness.answer(True)
    public.menu(MENU, "Public models", "Public blobs")
    said = harness.shown_dialogs[-1].text
    for words in ("Finds bright blobs.", "CC-BY-4.0", "states no checksum", "sha256 will be kept", "None of your data"):
        assert words in said
    until_idle(public)
    assert "afar 1.0.0 is installed in" in public.message
    assert public.chosen("modelSelector") == "Public blobs"


def test_a_public_model_that_cannot_be_fetched_says_what_to_do(public: PanelUser, harness: SlicerHarness) -> None:
    public.menu(MENU, "Public models", "Barred blobs")
    assert "Get a licence at https://example.org." in public.message
    assert not workers()
