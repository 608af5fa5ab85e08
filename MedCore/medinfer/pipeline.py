"""One straight line: Volume -> prepare -> tiles -> backend -> joined -> decoder -> Findings.

A package with a coarse stage goes along it twice: the points of the first pass say where the second one looks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from types import TracebackType
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from .backends import NetworkFile, Session, open_session
from .chain import runs_upside_down
from .decoders import IndexBox, IndexPoint, decoding_for, points_along_chain
from .errors import Cancelled, PackageError
from .findings import Box, Findings, Landmark, box_from_index
from .joining import open_joiner
from .manifest import Label, Stage
from .package import ModelPackage
from .prepare import Prepared, prepare
from .tiling import Tile, TilePlan, cut_tile, plan_blend, plan_crop, plan_slabs
from .volume import Floats, Volume

Progress = Callable[[str, int, int], None]
Cancel = Callable[[], bool]
T = TypeVar("T")

# A scan is called upside down where turning it makes the landmarks so many times surer in all: a network that doesn't
# tell head from foot is equally sure both ways. Fewer landmarks than these say nothing.
_SURER, _FEWEST = 1.25, 3
_UPSIDE_DOWN = "scan upside down?"


class PackageSession:
    """A package held open: one session a stage. Use it as a context manager, or `close` it."""

    def __init__(self, stages: Sequence[Session]) -> None:
        self.stages = tuple(stages)

    @property
    def runtime(self) -> str:
        """The runtime, or the stages' runtimes where they differ ("onnxruntime + openvino"); so for the next two."""
        return _joined(session.runtime for session in self.stages)

    @property
    def device(self) -> str:
        """Where the networks really run."""
        return _joined(session.device for session in self.stages)

    @property
    def precision(self) -> str:
        """In what they really compute."""
        return _joined(session.precision for session in self.stages)

    def close(self) -> None:
        """Free the networks."""
        for session in self.stages:
            session.close()

    def __enter__(self) -> PackageSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _joined(words: Iterable[str]) -> str:
    return " + ".join(dict.fromkeys(words))


def open_package(
    package: ModelPackage, *, backend: str = "auto", device: str = "auto", precision: str = "auto",
    threads: int | None = None,
) -> PackageSession:
    """Check the package's files and open its networks. Raises PackageError and DeviceError; never falls back."""
    with ExitStack() as opened:
        sessions = []
        for stage in package.manifest.stages:
            network = stage.network
            files = [NetworkFile(path, file.format) for file, path in package.verified_files(network)]
            sessions.append(opened.enter_context(open_session(
                files, inputs=[entry.name for entry in network.inputs], outputs=[network.output],
                backend=backend, device=device, precision=precision, threads=threads,
            )))
        opened.pop_all()
    return PackageSession(sessions)


def run(
    volume: Volume, package: ModelPackage, session: PackageSession, *, threshold: float | None = None,
    progress: Progress | None = None, cancel: Cancel | None = None,
) -> Findings:
    """Find in `volume` what `package` was trained for.

    session: from `open_package`; it can serve many runs. threshold: instead of the declared one.
    progress(stage, done, total) is called from this thread; cancel() is asked between tiles and raises Cancelled.

    Memory: the prepared region (4 bytes a voxel), one tile through the network, and what the decoder keeps
    (two bytes an output voxel for labels, the candidates for anchors, a few kilobytes a landmark for heatmaps);
    it does not grow with the classes. Raises ScanError, PackageError, DeviceError, Cancelled.
    """
    manifest, score = package.manifest, package.threshold(threshold)
    watch = _Watch(progress or (lambda stage, done, total: None), cancel or (lambda: False))
    found: list[Box | Landmark] = []
    if manifest.coarse is not None:
        coarse = manifest.coarse
        with watch.within("coarse "):
            found = _run_stage(volume, coarse, manifest.labels, session.stages[0], coarse.decoder.threshold, [], watch)
    points = [entry for entry in found if isinstance(entry, Landmark)]
    if manifest.coarse is None or any(point.position_ras is not None for point in points):
        found = _run_stage(volume, manifest, manifest.labels, session.stages[-1], score, points, watch)
    boxes = tuple(entry for entry in found if isinstance(entry, Box))
    landmarks = tuple(entry for entry in found if isinstance(entry, Landmark))
    if watch.upside_down:
        landmarks = tuple(replace(entry, flags=(*entry.flags, _UPSIDE_DOWN)) for entry in landmarks)
    return Findings(
        boxes=boxes,
        landmarks=landmarks,
        scan=volume.name,
        model=package.reference,
        run={
            "runtime": session.runtime, "device": session.device, "precision": session.precision,
            "threshold": score, "tiles": watch.tiles,
            "seconds": {stage: round(s, 3) for stage, s in watch.seconds.items()},
        },
        notes=(*volume.notes, *_notes(landmarks, manifest, watch.upside_down)),
    )


def _notes(landmarks: Sequence[Landmark], stage: Stage, upside_down: bool) -> list[str]:
    """What a user should know of all landmarks together."""
    if stage.decoder.kind != "heatmap":
        return []
    places = [landmark.position_ras for landmark in landmarks]
    turned = "the scan seems to be stored upside down (feet where its header says the head is): don't trust the names"
    if upside_down:
        return [turned]
    if not any(places):
        return ["no landmark was found: the anatomy that this model knows is not in view, or is unlike what it knows"]
    if stage.decoder.chain is not None and runs_upside_down(places):
        return [turned]
    return []


def _run_stage(
    volume: Volume, stage: Stage, labels: Sequence[Label], session: Session, threshold: float,
    points: Sequence[Landmark], watch: _Watch,
) -> list[Box | Landmark]:
    """One pass over the scan, or over patches around `points` (the coarse stage's)."""
    places = [point.position_ras for point in points if point.position_ras is not None]
    with watch.stage("prepare"):
        prepared = prepare(
            volume, stage.prepare, watch.cancel, points=np.array(places) if places else None, reach_mm=_reach_mm(stage),
        )
    with watch.stage("network"):
        decode = _decode_patches if stage.tiling.join == "patches" else _decode_joined
        found = decode(prepared, stage, labels, session, threshold, points, watch)
        if _upside_down(prepared, stage, labels, session, threshold, found, watch):
            watch.upside_down = True
    with watch.stage("findings"):
        return [_to_world(entry, prepared, volume) for entry in found]


def _upside_down(
    prepared: Prepared, stage: Stage, labels: Sequence[Label], session: Session, threshold: float,
    found: Sequence[IndexBox | IndexPoint], watch: _Watch,
) -> bool:
    """Whether a chain that asks for it is found with more confidence in the scan turned upside down."""
    chain = stage.decoder.chain if stage.decoder.kind == "heatmap" else None
    if chain is None or not chain.upside_down:
        return False
    turned = replace(prepared, voxels=np.ascontiguousarray(prepared.voxels[::-1]))
    other = _decode_joined(turned, stage, labels, session, threshold, [], watch)
    here, there = _confidences(found), _confidences(other)
    return len(there) >= _FEWEST and sum(there) > _SURER * sum(here)


def _confidences(found: Sequence[IndexBox | IndexPoint]) -> list[float]:
    """Of the landmarks that were found and contradict no other."""
    points = [entry for entry in found if isinstance(entry, IndexPoint)]
    return [point.confidence for point in points if point.position is not None and not point.flags]


def _reach_mm(stage: Stage) -> Floats:
    """How far from a point the stage's tiles look, along k, j, i."""
    if stage.tiling.join != "patches" or stage.prepare.spacing is None:
        return np.zeros(3)
    reach: Floats = np.array(stage.tiling.patch) / 2 * np.array(stage.prepare.spacing)
    return reach


def _decode_joined(
    prepared: Prepared, stage: Stage, labels: Sequence[Label], session: Session, threshold: float,
    points: Sequence[Landmark], watch: _Watch,
) -> Sequence[IndexBox | IndexPoint]:
    """The whole region in tiles that are joined again."""
    plan = plan_tiles(prepared.voxels.shape, stage)
    decoding = decoding_for(stage, labels, prepared.grid, threshold)
    joiner = open_joiner(plan)
    buffer = np.empty(plan.patch, np.float32)
    for tile in watch.over(plan.tiles):
        extra = {"coordinates": lambda tile=tile: _coordinates(tile, plan)}
        for block in joiner.add(tile, _answer(prepared, tile, buffer, stage, session, extra)):
            decoding.feed(block.start, block.values)
    return decoding.finish()


def _decode_patches(
    prepared: Prepared, stage: Stage, labels: Sequence[Label], session: Session, threshold: float,
    points: Sequence[Landmark], watch: _Watch,
) -> Sequence[IndexPoint]:
    """A patch around each point; its one channel, or the point's own, says where the landmark really is."""
    assert stage.tiling.join == "patches"
    patch = stage.tiling.patch
    names = [label.name for label in labels]
    # One landmark has no neighbours: they are compared when all are there.
    alone = stage.model_copy(update={"decoder": stage.decoder.model_copy(update={"chain": None})})
    buffer = np.empty(patch, np.float32)
    # The point lies on the middle voxel of every patch: one Gaussian, drawn where the network wants it, serves all.
    gaussian = cache(lambda: _middle_gaussian(stage))
    found = []
    for point in watch.over(points):
        if point.position_ras is None:
            found.append(IndexPoint(point.label, point.confidence, None))
            continue
        middle = np.rint(prepared.grid.to_index(point.position_ras)).astype(int)
        k, j, i = (int(at) - size // 2 for at, size in zip(middle, patch, strict=True))
        tile = Tile(len(found), (k, j, i), patch, (k, j, i), patch)
        values = _answer(prepared, tile, buffer, stage, session, {"point": gaussian})
        channel = names.index(point.label) if len(values) > 1 else 0
        decoding = decoding_for(
            alone, [labels[names.index(point.label)]], prepared.grid.cropped(tile.start, patch), threshold
        )
        decoding.feed((0, 0, 0), values[channel : channel + 1])
        for entry in decoding.finish():
            assert isinstance(entry, IndexPoint)
            found.append(_shifted(entry, tile.start, point.confidence, threshold))
    chain = stage.decoder.chain if stage.decoder.kind == "heatmap" else None
    return found if chain is None else points_along_chain(
        names, [[point] if point.position else [] for point in found], [point.confidence for point in found],
        chain, prepared.grid.spacing,
    )


def _shifted(point: IndexPoint, start: Sequence[int], coarse: float, threshold: float) -> IndexPoint:
    """A patch's point on the whole grid; no surer than the coarse stage was (`coarse`) that it is there."""
    confidence = min(point.confidence, coarse)
    if point.position is None or confidence < threshold:
        return IndexPoint(point.label, confidence, None)
    k, j, i = (at + offset for at, offset in zip(point.position, start, strict=True))
    return replace(point, confidence=confidence, position=(k, j, i))


def plan_tiles(shape: tuple[int, ...], stage: Stage) -> TilePlan:
    """The tiles that `stage` declares for a prepared volume of `shape` (k, j, i)."""
    k, j, i = shape
    tiling = stage.tiling
    if tiling.join == "crop":
        return plan_crop(
            (k, j, i), patch=tiling.patch, margin=tiling.margin, stride=tiling.stride, multiple=tiling.multiple,
            border=tiling.border, fit=tiling.fit,
        )
    if tiling.join == "blend":
        return plan_blend((k, j, i), patch=tiling.patch, overlap=tiling.overlap, stride=tiling.stride)
    if tiling.join == "patches":
        raise ValueError("patches lie around points: they are no plan of a volume")
    return plan_slabs((k, j, i), window=tiling.window, position=tiling.position, multiple=tiling.multiple)


def _answer(
    prepared: Prepared, tile: Tile, buffer: NDArray[np.float32], stage: Stage, session: Session,
    extra: Mapping[str, Callable[[], NDArray[np.float32]]],
) -> NDArray[np.float32]:
    """The network's output for one tile, [c, k, j, i] on the output stride.

    buffer: of the tile's shape, filled with its image. extra: the network's inputs besides the image, by role.
    """
    network, pad = stage.network, stage.tiling.pad
    image = cut_tile(
        prepared.voxels, tile, pad_mode="edge" if pad == "edge" else "constant",
        pad_value=0.0 if pad == "edge" else pad, out=buffer,
    )
    feeds = {
        entry.name: image[None, None] if entry.role == "image" else extra[entry.role]()[None]
        for entry in network.inputs
    }
    output: NDArray[np.float32] = session.run(feeds)[network.output][0]
    if network.layout == "channels_last":
        output = np.moveaxis(output.reshape(*output.shape[:3], -1), -1, 0)
    if output.ndim != 4 or len(output) != network.channels:
        raise PackageError(
            f"The output {network.output!r} of {network.files[0].path} has the shape {output.shape}, but model.json "
            f"declares {network.channels} channels in front of k, j, i: correct network.channels or network.layout."
        )
    return output


def _coordinates(tile: Tile, plan: TilePlan) -> NDArray[np.float32]:
    """Where the tile's output cells lie in the prepared volume: [3, k, j, i], −0.5…0.5 (grt123, recipe step 4)."""
    out = tile.at_stride(plan.stride)
    axes = []
    for start, size, cells in zip(out.start, out.shape, plan.output_shape, strict=True):
        cell = np.clip(np.arange(start, start + size), 0, cells - 1)
        axes.append(cell / max(cells - 1, 1) - 0.5)
    return np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)


def _middle_gaussian(stage: Stage) -> NDArray[np.float32]:
    """The input `point` of a patch: [1, k, j, i], a Gaussian of height 1 on its middle voxel (size // 2)."""
    assert stage.tiling.join == "patches"
    sigma = next(entry.sigma for entry in stage.network.inputs if entry.role == "point")
    axes = [np.exp(-0.5 * ((np.arange(size) - size // 2) / sigma) ** 2) for size in stage.tiling.patch]
    gaussian: NDArray[np.float32] = np.einsum("k,j,i->kji", *axes)[None].astype(np.float32)
    return gaussian


def _to_world(entry: IndexBox | IndexPoint, prepared: Prepared, volume: Volume) -> Box | Landmark:
    if isinstance(entry, IndexPoint):
        return _landmark(entry, prepared, volume)
    spacing = float(np.mean(prepared.grid.spacing))
    diameter = None if entry.diameter_voxels is None else entry.diameter_voxels * spacing
    center = prepared.grid.to_ras((np.array(entry.low) + np.array(entry.high) - 1) / 2)
    return box_from_index(
        prepared.grid, entry.low, entry.high, label=entry.label, score=entry.score, diameter_mm=diameter,
        side=prepared.side_of((float(center[0]), float(center[1]), float(center[2]))),
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
    r, a, s = (float(value) for value in ras)
    deviation = None
    if point.deviation is not None:
        k, j, i = (float(d * mm) for d, mm in zip(point.deviation, prepared.grid.spacing, strict=True))
        deviation = (k, j, i)
    return Landmark(point.label, (r, a, s), point.confidence, point.flags, deviation)


@dataclass
class _Watch:
    """Tells how far a run is, how long each stage took, and stops it when asked."""

    progress: Progress
    cancel: Cancel

    def __post_init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.tiles = 0
        self.upside_down = False
        self._pass = ""

    @contextmanager
    def within(self, name: str) -> Iterator[None]:
        """All stages inside are called `name` … ("coarse network")."""
        self._pass = name
        yield
        self._pass = ""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.step(name, 0, 1)
        begin = time.perf_counter()
        yield
        self.seconds[self._pass + name] = time.perf_counter() - begin
        self.progress(self._pass + name, 1, 1)

    def over(self, tiles: Sequence[T]) -> Iterator[T]:
        """Each of what the network runs on, told before it runs."""
        for done, tile in enumerate(tiles):
            self.step("network", done, len(tiles))
            yield tile
        self.tiles += len(tiles)
        self.step("network", len(tiles), len(tiles))

    def step(self, stage: str, done: int, total: int) -> None:
        if self.cancel():
            raise Cancelled("The run was cancelled; nothing was written.")
        self.progress(self._pass + stage, done, total)


__all__ = ["Cancel", "PackageSession", "Progress", "open_package", "plan_tiles", "run"]
