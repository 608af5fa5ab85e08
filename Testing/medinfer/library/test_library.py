"""The library: bundled, installed, fetched from a server on this machine, removed; archives are not trusted."""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from range_server import RangeHandler

from medinfer.errors import Cancelled, DownloadError, PackageError
from medinfer.importers.adding import add
from medinfer.importers.fetching import fetch
from medinfer.library.library import entries, find_package, remove
from medinfer.library.package import sha256_of
from medinfer.library.places import bundled_folder, user_folder
from medinfer.manifest import Task

Make = Callable[..., Path]


def zipped(folder: Path, target: Path, inside: str = "") -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, f"{inside}{path.name}")
    return target


@pytest.fixture
def offer(server: str, blob_package: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Serve the blob package and name it in a catalogue; returns its id."""

    def make(sha256: str | None = None, size: int | None = None) -> str:
        body = zipped(blob_package(), tmp_path / "blobs.zip").read_bytes()
        RangeHandler.files["/blobs.zip"] = body
        catalogue = tmp_path / "catalogue.json"
        catalogue.write_text(json.dumps([{
            "id": "blobs", "title": "Blobs", "url": f"{server}/blobs.zip", "format": "package", "licence": "Apache-2.0",
            "sha256": sha256 or hashlib.sha256(body).hexdigest(), "size": size or len(body),
            "homepage": "", "commit": "", "needs": "",
        }]))
        monkeypatch.setenv("MEDINFER_CATALOGUE", str(catalogue))
        return "blobs"

    return make


def nothing_installed() -> bool:
    return not [path for path in user_folder().glob("*") if not path.name.startswith(".downloads")]


def test_a_package_is_fetched_checked_and_installed(offer: Callable[..., str]) -> None:
    with pytest.raises(PackageError, match="fetch it with: medinfer fetch blobs"):
        find_package(offer())
    seen: list[tuple[int, int]] = []
    fetch("blobs", progress=lambda stage, done, total: seen.append((done, total)))
    assert seen
    assert seen[-1][0] == seen[-1][1]
    assert find_package("blobs").verified_files()
    assert [entry.origin for entry in entries() if entry.id == "blobs"] == ["installed"]


def test_the_public_slab_network_is_fetched_and_becomes_a_package(
    server: str, test_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real catalogue's entry and the real file, served from this machine."""
    (offer,) = json.loads((bundled_folder() / "catalogue.json").read_text(encoding="utf-8"))
    RangeHandler.files["/weights.h5"] = (test_data / "weights" / "nodule_slab_unet_2mm.h5").read_bytes()
    (tmp_path / "catalogue.json").write_text(json.dumps([{**offer, "url": f"{server}/weights.h5"}]))
    monkeypatch.setenv("MEDINFER_CATALOGUE", str(tmp_path / "catalogue.json"))
    package = fetch(offer["id"])
    assert package.id == offer["id"]
    assert package.verified_files()
    assert package.manifest.card.licence == offer["licence"] == "MIT"


def test_a_wrong_checksum_installs_nothing(offer: Callable[..., str]) -> None:
    offer(sha256="0" * 64)
    with pytest.raises(DownloadError, match="sha256 differs"):
        fetch("blobs")
    assert nothing_installed()
    assert not list((user_folder() / ".downloads").iterdir())


def test_an_interrupted_download_continues_where_it_stopped(
    offer: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    offer()
    monkeypatch.setattr("medinfer.library.download._MOST_TRIES", 1)
    RangeHandler.break_after = 300
    with pytest.raises(DownloadError):
        fetch("blobs")
    RangeHandler.break_after = None
    fetch("blobs")
    assert RangeHandler.asked_ranges[-1] == "bytes=300-"
    assert find_package("blobs").verified_files()


def test_more_bytes_than_declared_are_refused(offer: Callable[..., str]) -> None:
    offer(size=100)
    with pytest.raises(DownloadError, match="larger than the 100 bytes"):
        fetch("blobs")
    assert nothing_installed()


def test_a_download_can_be_cancelled(offer: Callable[..., str]) -> None:
    offer()
    with pytest.raises(Cancelled):
        fetch("blobs", cancel=lambda: True)
    assert nothing_installed()


def test_a_server_that_is_not_there_is_one_sentence(offer: Callable[..., str]) -> None:
    offer()
    RangeHandler.files.clear()
    with pytest.raises(DownloadError, match=r"could not be fetched \(Not Found\)"):
        fetch("blobs")


def test_an_unknown_download_lists_what_there_is(offer: Callable[..., str]) -> None:
    offer()
    with pytest.raises(PackageError, match="available: blobs"):
        fetch("nothing")


@pytest.mark.parametrize("inside", ["", "blobs-1.0/"])
def test_a_zip_is_added_offline(blob_package: Make, tmp_path: Path, inside: str) -> None:
    assert add(zipped(blob_package(), tmp_path / "b.zip", inside)).id == "blobs"


def test_a_folder_is_added_and_removed_again_while_the_original_stays(blob_package: Make) -> None:
    source = blob_package()
    installed = add(source)
    assert installed.folder.is_relative_to(user_folder())
    remove("blobs")
    assert not installed.folder.exists()
    assert (source / "model.json").exists()


def test_adding_again_replaces_the_older_version(blob_package: Make) -> None:
    add(blob_package())
    newer = add(blob_package(lambda manifest: manifest.update(version="1.1.0")))
    assert find_package("blobs").manifest.version == newer.manifest.version == "1.1.0"
    assert [path.name for path in user_folder().iterdir()] == ["blobs"]


def test_a_bad_package_leaves_the_installed_one_alone(blob_package: Make) -> None:
    add(blob_package())
    worse = blob_package(lambda manifest: manifest.update(version="2.0.0"), "worse")
    (worse / "network.onnx").write_bytes(b"damaged")
    with pytest.raises(PackageError, match="sha256"):
        add(worse)
    assert find_package("blobs").manifest.version == "1.0.0"
    assert [path.name for path in user_folder().iterdir()] == ["blobs"]


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "a/../../evil.txt", "..\\evil.txt", "C:evil.txt"])
def test_an_archive_cannot_write_outside_its_folder(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), "evil")
    with pytest.raises(PackageError, match="outside the package"):
        add(tmp_path / "evil.zip")
    assert not list(tmp_path.rglob("evil.txt"))
    assert nothing_installed()


def test_an_archive_with_a_link_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("model.json")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(PackageError, match="contains the link"):
        add(tmp_path / "link.zip")


def test_a_truncated_archive_is_refused(blob_package: Make, tmp_path: Path) -> None:
    whole = zipped(blob_package(), tmp_path / "whole.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PackageError, match=r"not a complete \.zip archive"):
        add(tmp_path / "cut.zip")


def test_a_folder_without_a_model_says_what_is_missing_in_it(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    with pytest.raises(PackageError, match=r"scans is not a model package: it has no model\.json"):
        find_package(str(tmp_path / "scans"))


def test_bundled_models_cannot_be_removed_and_unknown_ones_are_named() -> None:
    with pytest.raises(PackageError, match="only installed models can be removed"):
        remove("nothing")
    with pytest.raises(PackageError, match="comes with MedInfer and cannot be removed"):
        remove("chest-nodules")
    with pytest.raises(PackageError, match="There is no model 'nothing'"):
        find_package("nothing")


@pytest.mark.parametrize(
    ("task", "offered"), [("detect", "chest-nodules"), ("landmark", "vertebrae"), ("segment", "teeth")]
)
def test_who_asks_for_a_model_that_is_not_there_is_offered_those_of_the_task(task: Task, offered: str) -> None:
    with pytest.raises(PackageError, match=rf"or one of {offered}\.$"):
        find_package("nothing", task)
    with pytest.raises(PackageError, match=r"or one of chest-nodules, teeth, vertebrae\.$"):
        find_package("nothing")


def test_a_broken_folder_in_the_library_is_listed_with_its_problem(blob_package: Make) -> None:
    shutil.copytree(blob_package(lambda manifest: manifest.pop("card")), user_folder() / "broken")
    (entry,) = [entry for entry in entries() if entry.id == "broken"]
    assert "card is missing" in entry.problem


def test_sha256_is_hashlibs(tmp_path: Path) -> None:
    data = bytes(range(256)) * 9000
    (tmp_path / "file").write_bytes(data)
    assert sha256_of(tmp_path / "file") == hashlib.sha256(data).hexdigest()


def archive_of(path: Path, *inside: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in inside:
            archive.writestr(name, b"")


@pytest.mark.parametrize(
    ("name", "start", "words"),
    [
        ("net.onnx", b"\x08\x08\x12\x07pytorch", "is not a usable onnx network"),
        ("cut.onnx", b"\x08\x08\x12\x07pytor", "is not a complete ONNX network"),
        ("net.h5", b"\x89HDF\r\n\x1a\n....", "is a Keras network (HDF5): add it with --format keras-slab"),
        ("net.pth", b"\x80\x02\x8a\nl\xfc\x9c", "is a checkpoint of PyTorch in its old format, which may run code"),
        (
            "net.pth", ("net/data.pkl", "net/version"),
            "is a checkpoint of PyTorch (weights without the code of their network): the network's layers and how "
            "scans are prepared are missing; add the whole MONAI bundle",
        ),
        ("net.pt", ("net/constants.pkl", "net/data.pkl"), "is not a usable torchscript network"),
        ("net.pt2", ("serialized_exported_program.json",), "is an exported PyTorch program without its model.json"),
        ("net.pth", b"PK\x03\x04cut", "is a PyTorch file that is cut short or damaged: copy it again"),
        ("net.keras", ("config.json", "model.weights.h5"), "is a Keras network: export"),
        ("model.json", b"{}", "is a model.json alone: add the folder that it lies in"),
        ("thesis.pdf", b"%PDF-1.7", "is no model package: give a package's folder, or a .zip of it"),
        ("empty.zip", b"", "is no model package"),
    ],
)
def test_a_file_that_is_no_package_is_called_what_it_is(
    tmp_path: Path, name: str, start: bytes | tuple[str, ...], words: str
) -> None:
    path = tmp_path / name
    if isinstance(start, tuple):
        archive_of(path, *start)
    else:
        path.write_bytes(start)
    with pytest.raises(PackageError) as caught:
        add(path)
    assert str(caught.value).startswith(f"{path} {words}")
    assert str(caught.value).count(". ") == 0
    assert nothing_installed()
