"""One patch around each of some points, and what the network says of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..backends import Session
from ..decoders import IndexPoint, decoding_for, points_along_chain
from ..errors import PackageError
from ..findings import Landmark
from ..manifest import Label, Stage
from ..preparation.prepare import Prepared
from ..tiles.tiling import Tile
from ..volume import Floats
from .network_run import answer
from .watch import Watch


def reach_mm(stage: Stage) -> Floats:
    """How far from a point the stage's tiles look, along k, j, i."""
    if stage.tiling.join != "patches" or stage.prepare.spacing is None:
        return np.zeros(3)
    reach: Floats = np.array(stage.tiling.patch) / 2 * np.array(stage.prepare.spacing)
    return reach


def patch_answers(
    prepared: Prepared, stage: Stage, session: Session, points_ras: Sequence[ArrayLike], watch: Watch
) -> Iterator[tuple[Tile, NDArray[np.float32]]]:
    """Each point's patch, its middle voxel (size // 2) nearest to the point (RAS mm), with the network's answer."""
    assert stage.tiling.join == "patches"
    patch = stage.tiling.patch
    buffer = np.empty(patch, np.float32)
    # The point lies on the middle voxel of every patch: one Gaussian, drawn where the network wants it, serves all.
    gaussian = cache(lambda: middle_gaussian(stage))
    for index, point in enumerate(watch.over(points_ras)):
        middle = np.rint(prepared.grid.to_index(point)).astype(int)
        k, j, i = (int(at) - size // 2 for at, size in zip(middle, patch, strict=True))
        tile = Tile(index, (k, j, i), patch, (k, j, i), patch)
        yield tile, answer(prepared, tile, buffer, stage, session, {"point": gaussian})


def decode_patches(
    prepared: Prepared, stage: Stage, labels: Sequence[Label], session: Session, threshold: float,
    points: Sequence[Landmark], watch: Watch,
) -> list[IndexPoint]:
    """A patch around each landmark of the coarse stage; its one channel, or its own, says where it really is."""
    assert stage.decoder.kind == "heatmap"
    names = [label.name for label in labels]
    # One landmark has no neighbours: they are compared when all are there.
    alone = stage.model_copy(update={"decoder": stage.decoder.model_copy(update={"chain": None})})
    places = [point.position_ras for point in points if point.position_ras is not None]
    answers = patch_answers(prepared, stage, session, places, watch)
    found = []
    for point in points:
        if point.position_ras is None:
            found.append(IndexPoint(point.label, point.confidence, None))
            continue
        tile, values = next(answers)
        channel = names.index(point.label) if len(values) > 1 else 0
        decoding = decoding_for(
            alone, [labels[names.index(point.label)]], prepared.grid.cropped(tile.start, tile.shape), threshold
        )
        decoding.feed((0, 0, 0), values[channel : channel + 1])
        entries = decoding.finish()
        assert isinstance(entries, Sequence)
        for entry in entries:
            assert isinstance(entry, IndexPoint)
            found.append(_shifted(entry, tile.start, point.confidence, threshold))
    for _ in answers:  # the last step of the progress
        pass
    chain = stage.decoder.chain
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


def class_scores(
    prepared: Prepared, stage: Stage, session: Session, points_ras: Sequence[ArrayLike], watch: Watch
) -> Floats:
    """The probability of each label for the object at each point (RAS mm): `[n, labels]`.

    Raises PackageError where the network gives more than one score a label.
    """
    assert stage.decoder.kind == "classes"
    answers = patch_answers(prepared, stage, session, points_ras, watch)
    rows = [values.ravel() for _, values in answers]
    if any(len(row) != stage.network.channels for row in rows):
        raise PackageError(
            f"The output of {stage.network.files[0].path} has {len(rows[0])} values a patch, but there must be one for "
            f"each of {stage.network.channels} labels: give a network that ends in scores, without a place."
        )
    scores = np.array(rows, dtype=np.float64).reshape(-1, stage.network.channels)
    if stage.decoder.activation == "softmax":
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        scores /= scores.sum(axis=1, keepdims=True)
    # A network that answers with no number says nothing.
    return np.nan_to_num(scores, nan=0.0, posinf=0.0, neginf=0.0)


def middle_gaussian(stage: Stage) -> NDArray[np.float32]:
    """The input `point` of a patch: [1, k, j, i], a Gaussian of height 1 on its middle voxel (size // 2)."""
    assert stage.tiling.join == "patches"
    sigma = next(entry.sigma for entry in stage.network.inputs if entry.role == "point")
    axes = [np.exp(-0.5 * ((np.arange(size) - size // 2) / sigma) ** 2) for size in stage.tiling.patch]
    gaussian: NDArray[np.float32] = np.einsum("k,j,i->kji", *axes)[None].astype(np.float32)
    return gaussian
