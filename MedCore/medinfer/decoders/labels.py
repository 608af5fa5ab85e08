"""Decoder `labels`: threshold or arg-max, connected components, a box around each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..arrays import Array, as_bytes, on_host
from ..manifest import Label, LabelsDecoder
from ..tiles.highest import labels_of
from .activation import channels_in_order, decided
from .index_box import IndexBox


class LabelsDecoding:
    """Keeps one byte per voxel for the label and, for one channel, one for the score."""

    def __init__(
        self, decoder: LabelsDecoder, labels: Sequence[Label], shape: tuple[int, int, int], stride: int
    ) -> None:
        self._decoder, self._stride = decoder, stride
        self._names = {label.value: label.name for label in labels}
        if decoder.activation == "sigmoid" and len(labels) > 1:
            # Channels without a background are the labels in their order, whatever their values.
            self._names = {n: label.name for n, label in enumerate(labels, start=1)}
        self._order = channels_in_order(decoder.order, labels)
        output = [-(-n // stride) for n in shape]
        self._labels = np.zeros(output, np.uint8 if max(self._names) < 256 else np.uint16)
        self._scores = np.zeros(output, np.uint8)

    def feed(self, start: tuple[int, int, int], values: Array) -> None:
        """`values`: [1, k, j, i], or [classes, k, j, i] scores of which class 0 is background, or [labels, k, j, i]
        with a sigmoid each. Raises PackageError where they are declared as probabilities and are not."""
        where = tuple(slice(a, a + n) for a, n in zip(start, values.shape[1:], strict=True))
        scores = len(values) == 1 or self._decoder.activation != "none"
        if not scores:
            # Of scores on no known scale the highest wins, and nothing says how sure it is.
            self._labels[where], self._scores[where] = on_host(labels_of(values)), 255
            return
        found = decided(values, self._decoder.activation, self._decoder.threshold, self._order)
        self._labels[where] = on_host(found.labels)
        self._scores[where] = on_host(as_bytes(found.score))

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
