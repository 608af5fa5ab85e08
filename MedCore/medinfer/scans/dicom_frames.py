"""Where the frames of a multi-frame file lie when it has no functional groups for each of them.

CBCT software and secondary captures give one position and orientation at the top level. DICOM PS3.3, C.8.6.4
(multi-frame secondary capture: SliceLocationVector), C.8.8.3.2 (GridFrameOffsetVector), C.8.4.11 (nuclear medicine:
DetectorInformationSequence).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .dicom_fields import numbers

# Their frames are moments, not places.
_FILMS = {"US", "IVUS", "XA", "RF", "DX", "CR", "MG", "ES", "GM", "SM", "OP", "XC"}
_AXIAL = np.array([[1.0, 0, 0], [0, 1.0, 0]])

Place = tuple[tuple[float, ...], tuple[float, ...]]


class LayoutError(Exception):
    """The file does not say how its frames lie to one another."""


def frame_positions(header: Any, fields: Any, count: int) -> tuple[list[Place], tuple[str, ...]]:
    """LPS mm of the first pixel, and the six numbers of the orientation, for each of `count` frames; what was assumed.

    fields: what stands at the top level, with shared functional groups. The frames follow one another along the normal
    (row × column), as far apart as the first of these says: GridFrameOffsetVector, SliceLocationVector,
    SpacingBetweenSlices, SliceThickness. Raises LayoutError where none does, or where frames are moments of a film.
    """
    if str(header.get("Modality") or "").upper() in _FILMS:
        raise LayoutError
    detector: Any = next(iter(header.get("DetectorInformationSequence") or ()), {})
    position, orientation = (
        numbers(fields, name, size) or numbers(detector, name, size)
        for name, size in (("ImagePositionPatient", 3), ("ImageOrientationPatient", 6))
    )
    directions = _AXIAL if orientation is None else np.reshape(orientation, (2, 3))
    normal = np.cross(*directions)
    offsets, how = _offsets(fields, count, float(np.sign(normal[np.abs(normal).argmax()])))
    assumed = [f"are spaced by {how}"]
    if orientation is None:
        assumed.append("have no ImageOrientationPatient and were taken as axial, from feet to head")
    if position is None:
        assumed.append("have no ImagePositionPatient; the first was put at the origin")
    first = np.zeros(3) if position is None else np.array(position)
    length = float(np.linalg.norm(normal)) or 1.0
    angles = tuple(map(float, directions.ravel()))
    places = [(tuple(map(float, first + normal / length * offset)), angles) for offset in offsets]
    return places, ("; ".join(assumed),)


def _offsets(fields: Any, count: int, up: float) -> tuple[list[float], str]:
    """mm of each frame from the first, along the normal, and the field that says so.

    up: 1 where the normal points to the left, the back or the head, −1 where it points away, as SliceLocation counts.
    """
    for name in ("GridFrameOffsetVector", "SliceLocationVector"):
        vector = numbers(fields, name, count)
        if vector is not None and count > 1 and np.ptp(vector) > 0:
            way = up if name == "SliceLocationVector" else 1.0
            return [way * (value - vector[0]) for value in vector], name
    for name in ("SpacingBetweenSlices", "SliceThickness"):
        step = numbers(fields, name, 1)
        if step is not None and step[0] != 0:
            return [step[0] * frame for frame in range(count)], f"{name} ({step[0]:g} mm)"
    raise LayoutError
