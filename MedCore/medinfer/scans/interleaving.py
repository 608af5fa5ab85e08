"""Neighbouring slices whose values jump to and fro: two reconstructions mixed in one stack, which no header told apart.

What two kernels, two echoes or two scales do to a slice shows in its mean, its spread and its sharpness. In one
reconstruction these drift along the body; in two that take turns they alternate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ScanError
from ..volume import Floats

_LEAST = 8  # slices; fewer show no alternation
# Of the way that a measure moves from slice to slice, how much must be to and fro: 4 times its own scatter, and this
# share of it for the spread and the sharpness, and this part of the spread for the mean.
_SCATTERS = 4.0
_SHARE = 0.08
_LEVEL = 0.15
_DULL = 0.02  # of the spread: below this sharpness is the rounding of smooth images, and no kernel's


def check_neighbours(name: str, planes: Sequence[NDArray[np.generic]], modality: str) -> None:
    """Refuse slices `[j, i]`, sorted along the body, whose values alternate. Raises ScanError, naming the series.

    MR is not looked at in brightness: neighbours that are excited in turns differ in it in one and the same series.
    """
    if len(planes) < _LEAST:
        return
    measures = np.array([_measures(plane) for plane in planes])
    mean, spread, sharpness = measures.T
    typical = float(np.median(spread))
    if typical <= 0:
        return
    # Against the slice's own spread, so that a brighter slice is no sharper one.
    what = [("sharpness", np.log(sharpness / np.maximum(spread, 1e-3 * typical) + _DULL), _SHARE)]
    if modality != "MR":
        what += [("brightness", mean / typical, _LEVEL), ("contrast", np.log(np.maximum(spread, 1e-9)), _SHARE)]
    found = [word for word, values, share in what if _alternates(values, share)]
    if found:
        raise ScanError(f"{name}: neighbouring slices alternate in {' and '.join(found)}, so two reconstructions are "
                        "mixed in this series; export each of them as a series of its own.")


def _measures(plane: NDArray[Any]) -> Floats:
    """Mean, standard deviation, and how much a pixel differs from the mean of its neighbours, of a slice."""
    values = plane[:: _step(plane.shape[0])].astype(np.float32)
    curved = values[:, 1:-1] - (values[:, :-2] + values[:, 2:]) / 2
    return np.array([values.mean(), values.std(), np.abs(curved).mean() if curved.size else 0.0], dtype=np.float64)


def _step(rows: int) -> int:
    """Every how many rows are looked at: about 128 of them."""
    return max(1, rows // 128)


def _alternates(values: Floats, share: float) -> bool:
    """Whether the values (a number a slice) go up and down in turns, by more than `share` and than they scatter."""
    return all(_to_and_fro(part, share) for part in _halves(values))


def _halves(values: Floats) -> Iterator[Floats]:
    """Both halves of a long stack must show it, a short one as a whole."""
    if len(values) < 2 * _LEAST:
        yield values
        return
    middle = len(values) // 4 * 2
    yield values[:middle]
    yield values[middle:]


def _to_and_fro(values: Floats, share: float) -> bool:
    turns = (values[1:-1] - (values[:-2] + values[2:]) / 2) * np.where(np.arange(len(values) - 2) % 2, 1.0, -1.0)
    middle = float(np.median(turns))
    scatter = 1.4826 * float(np.median(np.abs(turns - middle)))
    same_way = float(np.mean(np.sign(turns) == np.sign(middle)))
    return abs(middle) > share and same_way >= 0.9 and abs(middle) * np.sqrt(len(turns)) > _SCATTERS * scatter
