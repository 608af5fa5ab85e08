"""One closed surface per segment as STL, for printing and planning. The command line calls it on request.

It is registered under the entry points `medinfer.outputs`. Slicer's own writer makes the files: world millimetres in
LPS, and the header of each says so ("SPACE=LPS"), by which Slicer turns them round when it reads them.
"""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medinfer.atomic_files import staging
from medinfer.findings import Findings
from medinfer.volume import Volume

from ..headless import SlicerMissingError, import_slicer, open_scene
from ..nodes.named_segments import named_segments
from ..nodes.segments import ShownSegment, add_segmentation, shown_segments
from ..nodes.volumes import add_volume
from ..quiet import quiet_libraries
from .saving import try_to_write

if TYPE_CHECKING:
    from medinfer.manifest import Manifest

FOLDER = "stl"
# A binary STL file: 80 bytes of words, the number of triangles, 50 bytes each.
_WORDS, _HEADER, _TRIANGLE = 80, 84, 50
log = logging.getLogger(__name__)


def write_surfaces(volume: Volume, findings: Findings, manifest: Manifest, folder: Path) -> list[Path]:
    """Write an STL file for each segment of `findings`, made on `volume`, to `folder`/stl and return the files.

    A tooth is called by its FDI number (`tooth-11.stl`), anything else by its name (`mandibular-canal.stl`). The
    surfaces are those of the scene: of the voxels, smoothed as Slicer does by default. Coordinates are LPS mm. A
    segment too small for a surface has no file. Raises OutputError where a file cannot be written.
    Without slicer-core none are written, and a warning in the log says what to install.
    """
    try:
        import_slicer()
    except SlicerMissingError as error:
        log.warning("%s", error)
        return []
    segments = named_segments(findings.segments, manifest.labels)
    if not segments:
        return []
    home = (folder / FOLDER).resolve()
    with open_scene() as scene:
        volume_node = add_volume(scene, volume)
        node = add_segmentation(scene, segments, findings.label_map, "Surfaces", volume_node)
        try:
            return write_segment_files(node, shown_segments(node), home)
        finally:
            for added in (node, volume_node):
                scene.RemoveNode(added)


def write_segment_files(node: Any, segments: Sequence[ShownSegment], folder: Path) -> list[Path]:
    """Write an STL file for each of `segments`, of the segmentation `node`, to `folder` and return the files.

    Coordinates are world LPS mm: a parent transform is applied. Other files there stay; those of the same names are
    replaced once all are whole. Raises OutputError.
    """
    # Slicer makes them where they are not there.
    node.CreateClosedSurfaceRepresentation()
    with staging(folder) as place:
        fresh = [_write_surface(node, segment, place) for segment in segments]
        folder.mkdir(exist_ok=True)
        return [
            written.replace(folder / name)
            for written, name in zip(fresh, file_names(segments), strict=True) if written is not None
        ]


def file_names(segments: Sequence[ShownSegment]) -> tuple[str, ...]:
    """A file name for each of `segments`, of lower-case letters, digits and hyphens; no two are alike."""
    names: list[str] = []
    for segment in segments:
        words = f"tooth {segment.fdi}" if segment.fdi else segment.name
        name = re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-") or "segment"
        own = re.sub(r"[^a-z0-9]+", "-", segment.id.lower().removeprefix("segment_"))
        names.append(f"{name}-{own}.stl" if f"{name}.stl" in names else f"{name}.stl")
    return tuple(names)


def _write_surface(node: Any, segment: ShownSegment, place: Path) -> Path | None:
    """Let Slicer write one segment of `node` to a folder of its own in `place`; None where it has no surface.

    Raises OSError.
    """
    import slicer
    import vtk

    surface, ids = vtk.vtkPolyData(), vtk.vtkStringArray()
    ids.InsertNextValue(segment.id)
    if not node.GetClosedSurfaceRepresentation(ids.GetValue(0), surface) or surface.GetNumberOfCells() == 0:
        return None
    own = Path(tempfile.mkdtemp(dir=place))
    with quiet_libraries():
        slicer.vtkSlicerSegmentationsModuleLogic.ExportSegmentsClosedSurfaceRepresentationToFiles(
            str(own), _copy_of(surface, node), None, "STL", True, 1.0, False
        )
    whole = [path for path in own.iterdir() if _is_whole(path)]
    if not whole:
        try_to_write([own], _HEADER + _TRIANGLE * surface.GetNumberOfCells())
        raise OSError(f"Slicer's writer did not write a complete surface of {segment.name}")
    return whole[0]


def _copy_of(surface: Any, node: Any) -> Any:
    """A segmentation node, in no scene, of `surface` alone as it lies in the world below `node`.

    Slicer's writer makes a path of the node's and the segment's names; a user may have given them any.
    """
    import slicer
    import vtk

    to_world, move = vtk.vtkGeneralTransform(), vtk.vtkTransformPolyDataFilter()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(node.GetParentTransformNode(), None, to_world)
    move.SetTransform(to_world)
    move.SetInputData(surface)
    move.Update()
    copy = node.GetScene().CreateNodeByClass("vtkMRMLSegmentationNode")
    copy.UnRegister(None)
    copy.SetName("surfaces")
    kind = slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()
    alone = slicer.vtkSegment()
    alone.SetName("surface")
    alone.AddRepresentation(kind, move.GetOutput())
    copy.GetSegmentation().SetSourceRepresentationName(kind)
    copy.GetSegmentation().AddSegment(alone, "surface")
    return copy


def _is_whole(path: Path) -> bool:
    """Whether a binary STL file has as many triangles as it says."""
    with path.open("rb") as file:
        head = file.read(_HEADER)
    count = int.from_bytes(head[_WORDS:], "little")
    return count > 0 and path.stat().st_size == _HEADER + _TRIANGLE * count
