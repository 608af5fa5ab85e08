"""The findings of a run, in world millimetres: boxes, landmarks and segments.

Everything is RAS mm and says so in its field names, so that no coordinate travels without its frame.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Any, Literal

import numpy as np

from .label_map import LabelMap
from .volume import Floats, Grid

Side = Literal["left", "right", ""]
NoduleKind = Literal["solid", "part-solid", "ground-glass"]
Vector = tuple[float, float, float]
ToIndex = Callable[[Vector], Floats]

# Of the table of boxes: what they are, and where they are in other words than RAS mm.
BOX_COLUMNS = (
    "rank", "label", "score", "diameter_mm", "r_mm", "a_mm", "s_mm", "side",
    "volume_mm3", "longest_mm", "perpendicular_mm", "kind",
)
BOX_PLACE_COLUMNS = ("x_lps_mm", "y_lps_mm", "z_lps_mm", "i", "j", "k", "slice", "case", "seriesuid")


def vector(values: Iterable[float]) -> Vector:
    """Three numbers as plain floats, whatever array, tuple or VTK object they come in."""
    x, y, z = (float(value) for value in values)
    return x, y, z


@dataclass(frozen=True)
class NoduleMeasures:
    """What a segmentation inside the box of a lung nodule gives.

    longest_mm: its longest diameter in one of the scan's (nearly) axial slices; perpendicular_mm: the longest one
    perpendicular to that in the same slice. kind: what it is made of, by its HU.
    """

    volume_mm3: float
    longest_mm: float
    perpendicular_mm: float
    kind: NoduleKind

    @property
    def words(self) -> str:
        """As a reader writes it: "26.4 × 24.5 mm, 6102 mm³, solid"."""
        axial = f"{self.longest_mm:.1f} × {self.perpendicular_mm:.1f} mm"
        return f"{axial}, {self.volume_mm3:.0f} mm³, {self.kind}"


@dataclass(frozen=True)
class Box:
    """A box around a finding.

    label: its name ("nodule"); score: 0…1.
    center_ras: mm. size_mm: edge lengths along the box's own axes. axes: their unit RAS directions,
    one row per axis (i, j, k of the scan, so the box lies square in the scan's slices).
    diameter_mm: what a report would call the finding's size.
    side: of the lung that it lies in or is nearest to; empty if no lungs were searched for.
    measures: where the model declares some and they could be taken.
    """

    label: str
    score: float
    center_ras: Vector
    size_mm: Vector
    axes: tuple[Vector, Vector, Vector]
    diameter_mm: float
    side: Side = ""
    measures: NoduleMeasures | None = None

    def corners_ras(self) -> Floats:
        """The eight corners `[8, 3]` in RAS mm."""
        signs = np.array(np.meshgrid([-0.5, 0.5], [-0.5, 0.5], [-0.5, 0.5], indexing="ij")).reshape(3, 8).T
        corners: Floats = np.array(self.center_ras) + (signs * np.array(self.size_mm)) @ np.array(self.axes)
        return corners


def box_from_index(
    grid: Grid, low: Sequence[float], high: Sequence[float], *,
    label: str, score: float, diameter_mm: float | None = None, side: Side = "",
) -> Box:
    """The box that covers the voxels [low, high) of `grid` (k, j, i, half-open).

    Voxel centres sit on integers, so the box runs from low − 0.5 to high − 0.5.
    `diameter_mm` defaults to the mean edge.
    """
    low_kji, high_kji = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
    size = ((high_kji - low_kji) * np.array(grid.spacing))[::-1]
    return Box(
        label=label,
        score=float(score),
        center_ras=vector(grid.to_ras((low_kji + high_kji - 1) / 2)),
        size_mm=vector(size),
        axes=(vector(grid.directions[:, 0]), vector(grid.directions[:, 1]), vector(grid.directions[:, 2])),
        diameter_mm=float(np.mean(size)) if diameter_mm is None else float(diameter_mm),
        side=side,
    )


@dataclass(frozen=True)
class Landmark:
    """A named anatomical point.

    position_ras: mm; None where it was not found. confidence: 0…1; of a missing one the best that was seen.
    flags: what contradicts the other landmarks, one clear phrase each ("above T12").
    deviation_mm: standard deviation of its place along the scan's k, j, i axes, where the decoder knows it.
    """

    label: str
    position_ras: Vector | None
    confidence: float
    flags: tuple[str, ...] = ()
    deviation_mm: Vector | None = None

    @property
    def status(self) -> str:
        """"found", "flagged" or "missing"."""
        return "missing" if self.position_ras is None else "flagged" if self.flags else "found"


def distances_to_next(landmarks: Sequence[Landmark]) -> tuple[float | None, ...]:
    """Millimetres from each landmark to the one that follows it in the list; None where either is missing."""
    return (*(_distance(here, there) for here, there in pairwise(landmarks)), *(None for _ in landmarks[-1:]))


def neighbours_together(labels: Iterable[tuple[str, bool]]) -> str:
    """The marked labels of an ordered list, with neighbours as ranges: "C1–C6, S1"."""
    runs = [[label for label, _ in run] for marked, run in groupby(labels, itemgetter(1)) if marked]
    return ", ".join(run[0] if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs)


def _distance(one: Landmark, other: Landmark) -> float | None:
    if one.position_ras is None or other.position_ras is None:
        return None
    return float(np.linalg.norm(np.subtract(other.position_ras, one.position_ras)))


@dataclass(frozen=True)
class Segment:
    """An object with a surface: its voxels are those of the label map that hold its value.

    label: the name of one of the model's labels ("11"), or the model's word for an object without one ("tooth").
    value: in the label map. confidence: 0…1. center_ras: its centre of mass, mm. length_mm: along its longest axis.
    flags: what a user should check, one clear phrase each ("number unsure"). layer: which of the label maps it lies in,
    from 0 on, where segments overlap; else None.
    """

    label: str
    value: int
    confidence: float
    center_ras: Vector
    volume_mm3: float
    length_mm: float
    flags: tuple[str, ...] = ()
    layer: int | None = None


@dataclass(frozen=True)
class Findings:
    """The result of one run on one scan.

    boxes: best score first. landmarks: in the package's label order, missing ones included; of a package whose one
    label many points share: best first. scan, model: what was run on what. run: how (backend, device, precision,
    seconds by stage). notes: what the user should know about this scan. segments: in the order of the labels.
    label_map: the segments' voxels; kept in a file of its own, not in the JSON. candidates: boxes below the run's
    threshold, best first, down to the score that `run` calls its floor; a run without a floor keeps none. series:
    DICOM's SeriesInstanceUID of the scan, where it has one.
    """

    boxes: tuple[Box, ...] = ()
    landmarks: tuple[Landmark, ...] = ()
    scan: str = ""
    model: str = ""
    run: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    segments: tuple[Segment, ...] = ()
    label_map: LabelMap | None = None
    candidates: tuple[Box, ...] = ()
    series: str = ""

    def at(self, threshold: float) -> Findings:
        """The same findings as a run at `threshold` would have given them.

        Raises ValueError below the floor: what a run there would find is not known.
        """
        floor = self.run.get("floor")
        if floor is None or threshold < floor:
            raise ValueError(f"the candidates of {self.scan} are known down to {floor}, not to {threshold}")
        boxes, candidates = parted((*self.boxes, *self.candidates), threshold)
        return replace(self, boxes=boxes, candidates=candidates, run={**self.run, "threshold": threshold})

    def to_json(self) -> str:
        data = asdict(replace(self, label_map=None))
        del data["label_map"]
        if "floor" not in self.run:
            del data["candidates"]
        if not self.series:
            del data["series"]
        for box in (*data["boxes"], *data.get("candidates", ())):
            if box["measures"] is None:
                del box["measures"]
        for segment in data["segments"]:
            if segment["layer"] is None:
                del segment["layer"]
        return json.dumps({"format": "medinfer-findings", "version": 1, **data}, indent=2)

    @staticmethod
    def from_json(text: str) -> Findings:
        """The inverse of `to_json`. Raises ValueError for another format or a newer version."""
        data = json.loads(text)
        if data.pop("format", None) != "medinfer-findings" or data.pop("version", None) != 1:
            raise ValueError("not a medinfer-findings file of version 1")
        boxes = tuple(_box(entry) for entry in data.pop("boxes"))
        candidates = tuple(_box(entry) for entry in data.pop("candidates", ()))
        landmarks = tuple(_landmark(entry) for entry in data.pop("landmarks", ()))
        segments = tuple(
            Segment(**{**entry, "center_ras": vector(entry["center_ras"]), "flags": tuple(entry["flags"])})
            for entry in data.pop("segments", ())
        )
        notes = tuple(data.pop("notes"))
        return Findings(
            boxes=boxes, landmarks=landmarks, segments=segments, notes=notes, candidates=candidates, **data
        )

    @property
    def found(self) -> int:
        """The number of boxes, landmarks and segments, without missing landmarks."""
        landmarks = sum(landmark.position_ras is not None for landmark in self.landmarks)
        return len(self.boxes) + landmarks + len(self.segments)

    def boxes_csv(self, to_index: ToIndex | None = None, slice_numbers: Sequence[int] = ()) -> str:
        """One row per box: rank, label, score, diameter, centre (RAS mm), side; measures, where it has some; then where
        it is in other words: centre in LPS mm, nearest voxel and slice of the scan, the scan's name and series.

        to_index: from RAS mm to the scan's voxels (k, j, i); without it voxel and slice are empty. slice: as viewers
        count, from 1 on along the scan's third axis, or by slice_numbers (`Volume.slice_numbers`) where they are given.
        """
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([*BOX_COLUMNS, *BOX_PLACE_COLUMNS])
        for rank, box in enumerate(self.boxes, start=1):
            r, a, s = box.center_ras
            measures = ["", "", "", ""] if box.measures is None else [
                f"{box.measures.volume_mm3:.1f}", f"{box.measures.longest_mm:.2f}",
                f"{box.measures.perpendicular_mm:.2f}", box.measures.kind,
            ]
            writer.writerow([
                rank, box.label, f"{box.score:.4f}", f"{box.diameter_mm:.2f}", *_millimetres(r, a, s), box.side,
                *measures, *_millimetres(-r, -a, s),
                *([""] * 4 if to_index is None else _voxel_and_slice(to_index(box.center_ras), slice_numbers)),
                self.scan, self.series,
            ])
        return out.getvalue()

    def landmarks_csv(self) -> str:
        """One row per landmark: label, status, position (RAS mm), confidence, distance to the next one, flags."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["label", "status", "r_mm", "a_mm", "s_mm", "confidence", "to_next_mm", "flags"])
        for landmark, to_next in zip(self.landmarks, distances_to_next(self.landmarks), strict=True):
            place = [f"{value:.3f}" for value in landmark.position_ras or ()] or ["", "", ""]
            distance = "" if to_next is None else f"{to_next:.2f}"
            sure, flags = f"{landmark.confidence:.4f}", "; ".join(landmark.flags)
            writer.writerow([landmark.label, landmark.status, *place, sure, distance, flags])
        return out.getvalue()

    def segments_csv(self, names: Mapping[str, Mapping[str, str]] | None = None) -> str:
        """One row per segment: label, volume, length, confidence, centre (RAS mm), value in the label map, flags;
        where segments overlap, the layer of the label maps, too.

        names: of a label in other schemes, by label and scheme (`Label.names`): a column each, behind the label.
        """
        names = names or {}
        schemes = list(dict.fromkeys(scheme for others in names.values() for scheme in others))
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        measures = ["volume_mm3", "length_mm", "confidence", "r_mm", "a_mm", "s_mm", "value", "flags"]
        layered = any(segment.layer is not None for segment in self.segments)
        writer.writerow(["label", *schemes, *measures, *["layer"] * layered])
        for segment in self.segments:
            others = [names.get(segment.label, {}).get(scheme, "") for scheme in schemes]
            place = [f"{value:.3f}" for value in segment.center_ras]
            size = [f"{segment.volume_mm3:.1f}", f"{segment.length_mm:.2f}", f"{segment.confidence:.4f}"]
            row = [segment.label, *others, *size, *place, segment.value, "; ".join(segment.flags)]
            writer.writerow([*row, *[segment.layer] * layered])
        return out.getvalue()


def parted(boxes: Sequence[Box], threshold: float) -> tuple[tuple[Box, ...], tuple[Box, ...]]:
    """The boxes above `threshold`, and the others, each in their order."""
    above = tuple(box for box in boxes if box.score > threshold)
    return above, tuple(box for box in boxes if box.score <= threshold)


def _millimetres(*values: float) -> list[str]:
    # Not -0.000.
    return [f"{value + 0.0:.3f}" for value in values]


def _voxel_and_slice(index: Floats, slice_numbers: Sequence[int]) -> Sequence[int | str]:
    """The nearest voxel i, j, k, and the number of its slice; empty where a box was removed and lies nowhere."""
    if not np.isfinite(index).all():
        return [""] * 4
    k, j, i = (int(n) for n in np.rint(index))
    return [i, j, k, slice_numbers[k] if 0 <= k < len(slice_numbers) else k + 1]


def _box(data: dict[str, Any]) -> Box:
    return Box(**{
        **data,
        "center_ras": vector(data["center_ras"]),
        "size_mm": vector(data["size_mm"]),
        "axes": tuple(vector(axis) for axis in data["axes"]),
        "measures": NoduleMeasures(**data["measures"]) if data.get("measures") else None,
    })


def _landmark(data: dict[str, Any]) -> Landmark:
    place, deviation = data["position_ras"], data["deviation_mm"]
    return Landmark(**{
        **data,
        "position_ras": None if place is None else vector(place),
        "deviation_mm": None if deviation is None else vector(deviation),
        "flags": tuple(data["flags"]),
    })
