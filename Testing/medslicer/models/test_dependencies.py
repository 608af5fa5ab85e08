"""What inference needs inside Slicer: found without imports, installed by a real pip that spares what Slicer has.

pip works offline on wheels made here; the stand-in for `slicer.util.pip_install` runs the real pip with `--target`.
"""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import tomllib
from wheels import wheel

from medinfer.errors import MedInferError
from medslicer.models import dependencies
from medslicer.models.dependencies import (
    CONVERTERS,
    OPENVINO,
    REQUIRED,
    SHIPPED,
    TORCH,
    Dependency,
    consent_text,
    install,
    missing,
    missing_text,
    optional,
)
from medslicer.models.model_shelf import ShelfModel

REPOSITORY = Path(__file__).resolve().parents[3]
# Slicer ships these (`SHIPPED`); rich draws the bar of a terminal, which Slicer has none of.
NOT_INSTALLED_IN_SLICER = {"numpy", "scipy", "SimpleITK", "pydicom", "rich"}

TINY = Dependency("medinfer-tiny", "medinfer_tiny", "1.0", 1, "tests this")
GREEDY = Dependency("medinfer-greedy", "medinfer_greedy", "1.0", 1, "asks for another numpy")


def test_what_is_installed_is_what_pyproject_asks_for_without_what_slicer_ships() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    ours = {entry.requirement for entry in REQUIRED}
    declared = {entry for entry in project["dependencies"] if entry.split(">=")[0] not in NOT_INSTALLED_IN_SLICER}
    assert ours == declared
    assert NOT_INSTALLED_IN_SLICER - {"rich"} <= set(SHIPPED)
    extras = project["optional-dependencies"]
    assert [OPENVINO.requirement] == extras["openvino"]
    assert [TORCH.requirement] == extras["torch"]
    # Newer ones than an extra allows are pip's to refuse.
    asked = {entry.partition(",")[0] for extra in ("convert", "nnunet", "monai") for entry in extras[extra]}
    assert {entry.requirement for entry in CONVERTERS.values()} == asked - {"pyyaml>=6"}


def test_where_all_is_installed_nothing_is_missing() -> None:
    assert missing() == ()
    assert missing(ShelfModel("x", "installed", "X", needs_torch=True), converters=("h5py", "onnx")) == ()


def test_what_a_model_needs_besides_is_asked_for_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dependencies, "find_spec", lambda module: None)
    assert missing() == REQUIRED
    assert missing(ShelfModel("x", "installed", "X", needs_torch=True)) == (*REQUIRED, TORCH)
    asked = missing(converters=("h5py", "onnx", "something-unknown"))
    assert asked == (*REQUIRED, CONVERTERS["h5py"], CONVERTERS["onnx"])


@pytest.mark.parametrize(("version", "enough"), [("0.9.12", False), ("1.0", True), ("1.10.0rc1", True)])
def test_what_is_too_old_counts_as_missing(version: str, enough: bool, tmp_path: Path, slicer_python: Path) -> None:
    wheel(tmp_path / "wheels", TINY.distribution, version)
    sys.modules["slicer"].util.pip_install(["--pre", TINY.distribution])
    assert dependencies._is_there(TINY) == enough


def test_another_distribution_that_gives_the_module_is_enough(tmp_path: Path, slicer_python: Path) -> None:
    """As onnxruntime-gpu gives onnxruntime: it must not be overwritten by the one for the CPU."""
    wheel(tmp_path / "wheels", "medinfer-tiny-gpu", "1.2")
    sys.modules["slicer"].util.pip_install(["medinfer-tiny-gpu"])
    assert dependencies._is_there(Dependency("medinfer-other", "medinfer_tiny_gpu", "1.0", 1, ""))
    assert not dependencies._is_there(Dependency("medinfer-other", "medinfer_tiny_gpu", "1.3", 1, ""))


def test_consent_names_each_package_its_purpose_and_the_sum() -> None:
    text = consent_text(REQUIRED)
    for entry in REQUIRED:
        assert f"{entry.distribution}, {entry.megabytes} MB: {entry.purpose}" in text
    assert f"About {sum(entry.megabytes for entry in REQUIRED)} MB" in text
    assert consent_text(REQUIRED, lambda words: f"[{words}]").startswith("[This needs packages")


def test_a_script_is_told_in_one_sentence_how_to_install() -> None:
    assert "onnxruntime, pydantic and connected-components-3d" in missing_text(REQUIRED)
    assert "medslicer.models.dependencies.install" in missing_text(REQUIRED[:1])


def test_openvino_is_only_an_offer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert optional() == ()
    monkeypatch.setattr(dependencies, "find_spec", lambda module: None)
    monkeypatch.setattr(dependencies.platform, "machine", lambda: "AMD64")
    assert optional() == (OPENVINO,)
    monkeypatch.setattr(dependencies.platform, "machine", lambda: "arm64")
    assert optional() == ()


def test_a_package_is_installed_by_pip_and_found_at_once(tmp_path: Path, slicer_python: Path) -> None:
    wheel(tmp_path / "wheels", TINY.distribution, "1.3")
    assert not dependencies._is_there(TINY)
    install([TINY])
    assert dependencies._is_there(TINY)
    assert importlib.metadata.version(TINY.distribution) == "1.3"
    assert (slicer_python / "medinfer_tiny.py").is_file()


def test_a_package_that_wants_another_numpy_is_refused_and_numpy_stays(tmp_path: Path, slicer_python: Path) -> None:
    wheel(tmp_path / "wheels", GREEDY.distribution, "1.0", requires="numpy>=99")
    wheel(tmp_path / "wheels", "numpy", "99.0")
    with pytest.raises(MedInferError, match="pip could not install medinfer-greedy"):
        install([GREEDY])
    assert not list(slicer_python.iterdir())
    # Without the pins the same pip takes it.
    sys.modules["slicer"].util.pip_install([GREEDY.requirement])
    assert (slicer_python / "numpy-99.0.dist-info").is_dir()


def test_what_slicer_ships_is_pinned_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        known = {"numpy": "1.26.4", "SimpleITK": "2.4.0.post1+gabc", "pydicom": "2.4.4", "vtk": "9.4-local build"}
        if name not in known:
            raise importlib.metadata.PackageNotFoundError(name)
        return known[name]

    monkeypatch.setattr(dependencies, "version", version)
    with dependencies._pins() as pins:
        assert pins.read_text() == "numpy==1.26.4\nSimpleITK==2.4.0.post1+gabc\npydicom==2.4.4\n"
    assert not pins.exists()


def test_without_a_connection_the_sentence_says_how_to_bring_the_wheels(tmp_path: Path, slicer_python: Path) -> None:
    (tmp_path / "wheels").mkdir()
    with pytest.raises(MedInferError) as told:
        install([TINY])
    assert "pip download" in str(told.value)
    assert '--no-index --find-links FOLDER "medinfer-tiny>=1.0"' in str(told.value)
    assert "ended with code 1" in str(told.value)


def test_slicers_own_packaging_is_used_where_it_is_there(
    tmp_path: Path, slicer_python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slicer 5.12's `slicer.packaging.pip_install(requirements, constraints=…, requester=…)`."""
    asked: dict[str, Any] = {}
    plain = sys.modules["slicer"].util.pip_install

    def pip_install(requirements: list[str], *, constraints: Path, requester: str) -> None:
        asked.update(pins=constraints.read_text(), requester=requester)
        plain([*requirements, "-c", str(constraints)])

    module = ModuleType("slicer.packaging")
    module.pip_install = pip_install
    monkeypatch.setitem(sys.modules, "slicer.packaging", module)
    wheel(tmp_path / "wheels", TINY.distribution, "1.0")
    install([TINY])
    assert asked["requester"] == "MedInfer"
    assert f"numpy=={importlib.metadata.version('numpy')}\n" in asked["pins"]


def test_without_room_for_a_temporary_file_it_is_one_sentence(
    slicer_python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(MedInferError, match="medinfer-tiny could not be installed: no temporary file can be written"):
        install([TINY])


def test_a_second_install_while_one_goes_on_is_refused(slicer_python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    def pip_install(arguments: list[str]) -> None:
        # Slicer 5.10 handles clicks while pip runs, so Run may be pressed again.
        try:
            install([TINY])
        except MedInferError as error:
            told.append(str(error))
        raise RuntimeError("PythonSlicer executable not found")

    monkeypatch.setattr(sys.modules["slicer"].util, "pip_install", pip_install)
    with pytest.raises(MedInferError, match="PythonSlicer executable not found"):
        install([TINY])
    assert told == ["Packages are already being installed; wait until the installation has finished."]
    assert not dependencies._INSTALLING.locked()


def test_torch_needs_the_extension_and_nothing_is_installed_before_that_is_known(
    tmp_path: Path, slicer_python: Path
) -> None:
    wheel(tmp_path / "wheels", TINY.distribution, "1.0")
    with pytest.raises(MedInferError, match="install the extension “PyTorch” in Slicer's Extensions Manager"):
        install([TINY, TORCH])
    assert not list(slicer_python.iterdir())


@pytest.fixture
def torch_extension(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., Any]], None]:
    """Put an extension “PyTorch” with this `installTorch` in place."""

    def put(install_torch: Callable[..., Any]) -> None:
        logic = SimpleNamespace(installTorch=install_torch)
        monkeypatch.setitem(sys.modules, "PyTorchUtils", SimpleNamespace(PyTorchUtilsLogic=lambda: logic))

    return put


def test_torch_comes_through_the_extension_with_the_same_pins(torch_extension: Callable[..., None]) -> None:
    seen: dict[str, Any] = {}

    def install_torch(askConfirmation: bool, torchVersionRequirement: str) -> Any:  # noqa: N803 (the extension's names)
        # Its subprocess is pip, which reads this variable: a dry run shows that it honours an address.
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "numpy>=99"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        seen.update(ask=askConfirmation, version=torchVersionRequirement, pip=done.stdout + done.stderr)
        return object()

    torch_extension(install_torch)
    install([TORCH])
    assert (seen["ask"], seen["version"]) == (False, ">=2.2")
    assert f"The user requested (constraint) numpy=={importlib.metadata.version('numpy')}" in seen["pip"]
    assert "PIP_CONSTRAINT" not in os.environ


def test_what_the_extension_could_not_do_is_told(torch_extension: Callable[..., None]) -> None:
    def fails(**unused: Any) -> None:
        raise ValueError("no such build")

    torch_extension(fails)
    with pytest.raises(MedInferError, match="no such build"):
        install([TORCH])
    torch_extension(lambda **unused: None)
    with pytest.raises(MedInferError, match="cannot run without it"):
        install([TORCH])


def test_what_cannot_be_found_afterwards_is_told(monkeypatch: pytest.MonkeyPatch, slicer_python: Path) -> None:
    monkeypatch.setattr(sys.modules["slicer"].util, "pip_install", lambda arguments: None)
    with pytest.raises(MedInferError, match="medinfer-tiny cannot be found after the installation; restart Slicer"):
        install([TINY])
