"""The teeth's networks through MONAI's sliding window and scipy, for `teeth.py`.

The package's own ONNX files in ONNX Runtime, stage by stage as the package declares them. The scan is resampled by
torch (averaged where it becomes coarser); the window is `monai.inferers.sliding_window_inference` with a Gaussian and
its usual overlap of 0.25. Then `scipy.ndimage.maximum_filter` for peaks; votes counted by `numpy.add.at`, smoothed and
searched for peaks, each voxel to the nearest (`cKDTree`); `center_of_mass`; each tooth's best number by itself; the
canal by `scipy.ndimage.label`; labels back on the scan's grid by the nearest voxel.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.ndimage
from scipy.spatial import cKDTree

from medinfer.library.package import ModelPackage
from medinfer.manifest import Pass
from medinfer.volume import Volume

Box = tuple[slice, ...]


class Clock:
    """Seconds by stage, in the order in which they come."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begin


@dataclass(frozen=True, eq=False)
class Region:
    """A part of the scan at a stage's spacing: voxels, a tensor [1, 1, k, j, i], and where it lies in the scan."""

    voxels: Any
    box: Box

    @property
    def scale(self) -> np.ndarray:
        """Scan voxels a voxel, along k, j, i."""
        return np.array([(part.stop - part.start) / n for part, n in zip(self.box, self.voxels.shape[2:], strict=True)])

    def to_scan(self, index: np.ndarray) -> np.ndarray:
        """[n, 3] of this region as an index of the scan."""
        return (index + 0.5) * self.scale - 0.5 + [part.start for part in self.box]

    def from_scan(self, index: np.ndarray) -> np.ndarray:
        return (index + 0.5 - [part.start for part in self.box]) / self.scale - 0.5


class PeerNetwork:
    """A stage's ONNX file in ONNX Runtime, from torch and back."""

    def __init__(self, package: ModelPackage, stage: Pass, threads: int) -> None:
        import onnxruntime

        path = next(path for file, path in package.verified_files(stage.network) if file.format == "onnx")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._network = stage.network

    def run(self, image: np.ndarray) -> np.ndarray:
        """The outputs' channels one behind the other: [c, k, j, i], or [c] for scores."""
        feeds = {entry.name: image if entry.role == "image" else gaussian(image.shape[2:], entry.sigma)
                 for entry in self._network.inputs}
        results = [result[0] for result in self._session.run(list(self._network.outputs), feeds)]
        return np.concatenate([result[None] if result.ndim == 3 else result for result in results])

    def __call__(self, patch: Any) -> Any:
        """For the sliding window: [1, 1, k, j, i] -> [1, c, k, j, i]."""
        import torch

        return torch.from_numpy(self.run(patch.numpy()))[None]


def gaussian(shape: Sequence[int], sigma: float) -> np.ndarray:
    axes = [np.exp(-0.5 * ((np.arange(n) - n // 2) / sigma) ** 2) for n in shape]
    return np.einsum("k,j,i->kji", *axes)[None, None].astype(np.float32)


def region_of(scan: Volume, stage: Pass, points: np.ndarray, reach_mm: Sequence[float] = (0, 0, 0)) -> Region:
    """The scan, or the box around `points` (its index, [n, 3]), as the stage's network sees it."""
    import torch
    from torch.nn.functional import interpolate

    spacing = np.array(scan.spacing)
    low, high = np.zeros(3, dtype=int), np.array(scan.shape)
    if stage.prepare.region.kind == "found":
        around = (stage.prepare.region.margin_mm + np.array(reach_mm)) / spacing
        low = np.clip(np.floor(points.min(axis=0) - around).astype(int), 0, high - 1)
        high = np.clip(np.ceil(points.max(axis=0) + around).astype(int) + 1, low + 1, high)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    voxels = torch.from_numpy(np.ascontiguousarray(scan.voxels[box], dtype=np.float32))[None, None]
    wanted = np.array(stage.prepare.spacing or scan.spacing)
    size = np.maximum(np.rint((high - low) * spacing / wanted).astype(int), 1).tolist()
    coarser = stage.prepare.antialias and (wanted > spacing).any()
    voxels = interpolate(voxels, size=size, **({"mode": "area"} if coarser else {"mode": "trilinear"}))
    return Region(with_intensity(voxels, stage, scan), box)


def with_intensity(voxels: Any, stage: Pass, scan: Volume) -> Any:
    """The declared steps on a tensor."""
    for step in stage.prepare.intensity:
        if step.op == "clip":
            voxels = voxels.clip(step.low, step.high)
        elif step.op == "scale":
            voxels = (voxels - step.subtract) / step.divide
        elif step.op == "percentiles":
            low, high = np.percentile(scan.voxels, (step.low, step.high))
            voxels = (voxels - float(low)) / max(float(high - low), 1e-9)
        else:
            voxels = (voxels - voxels.mean()) / voxels.std()
    return voxels


def windowed(region: Region, stage: Pass, network: PeerNetwork) -> np.ndarray:
    """[c, k, j, i] of the whole region by MONAI's sliding window; a window is no larger than the region asks for."""
    import torch
    from monai.inferers import sliding_window_inference

    tiling = stage.tiling
    multiple = getattr(tiling, "multiple", 1)
    shape = region.voxels.shape[2:]
    fits = [-(-n // multiple) * multiple for n in shape] if getattr(tiling, "fit", False) else tiling.patch
    window = [min(patch, n) for patch, n in zip(tiling.patch, fits, strict=True)]
    with torch.inference_mode():
        return sliding_window_inference(
            region.voxels, window, 1, network, overlap=0.25, mode="gaussian", padding_mode="replicate"
        )[0].numpy()


def peaks(heatmap: np.ndarray, threshold: float, separation: np.ndarray) -> np.ndarray:
    """[n, 3]: voxels higher than all others within `separation` voxels."""
    size = 2 * np.rint(separation).astype(int) + 1
    highest = scipy.ndimage.maximum_filter(heatmap, size=size.tolist())
    return np.argwhere((heatmap == highest) & (heatmap > threshold))


def instances(values: np.ndarray, stage: Pass, spacing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels 1…n [k, j, i] and centroids [n, 3] by votes. values: [4, k, j, i]."""
    decoder = stage.decoder
    assert decoder.kind == "instances"
    foreground = values[0] > decoder.threshold
    labels = np.zeros(foreground.shape, dtype=np.int32)
    votes = np.argwhere(foreground) + values[1:, foreground].T
    inside = np.rint(votes).astype(int).clip(0, np.array(foreground.shape) - 1)
    counts = np.zeros(foreground.shape, dtype=np.float32)
    np.add.at(counts, tuple(inside.T), 1)
    density = scipy.ndimage.gaussian_filter(counts, 2)
    # What the smallest object's votes reach when a quarter of them meet.
    least = 0.25 * decoder.min_volume_mm3 / spacing.prod() / (2 * np.pi * 4) ** 1.5
    found = peaks(density, least, decoder.separation_mm / spacing)
    if not len(found):
        return labels, np.zeros((0, 3))
    labels[foreground] = cKDTree(found).query(votes)[1] + 1
    sizes = np.bincount(labels.ravel(), minlength=len(found) + 1)[1:] * spacing.prod()
    kept = np.flatnonzero(sizes >= decoder.min_volume_mm3)
    table = np.zeros(len(found) + 1, dtype=np.int32)
    table[kept + 1] = np.arange(1, len(kept) + 1)
    labels = table[labels]
    if decoder.fill_holes:
        for n, where in enumerate(scipy.ndimage.find_objects(labels), start=1):
            filled = scipy.ndimage.binary_fill_holes(labels[where] == n)
            labels[where][filled & (labels[where] == 0)] = n
    centers = scipy.ndimage.center_of_mass(labels > 0, labels, range(1, len(kept) + 1))
    return labels, np.array(centers).reshape(-1, 3)


def numbers(scan: Volume, package: ModelPackage, network: PeerNetwork, centers: np.ndarray, clock: Clock) -> list[str]:
    """Each tooth's best number by itself. centers: [n, 3], the scan's index."""
    stage = package.manifest.pass_named("naming")
    assert stage.tiling.join == "patches"
    half = np.array(stage.tiling.patch) // 2
    with clock.stage("naming prepare"):
        region = region_of(scan, stage, centers, half * np.array(stage.prepare.spacing or scan.spacing))
        padded = np.pad(region.voxels[0, 0].numpy(), [(n, n) for n in half], mode="edge")
    with clock.stage("naming network"):
        names = []
        for center in np.rint(region.from_scan(centers)).astype(int):
            part = tuple(slice(a, a + n) for a, n in zip(center, stage.tiling.patch, strict=True))
            scores = network.run(np.ascontiguousarray(padded[part])[None, None]).ravel()
            names.append(package.manifest.labels[int(scores.argmax())].name)
    return names


def on_scan(labels: np.ndarray, region: Region, scan: Volume) -> np.ndarray:
    """Labels on the scan's own grid, by the nearest voxel."""
    import torch
    from torch.nn.functional import interpolate

    whole = np.zeros(scan.shape, dtype=np.uint8)
    small = torch.from_numpy(labels.astype(np.float32))[None, None]
    size = [part.stop - part.start for part in region.box]
    whole[region.box] = interpolate(small, size=size, mode="nearest-exact")[0, 0].numpy().astype(np.uint8)
    return whole


def run_peer(scan: Volume, package: ModelPackage, threads: int) -> dict[str, Any]:
    import torch

    torch.set_num_threads(threads)
    clock, manifest = Clock(), package.manifest
    begin = time.perf_counter()
    networks = {one.name: PeerNetwork(package, one, threads) for one in manifest.passes}
    opened = time.perf_counter() - begin
    points = coarse_points(scan, manifest.pass_named("centroids"), networks["centroids"], clock)
    found: list[dict[str, Any]] = []
    if len(points):
        found = find_teeth(scan, package, networks, points, clock)
        beside(scan, manifest.pass_named("canal"), networks["canal"], points, clock)
    return {"seconds": clock.seconds, "opened": opened, "teeth": found}


def coarse_points(scan: Volume, stage: Pass, network: PeerNetwork, clock: Clock) -> np.ndarray:
    decoder = stage.decoder
    assert decoder.kind == "heatmap"
    with clock.stage("centroids prepare"):
        region = region_of(scan, stage, np.zeros((0, 3)))
    with clock.stage("centroids network"):
        heatmap = windowed(region, stage, network)[0]
    with clock.stage("centroids findings"):
        separation = decoder.separation_mm / np.array(stage.prepare.spacing or scan.spacing)
        return region.to_scan(peaks(heatmap, decoder.threshold * decoder.peak, separation))


def find_teeth(
    scan: Volume, package: ModelPackage, networks: dict[str, PeerNetwork], points: np.ndarray, clock: Clock
) -> list[dict[str, Any]]:
    stage = package.manifest.pass_named("instances")
    with clock.stage("instances prepare"):
        region = region_of(scan, stage, points)
    with clock.stage("instances network"):
        values = windowed(region, stage, networks["instances"])
    with clock.stage("votes"):
        labels, centers = instances(values, stage, region.scale * scan.spacing)
    names = ["tooth"] * len(centers)
    if len(centers):
        names = numbers(scan, package, networks["naming"], region.to_scan(centers), clock)
    with clock.stage("borders"):
        whole = on_scan(labels, region, scan)
    with clock.stage("measures"):
        values_of = range(1, len(centers) + 1)
        places = scipy.ndimage.center_of_mass(whole > 0, whole, values_of) if len(centers) else []
        volumes = np.bincount(whole.ravel(), minlength=len(centers) + 1)[1:] * float(np.prod(scan.spacing))
        ras = scan.grid.to_ras(np.array(places).reshape(-1, 3))
    return [
        {"name": name, "ras": place.tolist(), "volume": float(volume)}
        for name, place, volume in zip(names, ras, volumes, strict=True)
    ]


def beside(scan: Volume, stage: Pass, network: PeerNetwork, points: np.ndarray, clock: Clock) -> None:
    """The canal: its components that are large enough, on the scan's grid."""
    decoder = stage.decoder
    assert decoder.kind == "segments"
    with clock.stage("canal prepare"):
        region = region_of(scan, stage, points)
    with clock.stage("canal network"):
        values = windowed(region, stage, network)
        labels = (values[0] > decoder.threshold).astype(np.int32) if len(values) == 1 else values.argmax(axis=0)
        components, _ = scipy.ndimage.label(labels > 0)
        volume = np.bincount(components.ravel()) * float(np.prod(region.scale * scan.spacing))
        labels[(volume < decoder.min_volume_mm3)[components]] = 0
    with clock.stage("canal borders"):
        on_scan(labels, region, scan)
