"""Fetching, adding, removing and listing devices beside Slicer: real processes, a real server on this machine."""

from __future__ import annotations

import hashlib
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_server import ModelServer, model_server

from medinfer.backends import available
from medinfer.errors import MedInferError
from medinfer.scans.reading import read_volume
from medslicer.jobs import errand as errands
from medslicer.jobs.errand import Errand
from medslicer.jobs.shelf_errand import add, fetch, list_devices, look, preview, remove
from medslicer.models.dependencies import CONVERTERS, REQUIRED
from medslicer.models.model_shelf import shelf
from medslicer.models.sources import is_bare_network

Make = Callable[..., Path]

PATIENCE_S = 60.0
SIZE = 3 << 20


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with model_server() as running:
        yield running


@pytest.fixture
def offer(
    server: ModelServer, blob_package: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """Serve the blob package as a .zip and name it "blobs" in a catalogue; `change` spoils that entry."""

    def make(**change: Any) -> None:
        folder = blob_package()
        (folder / "filling").write_bytes(bytes(SIZE))
        with zipfile.ZipFile(tmp_path / "blobs.zip", "w") as archive:
            for path in sorted(folder.iterdir()):
                archive.write(path, path.name)
        server.body = (tmp_path / "blobs.zip").read_bytes()
        entry = {
            "id": "blobs", "title": "Blobs", "url": server.address, "format": "package", "licence": "Apache-2.0",
            "sha256": hashlib.sha256(server.body).hexdigest(), "size": len(server.body), "homepage": "", "commit": "",
            "needs": "",
        }
        (tmp_path / "catalogue.json").write_text(json.dumps([{**entry, **change}]))
        monkeypatch.setenv("MEDINFER_CATALOGUE", str(tmp_path / "catalogue.json"))

    return make


def follow(errand: Errand, until: Callable[[], bool]) -> None:
    """Step as a timer would."""
    end = time.monotonic() + PATIENCE_S
    while not until():
        errand.step()
        assert time.monotonic() < end, (errand.said, errand.share, errand.problem)
        time.sleep(0.01)


def done(errand: Errand) -> Errand:
    errand.start()
    follow(errand, lambda: errand.over)
    errand.close()
    return errand


def installed() -> list[str]:
    return [model.id for model in shelf("detect") if model.origin == "installed"]


def test_a_model_is_fetched_and_stands_on_the_shelf(offer: Callable[..., None]) -> None:
    offer()
    errand = done(fetch("blobs"))
    assert (errand.problem, errand.cancelled, errand.share) == ("", False, 1.0)
    assert errand.said[-1].startswith("blobs 1.0.0 is installed in ")
    assert installed() == ["blobs"]


def test_a_wrong_checksum_is_told_and_nothing_is_installed(offer: Callable[..., None], server: ModelServer) -> None:
    offer(sha256="0" * 64)
    errand = done(fetch("blobs"))
    assert errand.problem == (
        f"{server.address} is not the file in the catalogue (its sha256 differs), so nothing was installed; "
        "try again, and if it fails again, ask the model's authors."
    )
    assert installed() == []


def test_a_server_that_is_not_there_is_told(offer: Callable[..., None]) -> None:
    offer(url="http://127.0.0.1:9/model.zip")
    assert "could not be fetched" in done(fetch("blobs")).problem
    assert installed() == []


def test_a_download_that_is_no_model_is_told(offer: Callable[..., None], server: ModelServer, tmp_path: Path) -> None:
    body = b"<html>Please sign in</html>" * 10
    offer(sha256=hashlib.sha256(body).hexdigest(), size=len(body))
    server.body = body
    assert "is not a complete .zip archive" in done(fetch("blobs")).problem
    assert installed() == []


def test_a_cancelled_download_ends_and_is_continued_the_next_time(
    offer: Callable[..., None], server: ModelServer, own_library: Path
) -> None:
    offer()
    server.holds_after = SIZE // 2
    errand = fetch("blobs")
    errand.start()
    follow(errand, lambda: errand.share is not None and errand.share > 0.4)
    errand.cancel()
    follow(errand, lambda: errand.over)
    assert (errand.cancelled, errand.problem) == (True, "")
    errand.close()
    assert installed() == []
    (part,) = (own_library / ".downloads").glob("*.part")
    have = part.stat().st_size
    assert 0 < have < SIZE
    server.holds_after = None
    assert done(fetch("blobs")).problem == ""
    assert server.starts == [0, have]
    assert installed() == ["blobs"]


def test_closing_an_errand_ends_its_process(offer: Callable[..., None], server: ModelServer) -> None:
    offer()
    server.holds_after = SIZE // 2
    errand = fetch("blobs")
    errand.start()
    follow(errand, lambda: errand.share is not None)
    child, folder = errand._child, errand._folder
    errand.close()
    end = time.monotonic() + PATIENCE_S
    while child.running and time.monotonic() < end:
        time.sleep(0.01)
    assert not child.running
    assert not folder.exists()


def test_a_model_is_added_from_a_folder_and_from_an_archive_and_removed(
    blob_package: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = blob_package(name="-blobs with a dash")
    with zipfile.ZipFile(tmp_path / "Ä blobs.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, f"blobs/{path.name}")
    monkeypatch.chdir(folder.parent)
    for source in (Path(folder.name), tmp_path / "Ä blobs.zip"):
        assert done(add(source)).problem == ""
        assert installed() == ["blobs"]
        assert done(remove("blobs")).problem == ""
        assert installed() == []


def test_a_keras_file_goes_to_its_importer_which_reads_it_first(tmp_path: Path) -> None:
    (tmp_path / "weights.H5").write_bytes(b"no HDF5")
    errand = add(tmp_path / "weights.H5")
    assert errand.missing() == ()
    assert "weights.H5" in done(errand).problem
    assert "HDF5" in errand.problem
    assert installed() == []


def test_what_cannot_be_added_or_removed_is_told(blob_package: Make, tmp_path: Path) -> None:
    assert "does not exist" in done(add(tmp_path / "nowhere")).problem
    spoiled = blob_package(lambda manifest: manifest.pop("card"))
    assert "the field card is missing" in done(add(spoiled)).problem
    exchanged = blob_package()
    (exchanged / "network.onnx").write_bytes(b"exchanged")
    assert "is damaged or was replaced" in done(add(exchanged)).problem
    assert "comes with MedInfer and cannot be removed" in done(remove("chest-nodules")).problem
    assert "is not an installed model" in done(remove("--help")).problem
    assert installed() == []


def test_the_devices_are_those_that_the_engine_finds() -> None:
    errand = done(list_devices())
    assert list(errand.devices) == available()
    assert errand.problem == ""


def test_a_crash_is_told_with_its_log() -> None:
    errand = done(Errand("no-such-command"))
    assert errand.problem.startswith("The process ended unexpectedly (2); its log is ")
    log = Path(errand.problem.split("its log is ")[1].rstrip("."))
    assert "invalid choice" in log.read_text()


def test_what_is_missing_is_told_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errands, "missing", lambda converters: (*REQUIRED, *map(CONVERTERS.get, converters)))
    assert list_devices().missing() == REQUIRED
    assert fetch("blobs", needs=("h5py", "onnx")).missing() == (*REQUIRED, CONVERTERS["h5py"], CONVERTERS["onnx"])
    errand = fetch("blobs")
    with pytest.raises(MedInferError, match="needs onnxruntime, pydantic and connected-components-3d"):
        errand.start()
    assert not errand.step()
    errand.cancel()
    errand.close()


def test_an_interpreter_that_cannot_be_started_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "PythonSlicer"
    broken.write_bytes(b"\0broken")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    errand = list_devices()
    with pytest.raises(MedInferError, match="could not be started"):
        errand.start()
    assert not errand._folder.exists()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("inside", "needs"), [
    ("Dataset1/trainer/fold_0/checkpoint_final.pth", ("torch", "onnx", "dynamic_network_architectures")),
    ("bundle/configs/metadata.json", ("torch", "onnx", "monai")),
    ("model.json", ()),
])
def test_what_converts_another_programs_model_is_asked_for_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: str, needs: tuple[str, ...], packed: bool
) -> None:
    monkeypatch.setattr(errands, "missing", lambda converters: converters)
    source = tmp_path / "given"
    (source / inside).parent.mkdir(parents=True)
    (source / inside).touch()
    if packed:
        with zipfile.ZipFile(tmp_path / "given.zip", "w") as archive:
            archive.write(source / inside, inside)
        source = tmp_path / "given.zip"
    assert add(source).missing() == needs
    assert not is_bare_network(source)


def test_a_torchscript_network_needs_torch_and_an_onnx_one_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(errands, "missing", lambda converters: converters)
    with zipfile.ZipFile(tmp_path / "net.pt", "w") as archive:
        archive.writestr("net/constants.pkl", b"")
    (tmp_path / "net.onnx").touch()
    for errand in (add(tmp_path / "net.pt"), look(tmp_path / "net.pt")):
        assert errand.missing() == ("torch",)
    assert look(tmp_path / "net.onnx").missing() == ()
    assert is_bare_network(tmp_path / "net.pt")
    with zipfile.ZipFile(tmp_path / "net.zip", "w") as archive:
        archive.write(tmp_path / "net.onnx", "inside/net.onnx")
    assert is_bare_network(tmp_path / "net.zip")
    assert not is_bare_network(tmp_path / "nothing.zip")


def test_a_preview_can_be_stopped_while_the_scan_is_handed_over(tmp_path: Path, blob_scan: Any) -> None:
    (tmp_path / "net.onnx").touch()
    errand = preview(tmp_path / "net.onnx", {}, blob_scan[0])
    errand.start()
    folder = errand._folder
    assert (folder / "scan.nii").exists()
    errand.cancel()
    errand.step()
    assert (errand.over, errand.cancelled, errand.problem) == (True, True, "")
    errand.close()
    assert not folder.exists()


def test_a_scan_that_is_handed_over_for_a_preview_is_the_scan(blob_scan: Any, tmp_path: Path) -> None:
    (tmp_path / "net.onnx").touch()
    errand = preview(tmp_path / "net.onnx", {}, blob_scan[0])
    errand.start()
    while errand._handover is not None:
        errand.step()
    read = read_volume(errand._folder / "scan.nii")
    np.testing.assert_array_equal(read.voxels, blob_scan[0].voxels)
    np.testing.assert_allclose(read.grid.ijk_to_ras, blob_scan[0].grid.ijk_to_ras, atol=1e-5)
    errand.close()
