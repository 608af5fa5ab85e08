"""One straight line: Volume -> prepare -> tiles -> backend -> joined -> decoder -> Findings."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .backends import NetworkFile, Session, open_session
from .decoders import IndexBox, decoding_for
from .errors import Cancelled, PackageError
from .findings import Box, Findings, box_from_index
from .joining import open_joiner
from .manifest import Manifest
from .package import ModelPackage
from .prepare import Prepared, prepare
from .tiling import Tile, TilePlan, cut_tile, plan_blend, plan_crop, plan_slabs
from .volume import Volume

Progress = Callable[[str, int, int], None]
Cancel = Callable[[], bool]


def open_package(
    package: ModelPackage, *, backend: str = "auto", device: str = "auto", precision: str = "auto",
    threads: int | None = None,
) -> Session:
    """Check the package's files and open its network. Raises PackageError and DeviceError; never falls back."""
    network = package.manifest.network
    files = [NetworkFile(path, file.format) for file, path in package.verified_files()]
    return open_session(
        files, inputs=[entry.name for entry in network.inputs], outputs=[network.output],
        backend=backend, device=device, precision=precision, threads=threads,
    )


def run(
    volume: Volume, package: ModelPackage, session: Session, *, threshold: float | None = None,
    progress: Progress | None = None, cancel: Cancel | None = None,
) -> Findings:
    """Find in `volume` what `package` was trained for.

    session: from `open_package`; it can serve many runs. threshold: instead of the declared one.
    progress(stage, done, total) is called from this thread; cancel() is asked between tiles and raises Cancelled.

    Memory: the prepared region (4 bytes a voxel), one tile through the network, and what the decoder keeps
    (two bytes an output voxel for labels, the candidates for anchors); it does not grow with the classes.
    Raises ScanError, PackageError, DeviceError, Cancelled.
    """
    manifest, score = package.manifest, package.threshold(threshold)
    watch = _Watch(progress or (lambda stage, done, total: None), cancel or (lambda: False))
    with watch.stage("prepare"):
        prepared = prepare(volume, manifest.prepare, cancel)
    with watch.stage("network"):
        plan = plan_tiles(prepared.voxels.shape, manifest)
        decoding = decoding_for(manifest, prepared.grid.shape, plan.stride[0], score)
        joiner = open_joiner(plan)
        for tile, values in _network_outputs(prepared, manifest, plan, session, watch):
            for block in joiner.add(tile, values):
                decoding.feed(block.start, block.values)
    with watch.stage("findings"):
        boxes = tuple(_to_world(box, prepared) for box in decoding.finish())
    return Findings(
        boxes=boxes,
        scan=volume.name,
        model=package.reference,
        run={
            "runtime": session.runtime, "device": session.device, "precision": session.precision,
            "threshold": score, "tiles": len(plan.tiles),
            "seconds": {stage: round(s, 3) for stage, s in watch.seconds.items()},
        },
        notes=volume.notes,
    )


def plan_tiles(shape: tuple[int, ...], manifest: Manifest) -> TilePlan:
    """The tiles that `manifest` declares for a prepared volume of `shape` (k, j, i)."""
    k, j, i = shape
    tiling = manifest.tiling
    if tiling.join == "crop":
        return plan_crop(
            (k, j, i), patch=tiling.patch, margin=tiling.margin, stride=tiling.stride, multiple=tiling.multiple,
            border=tiling.border, fit=tiling.fit,
        )
    if tiling.join == "blend":
        return plan_blend((k, j, i), patch=tiling.patch, overlap=tiling.overlap, stride=tiling.stride)
    return plan_slabs((k, j, i), window=tiling.window, position=tiling.position, multiple=tiling.multiple)


def _network_outputs(
    prepared: Prepared, manifest: Manifest, plan: TilePlan, session: Session, watch: _Watch
) -> Iterator[tuple[Tile, NDArray[np.float32]]]:
    """Each tile with the network's output for it, [c, k, j, i] on the output stride."""
    network, pad = manifest.network, manifest.tiling.pad
    buffer: NDArray[np.float32] | None = None
    for done, tile in enumerate(plan.tiles):
        watch.step("network", done, len(plan.tiles))
        if buffer is None or buffer.shape != tile.shape:
            buffer = np.empty(tile.shape, np.float32)
        image = cut_tile(
            prepared.voxels, tile, pad_mode="edge" if pad == "edge" else "constant",
            pad_value=0.0 if pad == "edge" else pad, out=buffer,
        )
        feeds = {
            entry.name: (image[None, None] if entry.role == "image" else _coordinates(tile, plan)[None])
            for entry in network.inputs
        }
        output = session.run(feeds)[network.output][0]
        if network.layout == "channels_last":
            output = np.moveaxis(output.reshape(*output.shape[:3], -1), -1, 0)
        if output.ndim != 4 or len(output) != network.channels:
            raise PackageError(
                f"The output {network.output!r} of {manifest.id} has the shape {output.shape}, but model.json declares "
                f"{network.channels} channels in front of k, j, i: correct network.channels or network.layout."
            )
        yield tile, output
    watch.step("network", len(plan.tiles), len(plan.tiles))


def _coordinates(tile: Tile, plan: TilePlan) -> NDArray[np.float32]:
    """Where the tile's output cells lie in the prepared volume: [3, k, j, i], −0.5…0.5 (grt123, recipe step 4)."""
    out = tile.at_stride(plan.stride)
    axes = []
    for start, size, cells in zip(out.start, out.shape, plan.output_shape, strict=True):
        cell = np.clip(np.arange(start, start + size), 0, cells - 1)
        axes.append(cell / max(cells - 1, 1) - 0.5)
    return np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)


def _to_world(box: IndexBox, prepared: Prepared) -> Box:
    spacing = float(np.mean(prepared.grid.spacing))
    diameter = None if box.diameter_voxels is None else box.diameter_voxels * spacing
    center = prepared.grid.to_ras((np.array(box.low) + np.array(box.high) - 1) / 2)
    return box_from_index(
        prepared.grid, box.low, box.high, label=box.label, score=box.score, diameter_mm=diameter,
        side=prepared.side_of((float(center[0]), float(center[1]), float(center[2]))),
    )


@dataclass
class _Watch:
    """Tells how far a run is, how long each stage took, and stops it when asked."""

    progress: Progress
    cancel: Cancel

    def __post_init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.step(name, 0, 1)
        begin = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - begin
        self.progress(name, 1, 1)

    def step(self, stage: str, done: int, total: int) -> None:
        if self.cancel():
            raise Cancelled("The run was cancelled; nothing was written.")
        self.progress(stage, done, total)


__all__ = ["Cancel", "Progress", "open_package", "plan_tiles", "run"]
