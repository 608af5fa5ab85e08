"""Locked models: they run as before with their key, and without it nothing of them can be read."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from two_balls import draw_balls, save_torchscript

from medinfer.command.cli import OK, REFUSED, main
from medinfer.errors import OutputError, PackageError
from medinfer.importers.adding import add
from medinfer.importers.questions import Given
from medinfer.inference.package_check import check_package
from medinfer.inference.pipeline import open_package, run
from medinfer.library.keys import find_key
from medinfer.library.locked_file import locked, new_key, unlocked
from medinfer.library.locking import lock_package, make_key
from medinfer.library.package import ModelPackage, load_package
from medinfer.scans.writing import write_volume

WORDS = {"labels": "liver,spleen", "modality": "MR", "spacing": "3", "intensity": "clip -1000 1000 to -1..1"}


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MEDINFER_KEY", "MEDINFER_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    make_key(tmp_path / "key")
    return tmp_path / "key"


@pytest.fixture
def plain(default_export: Path) -> ModelPackage:
    """With its weights in a file beside the graph."""
    return add(default_export, given=Given({**WORDS, "id": "balls"}))


@pytest.fixture
def hidden(plain: ModelPackage, key_file: Path, tmp_path: Path) -> ModelPackage:
    return lock_package(plain, find_key("balls", key_file), tmp_path / "locked")


def labels_of(package: ModelPackage, **options: Any) -> np.ndarray:
    volume = draw_balls()
    with open_package(package, threads=1, **options) as session:
        found = run(volume, package, session)
    assert found.label_map is not None
    return found.label_map.whole(volume).voxels


def redeclare(package: ModelPackage, change: Callable[[bytearray], None]) -> ModelPackage:
    """Change a locked file, and the sha256 that `model.json` has of it."""
    path = package.folder / "model.onnx"
    content = bytearray(path.read_bytes())
    before = hashlib.sha256(content).hexdigest()
    change(content)
    path.write_bytes(content)
    description = package.folder / "model.json"
    description.write_text(description.read_text().replace(before, hashlib.sha256(content).hexdigest()))
    return load_package(package.folder)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_locked_model_finds_what_it_found_before(
    plain: ModelPackage, hidden: ModelPackage, key_file: Path, backend: str
) -> None:
    pytest.importorskip(backend)
    expected = labels_of(plain, backend=backend, precision="float32")
    found = labels_of(hidden, backend=backend, precision="float32", key_file=key_file)
    assert expected.any()
    np.testing.assert_array_equal(found, expected)


def test_torchscript_can_be_locked_too(key_file: Path, tmp_path: Path) -> None:
    plain = add(save_torchscript(tmp_path / "net.pt"), given=Given(WORDS))
    hidden = lock_package(plain, find_key("net", key_file), tmp_path / "locked")
    np.testing.assert_array_equal(labels_of(hidden, key_file=key_file), labels_of(plain))


def test_no_part_of_the_network_is_in_the_locked_files(plain: ModelPackage, hidden: ModelPackage) -> None:
    graph, weights = (plain.folder / name for name in ("model.onnx", "model.onnx.data"))
    assert b"Conv" in graph.read_bytes()
    for path in hidden.folder.iterdir():
        content = path.read_bytes()
        assert b"Conv" not in content
        assert graph.read_bytes()[:64] not in content
        assert weights.read_bytes()[:16] not in content
    assert hidden.locked
    assert not plain.locked
    assert not load_package(plain.folder).locked, "the model that was locked stays as it was"


def test_the_same_network_is_never_locked_to_the_same_bytes() -> None:
    key = find_of(new_key())
    one, other = locked(b"network", key, "a"), locked(b"network", key, "a")
    assert one != other
    assert unlocked(one, key, "a") == unlocked(other, key, "a") == b"network"


def find_of(text: str) -> bytes:
    os.environ["MEDINFER_KEY"] = text
    try:
        return find_key("any")
    finally:
        del os.environ["MEDINFER_KEY"]


def test_without_its_key_or_with_another_one_it_is_one_sentence(
    hidden: ModelPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PackageError, match=r"balls is locked: give the key .* by --key-file FILE or the variable"):
        open_package(hidden)
    make_key(tmp_path / "other")
    with pytest.raises(PackageError, match=r"model\.onnx is locked with another key: give the one"):
        open_package(hidden, key_file=tmp_path / "other")
    (tmp_path / "none").write_text("no key\n")
    with pytest.raises(PackageError, match=r"none holds no key of MedInfer \(44 characters\)"):
        open_package(hidden, key_file=tmp_path / "none")
    with pytest.raises(PackageError, match=r"The key file .*absent cannot be read \(No such file"):
        open_package(hidden, key_file=tmp_path / "absent")


@pytest.mark.parametrize("place", [8, 16, 30, 44, 60, -1], ids=["key", "nonce", "tag", "first", "inside", "last"])
def test_a_byte_that_was_changed_is_noticed_even_where_its_sha256_was_changed_too(
    hidden: ModelPackage, key_file: Path, place: int
) -> None:
    def flip(content: bytearray) -> None:
        content[place] ^= 1

    changed = redeclare(hidden, flip)
    with pytest.raises(PackageError, match=r"was changed after it was locked|is locked with another key"):
        open_package(changed, key_file=key_file)


def test_a_file_cut_short_or_under_another_name_is_refused(hidden: ModelPackage, key_file: Path) -> None:
    content, key = (hidden.folder / "model.onnx").read_bytes(), find_key("balls", key_file)
    with pytest.raises(PackageError, match="was changed after it was locked"):
        unlocked(content, key, "other.onnx")
    with pytest.raises(PackageError, match="is not a locked network, or it is cut short"):
        unlocked(content[:30], key, "model.onnx")


def test_the_key_is_found_in_the_environment_and_in_the_keyring(
    hidden: ModelPackage, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDINFER_KEY_FILE", str(key_file))
    open_package(hidden).close()
    monkeypatch.delenv("MEDINFER_KEY_FILE")
    monkeypatch.setenv("MEDINFER_KEY", key_file.read_text())
    open_package(hidden).close()
    monkeypatch.delenv("MEDINFER_KEY")

    class Keyring:
        """As the library `keyring`, with one key in it."""

        @staticmethod
        def get_password(service: str, name: str) -> str | None:
            return key_file.read_text() if (service, name) == ("medinfer", "balls") else None

    monkeypatch.setitem(sys.modules, "keyring", Keyring)
    open_package(hidden).close()


def test_a_key_is_for_its_owner_alone_and_is_never_overwritten(key_file: Path) -> None:
    if os.name == "posix":
        assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    before = key_file.read_text()
    with pytest.raises(OutputError, match="is there already, and a key is never overwritten"):
        make_key(key_file)
    assert key_file.read_text() == before


def test_check_looks_into_it_with_the_key(
    hidden: ModelPackage, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert any("balls is locked" in problem for problem in check_package(hidden.folder).problems)
    monkeypatch.setenv("MEDINFER_KEY_FILE", str(key_file))
    assert check_package(hidden.folder).problems == ()


def test_documents_come_with_it_and_other_networks_do_not(
    plain: ModelPackage, key_file: Path, tmp_path: Path
) -> None:
    (plain.folder / "LICENSE").write_text("Mine.")
    (plain.folder / "other.onnx").write_bytes((plain.folder / "model.onnx").read_bytes())
    hidden = lock_package(plain, find_key("balls", key_file), tmp_path / "locked")
    assert sorted(path.name for path in hidden.folder.iterdir()) == [
        "LICENSE", "model.json", "model.onnx", "model.onnx.data",
    ]
    with pytest.raises(PackageError, match=r"model\.onnx is locked already"):
        lock_package(hidden, find_key("balls", key_file), tmp_path / "twice")
    with pytest.raises(OutputError, match="is there already"):
        lock_package(plain, find_key("balls", key_file), tmp_path / "locked")
    assert not (tmp_path / "twice").exists()


def test_one_command_locks_it_and_one_option_runs_it(
    plain: ModelPackage, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_volume(draw_balls(), tmp_path / "balls.nii.gz")
    assert main(["lock", "balls", "--new-key", "key"]) == OK
    said = capsys.readouterr().out
    assert "keep a copy" in said
    assert "is locked in balls-locked; run it with --key-file key" in said
    run_it = ["segment", "balls.nii.gz", "-o", "out", "--model", "balls-locked", "--threads", "1", "--no-scene"]
    assert main(run_it, outputs={}) == REFUSED
    assert "balls is locked: give the key" in capsys.readouterr().err
    assert main([*run_it, "--key-file", "key"], outputs={}) == OK
    assert json.loads(next(Path("out").rglob("findings.json")).read_text())["segments"]
    assert main(["lock", "balls", "--new-key", "key"]) == REFUSED
    assert "never overwritten" in capsys.readouterr().err


# Reports every file that is opened to be written, and looks into those afterwards.
_WATCHED = """
import json, os, sys
written = set()
def watch(event, given):
    if event == "open" and isinstance(given[0], str) and given[2] & (os.O_WRONLY | os.O_RDWR):
        written.add(os.path.abspath(given[0]))
sys.addaudithook(watch)
from medinfer.command.cli import main
code = main(sys.argv[2:], outputs={})
json.dump([code, sorted(written)], open(sys.argv[1], "w"))
"""


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_nothing_that_was_unlocked_is_ever_on_a_disk(
    plain: ModelPackage, hidden: ModelPackage, key_file: Path, tmp_path: Path, backend: str
) -> None:
    pytest.importorskip(backend)
    write_volume(draw_balls(), tmp_path / "balls.nii.gz")
    own = tmp_path / "own"
    for name in ("home", "temporary"):
        (own / name).mkdir(parents=True)
    arguments = [
        "segment", str(tmp_path / "balls.nii.gz"), "-o", str(own / "out"), "--model", str(hidden.folder), "--threads",
        "1", "--no-scene", "--backend", backend, "--key-file", str(key_file),
    ]
    places = {"HOME": own / "home", "TMPDIR": own / "temporary", "XDG_CACHE_HOME": own / "home" / "cache"}
    environment = {**os.environ, **{name: str(place) for name, place in places.items()},
                   "PYTHONPATH": os.pathsep.join(sys.path)}
    report = tmp_path / "report.json"
    subprocess.run([sys.executable, "-c", _WATCHED, str(report), *arguments], env=environment, cwd=own, check=True)
    code, written = json.loads(report.read_text())
    assert code == OK
    # Also what a runtime wrote without Python seeing it.
    left = {*map(Path, written), *(path for path in own.rglob("*") if path.is_file())}
    parts = [(plain.folder / name).read_bytes()[:48] for name in ("model.onnx", "model.onnx.data")]
    for path in left:
        if path.is_file() and path != report:
            content = path.read_bytes()
            assert not any(part in content for part in parts), path


def test_networks_hidden_by_xor_are_added_as_they_were_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = one_file(tmp_path)
    content = np.frombuffer(path.read_bytes(), np.uint8)
    (tmp_path / "1.data").write_bytes((content ^ np.resize(np.frombuffer(b"1234", np.uint8), content.size)).tobytes())
    words = [part for name, word in WORDS.items() for part in (f"--{name}", word)]
    assert main(["add", str(tmp_path / "1.data"), "--xor-key", "12345", "--id", "hidden", *words]) == REFUSED
    assert "is no ONNX network behind the key '12345'" in capsys.readouterr().err
    assert main(["add", str(tmp_path / "1.data"), "--xor-key", "1234", "--id", "hidden", *words]) == OK
    assert "are no protection" in capsys.readouterr().out


def one_file(folder: Path) -> Path:
    """A network whose weights lie in it."""
    from onnx import TensorProto, helper, numpy_helper, save

    weights = numpy_helper.from_array(np.array([0, 1, -1], np.float32).reshape(3, 1, 1, 1, 1), "w")
    sizes = ["k", "j", "i"]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"])], "signs",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, *sizes])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3, *sizes])], [weights],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "signs.onnx")
    return folder / "signs.onnx"
