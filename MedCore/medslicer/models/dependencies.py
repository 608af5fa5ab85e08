"""The packages that inference needs beyond Slicer's own: their size, and their installation into Slicer's Python.

Checks use metadata alone and import nothing. Installing does not ask: the caller must have the user's consent.
"""

from __future__ import annotations

import importlib
import os
import platform
import re
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

from medinfer.errors import MedInferError

from .model_shelf import ShelfModel


@dataclass(frozen=True)
class Dependency:
    """One package. module: what it is imported as. minimum: the oldest version that is enough.

    megabytes: what it and what it needs in turn take to download, the largest of Linux, macOS and Windows (wheels
    for Python 3.12 as `pip download` fetched them in November 2026, without what comes with Slicer).
    """

    distribution: str
    module: str
    minimum: str
    megabytes: int
    purpose: str

    @property
    def requirement(self) -> str:
        return f"{self.distribution}>={self.minimum}"


REQUIRED = (
    Dependency("onnxruntime", "onnxruntime", "1.17", 25, "runs the networks"),
    Dependency("pydantic", "pydantic", "2.5", 3, "validates the model description"),
    Dependency("connected-components-3d", "cc3d", "3.12", 5, "separates the findings"),
)
TORCH = Dependency("torch", "torch", "2.2", 200, "runs networks that need PyTorch; up to 3,000 MB with an NVIDIA GPU")
OPENVINO = Dependency("openvino", "openvino", "2024.4", 85, "runs the networks faster on Intel processors")
CONVERTERS = {
    "h5py": Dependency("h5py", "h5py", "3.10", 6, "reads Keras weights"),
    "onnx": Dependency("onnx", "onnx", "1.15", 11, "writes network files"),
    "torch": TORCH,
    "dynamic_network_architectures": Dependency(
        "dynamic-network-architectures", "dynamic_network_architectures", "0.4", 12, "builds the networks of nnU-Net"
    ),
    "monai": Dependency("monai", "monai", "1.4", 2, "builds the networks of MONAI"),
}

# What Slicer 5.10 or 5.12 brings in its Python (SuperBuild/External_python-*.cmake); what is not there is passed over.
SHIPPED = (
    "numpy", "scipy", "SimpleITK", "pydicom", "highdicom", "pyjpegls", "dicomweb-client", "dcmqi", "pillow", "vtk",
    "requests", "certifi", "idna", "chardet", "charset-normalizer", "urllib3", "retrying", "six", "python-dateutil",
    "typing-extensions", "packaging", "pyparsing", "pip", "setuptools", "wheel", "PyJWT", "wrapt", "Deprecated",
    "pycparser", "cffi", "cryptography", "PyNaCl", "PyGithub", "GitPython", "gitdb", "smmap", "couchdb",
)

_VERSION = r"\d+(\.\d+)*((a|b|rc)\d+)?(\.post\d+)?(\.dev\d+)?(\+[A-Za-z0-9.]+)?"
_INSTALLING = threading.Lock()


def missing(model: ShelfModel | None = None, *, converters: Sequence[str] = ()) -> tuple[Dependency, ...]:
    """Packages that are missing or too old to run `model` (None: any model that needs no PyTorch).

    converters: what must be there besides to make a model of a download or file (`ShelfModel.needs`).
    """
    needed = [*REQUIRED, *(CONVERTERS[name] for name in converters if name in CONVERTERS)]
    if model is not None and model.needs_torch:
        needed.append(TORCH)
    return tuple(entry for entry in needed if not _is_there(entry))


def optional() -> tuple[Dependency, ...]:
    """Optional packages that would make runs faster on this computer."""
    intel = platform.machine().lower() in ("x86_64", "amd64")
    return (OPENVINO,) if intel and not _is_there(OPENVINO) else ()


def consent_text(needs: Sequence[Dependency], _: Callable[[str], str] = str) -> str:
    """The text that asks for consent to install `needs`. _: translates."""
    lines = [_("This needs packages that do not come with Slicer:"), ""]
    lines += [f"• {entry.distribution}, {entry.megabytes} MB: {_(entry.purpose)}" for entry in needs]
    total = sum(entry.megabytes for entry in needs)
    lines += ["", _(
        "About {total} MB will be downloaded from the Python Package Index and installed into this Slicer. "
        "Packages that come with Slicer are not changed, and your images stay on this computer."
    ).format(total=total), "", _("Install them now?")]
    return "\n".join(lines)


def missing_text(needs: Sequence[Dependency]) -> str:
    """The message for a script, which cannot ask the user."""
    them = "them" if len(needs) > 1 else "it"
    return (
        f"MedInfer needs {_names(needs)}: press Run in its panel, which offers to install {them}, or call "
        "medslicer.models.dependencies.install(medslicer.models.dependencies.missing())."
    )


def install(needs: Sequence[Dependency]) -> None:
    """Install `needs` into Slicer's Python; what Slicer ships stays at its version. Returns when that is done.

    Slicer 5.12 shows its own progress dialog; in 5.10 the window goes on to be drawn. Torch comes through the
    extension “PyTorch” alone. Raises MedInferError: pip failed (with what to do without a connection), the extension
    is missing, or another installation is still running.
    """
    if not needs:
        return
    if not _INSTALLING.acquire(blocking=False):
        # Both ways let the window handle clicks meanwhile.
        raise MedInferError("Packages are already being installed; wait until the installation has finished.")
    try:
        torch = _torch_extension() if TORCH in needs else None
        with _pins() as pins:
            by_pip = [entry for entry in needs if entry != TORCH]
            if by_pip:
                _install_by_pip(by_pip, pins)
            if torch is not None:
                _install_torch(torch, pins)
    except OSError as error:
        raise MedInferError(
            f"{_names(needs)} could not be installed: no temporary file can be written ({error.strerror or error}); "
            "check that the disk has free space."
        ) from error
    finally:
        _INSTALLING.release()
        importlib.invalidate_caches()
    left = [entry for entry in needs if not _is_there(entry)]
    if left:
        raise MedInferError(f"{_names(left)} cannot be found after the installation; restart Slicer and run it again.")


def _install_by_pip(needs: Sequence[Dependency], pins: Path) -> None:
    import slicer

    # No wheel for this computer is a clear answer; building one from source here would be none.
    arguments = ["--only-binary=:all:", *(entry.requirement for entry in needs)]
    try:
        try:
            from slicer.packaging import pip_install
        except ImportError:
            slicer.util.pip_install([*arguments, "-c", str(pins)])
        else:
            pip_install(arguments, constraints=pins, requester="MedInfer")
    except (CalledProcessError, RuntimeError, OSError) as error:
        raise MedInferError(_pip_failed(needs, error)) from error


def _pip_failed(needs: Sequence[Dependency], error: Exception) -> str:
    why = f"it ended with code {error.returncode}" if isinstance(error, CalledProcessError) else str(error)
    wanted = " ".join(f'"{entry.requirement}"' for entry in needs)
    return (
        f"pip could not install {_names(needs)} ({why}; see its output in Slicer's Python console). "
        "Without an internet connection: on a connected computer with the same Slicer and operating system, run "
        f"PythonSlicer -m pip download --only-binary=:all: -d FOLDER {wanted}, copy the folder here and run "
        f"PythonSlicer -m pip install --no-index --find-links FOLDER {wanted}."
    )


def _torch_extension() -> Any:
    try:
        from PyTorchUtils import PyTorchUtilsLogic
    except ImportError:
        raise MedInferError(
            "This model needs PyTorch: install the extension “PyTorch” in Slicer's Extensions Manager, restart Slicer "
            "and run it again."
        ) from None
    return PyTorchUtilsLogic()


def _install_torch(logic: Any, pins: Path) -> None:
    """Let the extension choose and install the build that suits this computer's GPU."""
    with _environment("PIP_CONSTRAINT", pins.as_uri()):  # as an address, since pip splits this variable at spaces
        try:
            torch = logic.installTorch(askConfirmation=False, torchVersionRequirement=f">={TORCH.minimum}")
        except Exception as error:  # whatever the extension meets
            raise MedInferError(
                f"The extension “PyTorch” could not install PyTorch ({error}); see its module “PyTorch Utils” for "
                "details, then run it again."
            ) from error
    if torch is None:
        raise MedInferError("PyTorch was not installed, and this model cannot run without it.")


@contextmanager
def _pins() -> Iterator[Path]:
    """A constraints file for pip that holds what Slicer ships at the version that is installed."""
    lines = []
    for name in SHIPPED:
        with suppress(PackageNotFoundError):
            installed = version(name)
            # What is not a version (a local build of Slicer may have one) would make pip refuse the whole file.
            if installed and re.fullmatch(_VERSION, installed):
                lines.append(f"{name}=={installed}\n")
    with tempfile.TemporaryDirectory(prefix="medinfer-", ignore_cleanup_errors=True) as folder:
        file = Path(folder) / "constraints.txt"
        file.write_text("".join(lines), encoding="utf-8")
        yield file


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _is_there(entry: Dependency) -> bool:
    try:
        if find_spec(entry.module) is None:
            return False
    except ValueError:  # a module in memory that came from nowhere
        return True
    installed = _version(entry)
    return installed is None or _release(installed) >= _release(entry.minimum)


def _version(entry: Dependency) -> str | None:
    """The version of what gives the module; None where nothing says so.

    Other distributions may give it too: onnxruntime-gpu or onnxruntime-directml the module onnxruntime.
    """
    try:
        return version(entry.distribution)
    except PackageNotFoundError:
        others = packages_distributions().get(entry.module)
        return version(others[0]) if others else None


def _release(text: str) -> tuple[int, ...]:
    """1.17.0rc1 as (1, 17, 0)."""
    match = re.match(r"\d+(\.\d+)*", text)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def _names(needs: Sequence[Dependency]) -> str:
    names = [entry.distribution for entry in needs]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
