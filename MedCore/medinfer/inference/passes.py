"""One pass: the region it searches, its network's output, and the findings in world coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..backends import Session
from ..decoders import Decoding, IndexBox, IndexPoint, IndexSegments, decoding_for
from ..findings import Landmark
from ..manifest import Label, Manifest, Pass
from ..preparation.focus import boxes_in_focus, landmarks_in_focus
from ..preparation.prepare import Around, Prepared, prepare
from ..tiles.tiling import TilePlan
from ..volume import Floats, Volume
from .found import (
    Boxes,
    Earlier,
    Found,
    Named,
    Objects,
    Points,
    as_kind,
    as_points,
    corners_of,
    in_world,
    only_labels,
    places_of,
)
from .naming import named
from .network_run import decode_tiles
from .object_patches import objects_in_patches
from .patches import landmarks_in_patches, reach_mm
from .watch import Watch

# A scan is called upside down where turning it makes the landmarks so many times surer in all: a network that doesn't
# tell head from foot is equally sure both ways. Fewer landmarks than these say nothing.
_SURER, _FEWEST = 1.25, 3


def run_pass(
    volume: Volume, manifest: Manifest, one: Pass, session: Session, threshold: float, earlier: Earlier,
    watch: Watch,
) -> Found:
    """The findings of one pass. earlier: those of earlier passes, by name. threshold: replaces the pass's own."""
    region = one.prepare.region
    there = only_labels(earlier.found[region.of], region.labels) if region.kind == "found" else None
    labels = manifest.labels_of(one)
    if there is not None and not len(places_of(there)):
        return _nothing(one, labels, there)
    if there is not None and one.finds is None:
        return named(there, volume, one, labels, manifest.unnamed, session, earlier, watch)
    work = _Work(volume, one, labels or (Label(value=1, name=manifest.unnamed),), session, threshold, earlier, watch)
    found = _in_focus(volume, work.found(there, manifest.unnamed))
    return found if one.gives is None else as_kind(found, one.gives)


def _nothing(one: Pass, labels: Sequence[Label], there: Found) -> Found:
    """Of a pass with nothing to look at: its landmarks are missing, as sure as the earlier pass was of them."""
    kind = one.gives or one.finds
    if kind is None:
        return there
    if kind == "boxes":
        return Boxes()
    if kind == "points":
        before = {entry.label: entry for entry in there.landmarks} if isinstance(there, Points) else {}
        return Points(tuple(before.get(label.name, Landmark(label.name, None, 0.0)) for label in labels))
    return Objects.none(tuple(label.name for label in labels))


def _in_focus(volume: Volume, found: Found) -> Found:
    if isinstance(found, Points):
        return Points(landmarks_in_focus(volume, found.landmarks))
    return Boxes(boxes_in_focus(volume, found.boxes)) if isinstance(found, Boxes) else found


@dataclass(frozen=True, eq=False)
class _Work:
    """A pass at work on a scan."""

    volume: Volume
    one: Pass
    labels: Sequence[Label]
    session: Session
    threshold: float
    earlier: Earlier
    watch: Watch

    def found(self, there: Found | None, unnamed: str) -> Found:
        """there: what it looks at; None: the scan itself."""
        with self.watch.stage("prepare"):
            prepared = prepare(
                self.volume, self.one.prepare, self.watch.cancel, around=self._around(there),
                images=self.one.network.images,
            )
        self.watch.saw(self.one, prepared)
        names: tuple[Named, ...] | None = None
        with self.watch.stage("network"):
            found: Sequence[IndexBox | IndexPoint] | IndexSegments
            if self.one.tiling.join != "patches":
                found = self._in_tiles(prepared, there)
                self._look_upside_down(prepared, found)
            elif self.one.decoder.kind == "segments":
                found, names = objects_in_patches(
                    prepared, self.one, self.session, self.threshold, self._points(there), self.earlier, self.watch
                )
            else:
                found = landmarks_in_patches(
                    prepared, self.one, self.labels, self.session, self.threshold, self._points(there), self.earlier,
                    self.watch,
                )
        with self.watch.stage("findings"):
            if isinstance(found, IndexSegments):
                return self._objects(found, names or self._names(found, unnamed), prepared, unnamed)
            return in_world(found, prepared, self.volume) if found else self._empty()

    def _empty(self) -> Found:
        return Boxes() if self.one.finds == "boxes" else Points()

    def _around(self, there: Found | None) -> Around | None:
        """Patches lie around points; a box is drawn around all that boxes and objects take up."""
        if there is None:
            return None
        if isinstance(there, Points) or self.one.tiling.join == "patches":
            return Around(places_of(there), reach_mm=reach_mm(self.one))
        return Around(corners_of(there), solid=True)

    def _points(self, there: Found | None) -> tuple[Landmark, ...]:
        return () if there is None else as_points(there).landmarks

    def _in_tiles(
        self, prepared: Prepared, there: Found | None = None
    ) -> Sequence[IndexBox | IndexPoint] | IndexSegments:
        seeds: Floats | None = prepared.grid.to_index(places_of(there)) if there is not None else None

        def decoding_of(plan: TilePlan) -> Decoding:
            return decoding_for(
                self.one, self.labels, prepared.grid, self.threshold, seeds, prepared.scan, plan.outer
            )

        return decode_tiles(prepared, self.one, self.session, decoding_of, self.earlier, self.watch)

    def _look_upside_down(self, prepared: Prepared, found: Sequence[IndexBox | IndexPoint] | IndexSegments) -> None:
        """Also search the scan turned upside down if the chain asks for it, and report where that is more confident."""
        chain = self.one.decoder.chain if self.one.decoder.kind == "heatmap" else None
        if chain is None or not chain.upside_down or isinstance(found, IndexSegments):
            return
        other = self._in_tiles(prepared.upside_down())
        assert isinstance(other, Sequence)
        here, turned = _confidences(found), _confidences(other)
        if len(turned) >= _FEWEST and sum(turned) > _SURER * sum(here):
            self.watch.upside_down = True

    def _names(self, found: IndexSegments, unnamed: str) -> tuple[Named, ...]:
        """Of segments their labels' names; objects of one kind have none."""
        by_value = {label.value: label.name for label in self.labels} if self.one.decoder.kind == "segments" else {}
        return tuple(
            Named(by_value.get(entry.value, unnamed), entry.confidence, entry.flags) for entry in found.segments
        )

    def _objects(
        self, found: IndexSegments, names: tuple[Named, ...], prepared: Prepared, unnamed: str
    ) -> Objects:
        told = tuple(label.name for label in self.labels if label.name != unnamed)
        decoder = self.one.decoder
        grid = prepared.grid
        if decoder.kind == "segments" and decoder.decide != "network":
            assert prepared.scan is not None
            grid = prepared.scan
        return Objects(
            found, grid, self.one.stride, self.one.prepare.orientation, names,
            told if self.one.decoder.kind == "segments" else (), prepared.lungs,
        )


def _confidences(found: Sequence[IndexBox | IndexPoint]) -> list[float]:
    """Of the landmarks that were found and contradict no other."""
    points = [entry for entry in found if isinstance(entry, IndexPoint)]
    return [point.confidence for point in points if point.position is not None and not point.flags]
