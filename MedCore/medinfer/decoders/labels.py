"""Decoder `labels`: threshold or arg-max, connected components, a box around each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..manifest import Label, LabelsDecoder
from ..tiles.joining import labels_of, mask_of
from .index_box import IndexBox


class LabelsDecoding:
    """Keeps one byte per voxel for the label and, for one channel, one for the score."""

    def __init__(
        self, decoder: LabelsDecoder, labels: Sequence[Label], shape: tuple[int, int, int], stride: int
    ) -> None:
        self._decoder, self._names, self._stride = decoder, {label.value: label.name for label in labels}, stride
        output = [-(-n // stride) for n in shape]
        self._labels = np.zeros(output, np.uint8 if max(self._names) < 256 else np.uint16)
        self._scores = np.zeros(output, np.uint8)

    def feed(self, start: tuple[int, int, int], values: NDArray[np.float32]) -> None:
        """`values`: [1, k, j, i] probabilities, or [classes, k, j, i] scores of which class 0 is background."""
        where = tuple(slice(a, a + n) for a, n in zip(start, values.shape[1:], strict=True))
        if len(values) == 1:
            # NaN compares false: a broken network finds nothing rather than everything.
            self._labels[where] = mask_of(values, self._decoder.threshold)
            self._scores[where] = np.rint(np.clip(np.nan_to_num(values[0]), 0, 1) * 255)
        else:
            self._labels[where] = labels_of(values)
            self._scores[where] = 255

    def finish(self) -> list[IndexBox]:
        """One box per component of a named label with at least `min_voxels`, best (then largest) first."""
        import cc3d

        components = cc3d.connected_components(self._labels, connectivity=self._decoder.connectivity)
        statistics = cc3d.statistics(components)
        boxes = []
        for index in range(1, len(statistics["voxel_counts"])):
            count = int(statistics["voxel_counts"][index])
            where = statistics["bounding_boxes"][index]
            inside = components[where] == index
            name = self._names.get(int(self._labels[where][inside][0]))
            if count < self._decoder.min_voxels or name is None:
                continue
            boxes.append((count, self._box(name, where, float(self._scores[where][inside].mean()) / 255, count)))
        boxes.sort(key=lambda entry: (-entry[1].score, -entry[0]))
        return [box for _, box in boxes[: self._decoder.max_findings]]

    def _box(self, name: str, where: Sequence[slice], score: float, count: int) -> IndexBox:
        low = [float(part.start * self._stride) for part in where]
        high = [float(part.stop * self._stride) for part in where]
        return IndexBox(
            label=name,
            score=score,
            low=(low[0], low[1], low[2]),
            high=(high[0], high[1], high[2]),
            # The sphere of the same volume; on an isotropic grid voxels are a length.
            diameter_voxels=self._stride * (6 * count / np.pi) ** (1 / 3),
        )
