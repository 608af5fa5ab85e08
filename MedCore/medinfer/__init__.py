"""MedInfer's engine: a volume in, findings in world millimetres out. It does not depend on Slicer or Qt.

    import medinfer

    package = medinfer.find_package("chest-nodules")
    with medinfer.open_package(package) as session:
        findings = medinfer.run(medinfer.read_volume("chest.nii.gz"), package, session)
    for box in findings.boxes:
        print(box.score, box.diameter_mm, box.center_ras)
"""

from typing import TYPE_CHECKING, Any

from .version import __version__ as __version__

if TYPE_CHECKING:
    from .findings import Box as Box
    from .findings import Findings as Findings
    from .inference.pipeline import open_package as open_package
    from .inference.pipeline import run as run
    from .library.library import find_package as find_package
    from .library.package import load_package as load_package
    from .scans.reading import read_volume as read_volume
    from .volume import Volume as Volume

_HOME = {
    "Box": "findings", "Findings": "findings", "Volume": "volume", "find_package": "library.library",
    "load_package": "library.package", "open_package": "inference.package_session", "read_volume": "scans.reading",
    "run": "inference.pipeline",
}


def __getattr__(name: str) -> Any:
    """Import on first use: `import medinfer` alone costs nothing, also inside Slicer."""
    from importlib import import_module

    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
