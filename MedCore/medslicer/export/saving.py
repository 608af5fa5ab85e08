"""Files that Slicer opens: markups in one `.mrk.json`, segments in one `.seg.nrrd`, the whole scene in one `.mrb`.

All are written under a temporary name and renamed, so that a full disk or a crash leaves the old file or none.
"""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from medinfer.atomic_files import staging, write_text
from medinfer.errors import OutputError

from ..nodes.lookup import nodes_of
from ..quiet import quiet_libraries

# What Slicer's own files say; with markups in it, a file says what the Slicer that wrote them says.
MARKUPS_SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)


def save_markups(
    markups: Sequence[Any], path: Path, *, missing: Mapping[Any, Collection[int]] = MappingProxyType({})
) -> None:
    """Write all `markups` (nodes of any kind) to one Markups JSON file, each under its own name.

    missing: for each node, the numbers of existing points to be written as missing.

    Slicer's writer puts one markup into a file; its reader takes as many as the file lists, with their names
    (vtkSlicerMarkupsLogic.LoadMarkups). So each node is written by Slicer and the lists are joined.
    Coordinates are the nodes' own, as in every file of Slicer's: a parent transform is not applied.
    Raises OutputError.
    """
    document: dict[str, Any] = {"@schema": MARKUPS_SCHEMA, "markups": []}
    with staging(path) as folder:
        for number, node in enumerate(markups):
            written = _written_markup(node, folder / f"{number}.mrk.json", missing.get(node, ()))
            document = {**written, "markups": [*document["markups"], *written["markups"]]}
    write_text(path, json.dumps(document, indent=2) + "\n")


def save_segmentation(node: Any, path: Path) -> None:
    """Write the segmentation `node` to `path` (`.seg.nrrd`): labelmap, names, colours, terminology and tags.

    The voxels of a segment have the value that it has in the node; where segments overlap, Slicer writes layers and
    gives some of them other values, in the node as in the file, whose header says which. Coordinates are the node's
    own: a parent transform is not applied. Without a segment it is a file of one voxel. Raises OutputError.
    """
    with staging(path) as folder:
        written = folder / path.name
        _write_by_slicer(node, written)
        os.replace(written, path)


def save_scene(scene: Any, path: Path) -> None:
    """Write the whole scene, data included, to a Slicer data bundle (`.mrb`). Raises OutputError."""
    import slicer

    with staging(path) as folder:
        # The folder inside a bundle is called as the file: so it is written under its final name.
        bundle = folder / path.name
        messages = slicer.vtkMRMLMessageCollection()
        with quiet_libraries():
            written = scene.WriteToMRB(str(bundle), None, messages)
        if not written or not _is_whole(bundle):
            try_to_write([folder, Path(scene.GetCacheManager().GetRemoteCacheDirectory())], _bytes_of(scene))
            reason = messages.GetAllMessagesAsString().strip().splitlines() or ["no reason given"]
            raise OutputError(f"{path} cannot be written by Slicer's writer: {reason[-1]}")
        os.replace(bundle, path)


def _written_markup(node: Any, path: Path, missing: Collection[int]) -> dict[str, Any]:
    """The Markups JSON document that Slicer writes for `node`, with the node's name added. Raises OSError.

    missing: the numbers of points that are to be written as missing, in the way of Slicer's writer.
    """
    _write_by_slicer(node, path)
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for markup in document["markups"]:
        markup["name"] = node.GetName()
        for number, point in enumerate(markup["controlPoints"]):
            # Ids of nodes mean nothing outside their scene.
            point["associatedNodeID"] = ""
            if number in missing:
                point.update(position="", positionStatus="missing")
    return document


def _write_by_slicer(node: Any, path: Path) -> None:
    """Let Slicer write the data of `node` to `path`. Raises OSError."""
    # Of the class that the node wants (a ROI's is not the others'), but not its own: where its user saves it is not
    # ours to change.
    storage = node.GetScene().CreateNodeByClass(node.GetDefaultStorageNodeClassName())
    storage.UnRegister(None)
    storage.SetFileName(str(path))
    with quiet_libraries():
        written = storage.WriteData(node)
    if not written:
        try_to_write([path.parent], 1 << 16)
        raise OSError(storage.GetUserMessages().GetAllMessagesAsString().strip())


def _is_whole(bundle: Path) -> bool:
    """Whether the archive can be read to its end and holds a scene."""
    try:
        with zipfile.ZipFile(bundle) as archive:
            return archive.testzip() is None and any(name.endswith(".mrml") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def try_to_write(folders: Sequence[Path], size: int) -> None:
    """Write `size` bytes to each folder and remove them: raises the OSError that Slicer's writer met and hid."""
    for folder in folders:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(size))
            probe.flush()
            os.fsync(probe.fileno())


def _bytes_of(scene: Any) -> int:
    """What the scene's volumes take uncompressed."""
    images = [node.GetImageData() for node in nodes_of(scene, "vtkMRMLVolumeNode")]
    return (1 << 16) + sum(int(image.GetActualMemorySize()) * 1024 for image in images if image)
