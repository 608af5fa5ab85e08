"""The findings of a pass in world coordinates (points, boxes, or objects with voxels) and their conversion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress, product
from typing import TYPE_CHECKING

import numpy as np

from ..decoders import IndexBox, IndexPoint, IndexSegments
from ..decoders.label_cleanup import boxes_of
from ..findings import Box, Landmark, box_from_index, vector
from ..manifest import Kind
from ..preparation.prepare import Prepared
from ..volume import Floats, Grid, Volume

if TYPE_CHECKING:
    from ..anatomy.lungs import PlacedLungs


@dataclass(frozen=True)
class Points:
    """landmarks: includes those that were not found, without a position."""

    landmarks: tuple[Landmark, ...] = ()


@dataclass(frozen=True)
class Boxes:
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True)
class Named:
    """The name of an object. label: one of the model's labels, or its word for unlabelled objects."""

    label: str
    confidence: float
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Objects:
    """Objects on a network's grid.

    voxels: on the output grid, whose voxels are `stride` of `grid` (the prepared one) wide. names: of each of
    `voxels.segments`. told: the labels that were looked for, in the model's order. orientation: of the grid's axes, as
    a pass declares it. lungs: where they were looked for.
    """

    voxels: IndexSegments
    grid: Grid
    stride: int
    orientation: str | None
    names: tuple[Named, ...]
    told: tuple[str, ...] = ()
    lungs: PlacedLungs | None = None

    @classmethod
    def none(cls, told: tuple[str, ...] = ()) -> Objects:
        """No objects, after a search for `told`."""
        nothing = np.zeros((1, 1, 1), np.uint8)
        return cls(IndexSegments(nothing, nothing, ()), Grid((1, 1, 1), np.eye(4)), 1, "LPS", (), told)

    @property
    def layers(self) -> tuple[Objects, ...]:
        """The objects of each layer of voxels by themselves."""
        named = list(zip(self.voxels.segments, self.names, strict=True))
        return tuple(
            replace(self, voxels=layer, names=tuple(name for entry, name in named if entry in layer.segments))
            for layer in self.voxels.layers
        )

    def boxes(self) -> list[tuple[slice, slice, slice]]:
        """The voxels of the output grid that each object spans (k, j, i)."""
        found = [boxes_of(layer.labels) for layer in self.voxels.layers]
        return [found[entry.layer][entry.value] for entry in self.voxels.segments]

    def voxel_places(self) -> list[Floats]:
        """Where the voxels of each object are: `[n, 3]` RAS mm."""
        middle, layers = (self.stride - 1) / 2, self.voxels.layers
        places = []
        for entry, box in zip(self.voxels.segments, self.boxes(), strict=True):
            inside = np.argwhere(layers[entry.layer].labels[box] == entry.value)
            places.append(self.grid.to_ras((inside + [part.start for part in box]) * self.stride + middle))
        return places

    def kept(self, keep: Sequence[bool]) -> Objects:
        """Only those objects."""
        segments = tuple(compress(self.voxels.segments, keep))
        table = np.zeros(256, np.uint8)
        for entry in segments:
            table[entry.value] = entry.value
        voxels = replace(self.voxels.relabelled(table), segments=segments)
        return replace(self, voxels=voxels, names=tuple(compress(self.names, keep)))


Found = Points | Boxes | Objects


@dataclass(frozen=True, eq=False)
class Earlier:
    """What earlier passes gave, and the labels that each tells apart, in its order; both by the pass's name."""

    found: Mapping[str, Found]
    told: Mapping[str, tuple[str, ...]]


def places_of(found: Found) -> Floats:
    """The position of each finding: points, the boxes' centres, the objects' centroids; `[n, 3]` RAS mm."""
    if isinstance(found, Points):
        places = [entry.position_ras for entry in found.landmarks if entry.position_ras is not None]
    elif isinstance(found, Boxes):
        places = [box.center_ras for box in found.boxes]
    else:
        places = [vector(found.grid.to_ras(entry.centroid)) for entry in found.voxels.segments]
    return np.array(places, dtype=np.float64).reshape(-1, 3)


def corners_of(found: Boxes | Objects) -> Floats:
    """The corners of what takes up space: `[8 n, 3]` RAS mm, whole voxels included."""
    if isinstance(found, Boxes):
        corners = [box.corners_ras() for box in found.boxes]
    else:
        corners = [
            found.grid.to_ras(list(product(*((part.start * found.stride - 0.5, part.stop * found.stride - 0.5)
                                             for part in box))))
            for box in found.boxes()
        ]
    return np.array(corners, dtype=np.float64).reshape(-1, 3)


def only_labels(found: Found, labels: Sequence[str]) -> Found:
    """The findings with these labels; all findings if no labels are given."""
    if not labels:
        return found
    if isinstance(found, Points):
        return Points(tuple(entry for entry in found.landmarks if entry.label in labels))
    if isinstance(found, Boxes):
        return Boxes(tuple(box for box in found.boxes if box.label in labels))
    told = tuple(label for label in found.told if label in labels)
    return replace(found.kept([name.label in labels for name in found.names]), told=told)


def as_kind(found: Found, kind: Kind) -> Found:
    """The same findings as another kind. Raises ValueError if that is impossible (a point has no box)."""
    if kind == "points":
        return as_points(found)
    if kind == "boxes" and isinstance(found, Objects):
        return Boxes(tuple(_boxes_of(found)))
    if isinstance(found, Boxes if kind == "boxes" else Objects):
        return found
    raise ValueError(f"{type(found).__name__} cannot be given as {kind}")


def as_points(found: Found) -> Points:
    """Each finding as a point; of objects a label a point in the labels' order, missing ones too, and then those
    without a label, surest first."""
    if isinstance(found, Points):
        return found
    if isinstance(found, Boxes):
        return Points(tuple(Landmark(box.label, box.center_ras, box.score) for box in found.boxes))
    points = [
        Landmark(name.label, vector(place), name.confidence, name.flags)
        for name, place in zip(found.names, places_of(found), strict=True)
    ]
    order = {label: n for n, label in enumerate(found.told)}
    missing = [Landmark(label, None, 0.0) for label in found.told if label not in {point.label for point in points}]
    return Points(tuple(sorted(
        [*points, *missing], key=lambda point: (order.get(point.label, len(order)), -point.confidence)
    )))


def _boxes_of(found: Objects) -> list[Box]:
    """A box around each object's voxels, surest first; its diameter is that of the sphere of the same volume."""
    boxes = []
    voxel_mm3 = float(np.prod(found.grid.spacing)) * found.stride**3
    for entry, name, where in zip(found.voxels.segments, found.names, found.boxes(), strict=True):
        place = found.grid.to_ras(entry.centroid)
        boxes.append(box_from_index(
            found.grid, [part.start * found.stride for part in where], [part.stop * found.stride for part in where],
            label=name.label, score=name.confidence,
            diameter_mm=(6 * entry.voxels * voxel_mm3 / np.pi) ** (1 / 3),
            side=found.lungs.side_of(place) if found.lungs else "",
        ))
    return sorted(boxes, key=lambda box: -box.score)


def in_world(found: Sequence[IndexBox | IndexPoint], prepared: Prepared, volume: Volume) -> Points | Boxes:
    """A decoder's points or boxes on the prepared grid, in the world."""
    if any(isinstance(entry, IndexBox) for entry in found):
        return Boxes(tuple(_box(entry, prepared) for entry in found if isinstance(entry, IndexBox)))
    return Points(tuple(_landmark(entry, prepared, volume) for entry in found if isinstance(entry, IndexPoint)))


def _box(entry: IndexBox, prepared: Prepared) -> Box:
    spacing = float(np.mean(prepared.grid.spacing))
    diameter = None if entry.diameter_voxels is None else entry.diameter_voxels * spacing
    center = prepared.grid.to_ras((np.array(entry.low) + np.array(entry.high) - 1) / 2)
    return box_from_index(
        prepared.grid, entry.low, entry.high, label=entry.label, score=entry.score, diameter_mm=diameter,
        side=prepared.lungs.side_of(center) if prepared.lungs else "",
    )


def _landmark(point: IndexPoint, prepared: Prepared, volume: Volume) -> Landmark:
    """In the world; missing where it lies outside the scan, which a patch at its border reaches over."""
    missing = Landmark(point.label, None, point.confidence)
    if point.position is None:
        return missing
    ras = prepared.grid.to_ras(point.position)
    index = volume.grid.to_index(ras)
    if (index < -0.5).any() or (index > np.array(volume.shape) - 0.5).any():
        return missing
    deviation = None
    if point.deviation is not None:
        k, j, i = (float(d * mm) for d, mm in zip(point.deviation, prepared.grid.spacing, strict=True))
        deviation = (k, j, i)
    return Landmark(point.label, vector(ras), point.confidence, point.flags, deviation)
