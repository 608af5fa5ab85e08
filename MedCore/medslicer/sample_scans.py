"""The sample scans that come with the extension: one small phantom a module, offered by Slicer's Sample Data module.

Drawn by `medtrain.phantoms.sample_data`; nothing is downloaded: their address is their file's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medinfer.errors import ScanError

CATEGORY = "MedInfer"
FOLDER = Path(__file__).resolve().parents[1] / "Resources" / "SampleData"


@dataclass(frozen=True)
class SampleScan:
    """A scan: its name in Sample Data, the name of its volume node, its file's stem and its file's SHA-256."""

    name: str
    node: str
    stem: str
    sha256: str

    @property
    def file(self) -> Path:
        return FOLDER / f"{self.stem}.nrrd"

    @property
    def thumbnail(self) -> Path:
        return FOLDER / f"{self.stem}.png"


SAMPLE_SCANS: dict[str, SampleScan] = {
    "MedDetect": SampleScan(
        "MedInferChest", "ChestPhantom", "chest", "bfeef92f3dc96c6ef62201209965db040f16c58e9978986eeb8d61d4e7a8cb61"
    ),
    "MedLandmark": SampleScan(
        "MedInferSpine", "SpinePhantom", "spine", "e815e6d6b8a87db3b695addf7f29c33bf1b891edb7ebc350c9f3ee550ddd8563"
    ),
    "MedToothSeg": SampleScan(
        "MedInferJaws", "JawsPhantom", "jaws", "7a3fce7e5cf99c43fe034313c078427e03eeef15f4dc3c9231cd39815eda4833"
    ),
}
"""By module name."""


def register_sample_scans(module: str) -> None:
    """Offer the module's sample scan in Slicer's Sample Data module, under MedInfer.

    To be called once the application has started: `slicer.app.connect("startupCompleted()", …)`. Registering the same
    scan again changes nothing.
    """
    from SampleData import SampleDataLogic

    scan = SAMPLE_SCANS[module]
    SampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=scan.name,
        thumbnailFileName=str(scan.thumbnail),
        uris=scan.file.as_uri(),
        # Slicer copies it to its cache under this name; the checksum tells it when an older copy lies there.
        fileNames=f"{scan.name}.nrrd",
        nodeNames=scan.node,
        checksums=f"SHA256:{scan.sha256}",
    )


def load_sample_scan(module: str) -> Any:
    """The module's sample scan as a volume node in the scene, straight from its file. Raises ScanError."""
    import slicer

    scan = SAMPLE_SCANS[module]
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", scan.node)
    reader = slicer.vtkMRMLVolumeArchetypeStorageNode()
    reader.SetFileName(str(scan.file))
    if not reader.ReadData(node):
        slicer.mrmlScene.RemoveNode(node)
        raise ScanError(f"The sample scan {scan.file} is missing or damaged; reinstall MedInfer.")
    node.CreateDefaultDisplayNodes()
    slicer.util.setSliceViewerLayers(background=node)
    return node
