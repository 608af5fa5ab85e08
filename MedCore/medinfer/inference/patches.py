"""One patch around each point, and the network's output for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..backends import Session
from ..decoders import IndexPoint, decoding_for, points_along_chain
from ..errors import PackageError
from ..findings import Landmark
from ..manifest import Label, Pass
from ..preparation.prepare import Prepared
from ..tiles.tiling import Tile
from ..volume import Floats
from .feeds import feeds_of
from .found import Earlier
from .network_answer import answer
from .watch import Watch


def reach_mm(one: Pass) -> Floats:
    """The reach of the pass's patches around a point, along k, j, i."""
    if one.tiling.join != "patches":
        return np.zeros(3)
    reach: Floats = np.array(one.tiling.patch) / 2 * np.array(one.prepare.spacing_on((0, 0, 0)))
    return reach


def patch_answers(
    prepared: Prepared, one: Pass, session: Session, points_ras: Sequence[ArrayLike], earlier: Earlier,
    watch: Watch,
) -> Iterator[tuple[Tile, NDArray[np.float32]]]:
    """Each point's patch, its middle voxel (size // 2) nearest to the point (RAS mm), with the network's answer."""
    assert one.tiling.join == "patches"
    patch, feeds = one.tiling.patch, feeds_of(one, prepared, earlier, None)
    for index, point in enumerate(watch.over(points_ras)):
        middle = np.rint(prepared.grid.to_index(point)).astype(int)
        k, j, i = (int(at) - size // 2 for at, size in zip(middle, patch, strict=True))
        tile = Tile(index, (k, j, i), patch, (k, j, i), patch)
        yield tile, answer(tile, one, session, feeds)


def landmarks_in_patches(
    prepared: Prepared, one: Pass, labels: Sequence[Label], session: Session, threshold: float,
    points: Sequence[Landmark], earlier: Earlier, watch: Watch,
) -> list[IndexPoint]:
    """Landmarks from a patch around each point of an earlier pass: the refined position is the peak in the patch."""
    assert one.decoder.kind == "heatmap"
    names = [label.name for label in labels]
    points = [point for point in points if point.label in names]
    # One landmark has no neighbours: they are compared when all are there.
    alone = one.model_copy(update={"decoder": one.decoder.model_copy(update={"chain": None})})
    places = [point.position_ras for point in points if point.position_ras is not None]
    answers = patch_answers(prepared, one, session, places, earlier, watch)
    found = []
    for point in points:
        if point.position_ras is None:
            found.append(IndexPoint(point.label, point.confidence, None))
            continue
        tile, values = next(answers)
        channel = names.index(point.label) if len(values) > 1 else 0
        decoding = decoding_for(
            alone, [Label(value=1, name=point.label)], prepared.grid.cropped(tile.start, tile.shape), threshold
        )
        decoding.feed((0, 0, 0), values[channel : channel + 1])
        entries = decoding.finish()
        assert isinstance(entries, Sequence)
        for entry in entries:
            assert isinstance(entry, IndexPoint)
            found.append(_shifted(entry, tile.start, point.confidence, threshold))
    for _ in answers:  # the last step of the progress
        pass
    chain = one.decoder.chain
    return found if chain is None else points_along_chain(
        names, [[point] if point.position else [] for point in found], [point.confidence for point in found],
        chain, prepared.grid.spacing,
    )


def _shifted(point: IndexPoint, start: Sequence[int], before: float, threshold: float) -> IndexPoint:
    """A patch's point on the whole grid; no surer than the earlier pass was (`before`) that it is there."""
    confidence = min(point.confidence, before)
    if point.position is None or confidence < threshold:
        return IndexPoint(point.label, confidence, None)
    k, j, i = (at + offset for at, offset in zip(point.position, start, strict=True))
    return replace(point, confidence=confidence, position=(k, j, i))


def class_scores(
    prepared: Prepared, one: Pass, session: Session, points_ras: Sequence[ArrayLike], earlier: Earlier,
    watch: Watch,
) -> Floats:
    """The probability of each label for the object at each point (RAS mm): `[n, labels]`.

    Raises PackageError where the network gives more than one score per label.
    """
    assert one.decoder.kind == "classes"
    answers = patch_answers(prepared, one, session, points_ras, earlier, watch)
    rows = [values.ravel() for _, values in answers]
    if any(len(row) != one.network.channels for row in rows):
        raise PackageError(
            f"The output of {one.network.files[0].path} has {len(rows[0])} values per patch, but it must have one for "
            f"each of the {one.network.channels} labels: use a network that returns class scores without spatial axes."
        )
    scores = np.array(rows, dtype=np.float64).reshape(-1, one.network.channels)
    if one.decoder.activation == "softmax":
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        scores /= scores.sum(axis=1, keepdims=True)
    # A network that answers with no number says nothing.
    return np.nan_to_num(scores, nan=0.0, posinf=0.0, neginf=0.0)
