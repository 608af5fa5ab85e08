"""Whether a scan's values are Hounsfield units, by what they say: air, lung, fat and soft tissue have known values.

Files lose their rescaling: HU + 1024 (as scanners store them), HU + 1000, and HU − 1024 (rescaled twice) are known by
the same tissues that far off. What is not known for certain is run, with a note; what is no CT is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import ScanError
from ..manifest import Prepare
from ..scans.voxel_values import rescaled
from ..volume import Volume

# Lowest and highest HU of what a CT shows. `partial`: hardly anything but borders has these values.
_TISSUES = {
    "below": (-np.inf, -1100), "air": (-1100, -900), "lung": (-900, -499), "partial": (-499, -150), "fat": (-150, -40),
    "soft": (-20, 120),
}
# What is added to HU where the rescaling was lost, or done twice.
_OFFSETS = (1024, 1000, -1024, -1000)
# Of the voxels. A value that so many have is a padding, or the air of a drawing; a tissue is there; most are tissues.
_SPIKE, _THERE, _MOST = 0.005, 0.01, 0.5
# How much more frequent a padding is than the values beside it; how far beyond all others one may lie.
_ALONE, _FAR_OFF = 4, 20_000
# In a crop without air: soft tissue. Of a scan with an offset: fat and soft tissue of all that is no air, and what may
# lie between air and fat when the values are taken for HU.
_SOFT, _TISSUE_OF_BODY, _STRAY = 0.05, 0.15, 0.03
# Where air and fat are most frequent in CT, and how far around that is looked (HU).
_AIR_PEAK, _FAT_PEAK, _AROUND, _BIN = -997, -102, 60, 4
# No CT of a body is narrower (HU, between the extreme thousandths); nothing is darker than air.
_NARROWEST, _DARKEST = 100, -1024
_SAMPLES, _FEWEST = 200_000, 1000


@dataclass(frozen=True)
class Judgement:
    """offset: what the values are above HU; None where they are no HU. sure: whether the tissues say so."""

    offset: int | None
    sure: bool


def in_hounsfield(volume: Volume, wanted: Iterable[Prepare], *, assume_hu: bool = False) -> Volume:
    """`volume` with its values in HU, where a pass wants that of a CT; with a note where they were corrected or are in
    doubt. assume_hu: take them as they are. Raises ScanError for values that are clearly no CT's.
    """
    asked = any(one.hounsfield and one.modality == ("CT",) for one in wanted)
    if assume_hu or not asked or volume.modality not in ("CT", None):
        return volume
    some = _some(volume)
    judged = judge(some) if len(some) >= _FEWEST else Judgement(0, True)
    if judged.offset is None:
        low, high = np.percentile(some, (0.1, 99.9))
        raise ScanError(
            f"{volume.name} does not look like a CT in Hounsfield units (its values lie between {low:g} and {high:g}, "
            "without air near −1000 or fat near −100): choose a CT, convert its values to HU, or use --assume-hu if "
            "they are HU all the same."
        )
    if judged.offset:
        how = f"{'+' if judged.offset > 0 else '−'} {abs(judged.offset)}"
        note = f"its values are Hounsfield units {how}, as air, fat and soft tissue show; that was corrected"
        return _noted(_without_offset(volume, judged.offset), note)
    if not judged.sure:
        return _noted(volume, "its values are taken for Hounsfield units, but show neither air nor fat: check that")
    return volume


def judge(values: NDArray[np.float32]) -> Judgement:
    """What `values` (some of a scan's, in any order) are. First without a padding, which has any value, also that of
    air."""
    inner = _without_spikes(values)
    for sample in (inner, values):
        if _is_hounsfield(_shares(sample, 0)):
            return Judgement(0, True)
        if _has_offset(sample):
            return Judgement(_offset(sample), True)
    low, high = np.percentile(values, (0.1, 99.9))
    shares = _shares(values, 0)
    doubtful = shares["soft"] > _MOST and len(inner) > (1 - _SPIKE) * len(values)
    negative = float((values < -30).mean()) > _THERE
    if high - low < _NARROWEST or not (doubtful or negative):
        return Judgement(None, False)
    return Judgement(0, False)


def _some(volume: Volume) -> NDArray[np.float32]:
    """About so many voxels, evenly spread."""
    step = max(1, round((volume.voxels.size / _SAMPLES) ** (1 / 3)))
    return volume.voxels[::step, ::step, ::step].astype(np.float32).ravel()


def _without_spikes(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Without the lowest and the most frequent value where they stand alone (noise has neighbours), and without a
    largest one far off."""
    found, counts = np.unique(values, return_counts=True)
    spikes = []
    for number in {0, int(counts.argmax())}:
        away = np.abs(found - found[number])
        beside = counts[(away > 0) & (away <= _BIN)]
        if counts[number] >= max(_SPIKE * len(values), _ALONE * beside.max(initial=0)):
            spikes.append(found[number])
    if len(found) > 1 and found[-1] - np.percentile(values[values < found[-1]], 99) > _FAR_OFF:
        spikes.append(found[-1])
    rest = values[~np.isin(values, spikes)]
    return rest if len(rest) else values


def _shares(values: NDArray[np.float32], offset: int) -> dict[str, float]:
    """The share of the values in each tissue, if they were HU + `offset`."""
    return {
        name: float(((values > low + offset) & (values <= high + offset)).mean())
        for name, (low, high) in _TISSUES.items()
    }


def _is_hounsfield(shares: dict[str, float]) -> bool:
    """Air (more than what is darker than air: the border of a padding), or fat and soft tissue of a crop without."""
    air = shares["air"] + shares["lung"]
    # Noise around 0 has a flank where fat would be.
    crop = shares["soft"] >= _SOFT and shares["fat"] >= max(_THERE, 0.06 * shares["soft"])
    return crop or (air >= _THERE and air > 3 * shares["below"])


def _has_offset(values: NDArray[np.float32]) -> bool:
    return any(_is_off_by(values, offset) for offset in _OFFSETS)


def _is_off_by(values: NDArray[np.float32], offset: int) -> bool:
    """Whether the tissues lie `offset` too high, with the gap between air and fat that every CT has."""
    shares = _shares(values, offset)
    tissue = shares["fat"] + shares["soft"]
    body = 1 - shares["air"] - shares["below"]
    # Where the values are too high, few lie where lung and fat of a CT in HU would.
    stray = float(((values > -900) & (values < -30)).mean()) if offset > 0 else 0.0
    return (
        stray < _STRAY
        and shares["air"] + shares["lung"] + shares["fat"] >= _THERE
        and shares["air"] + shares["lung"] + tissue >= _MOST
        and tissue >= _TISSUE_OF_BODY * body
        and tissue > 2 * shares["partial"]
    )


def _offset(values: NDArray[np.float32]) -> int:
    """Which of the offsets is nearest to where fat and air are."""
    fitting = [offset for offset in _OFFSETS if _is_off_by(values, offset)]
    middle = sum(fitting) / len(fitting)
    peaks = [_peak(values, middle + tissue) - tissue for tissue in (_AIR_PEAK, _FAT_PEAK)
             if float((np.abs(values - middle - tissue) < _AROUND).mean()) >= _THERE]
    where = float(np.mean(peaks)) if peaks else fitting[0]
    return min(fitting, key=lambda offset: abs(offset - where))


def _peak(values: NDArray[np.float32], around: float) -> float:
    """The most frequent value around one, smoothed over five bins."""
    edges = np.arange(around - _AROUND, around + _AROUND + _BIN, _BIN)
    counts = np.convolve(np.histogram(values, edges)[0], np.ones(5), mode="same")
    return float(edges[counts.argmax()] + _BIN / 2)


def _without_offset(volume: Volume, offset: int) -> Volume:
    voxels = rescaled(volume.voxels, 1, -offset)
    np.maximum(voxels, np.array(_DARKEST, voxels.dtype), out=voxels)
    return volume.with_voxels(voxels)


def _noted(volume: Volume, note: str) -> Volume:
    return volume if note in volume.notes else replace(volume, notes=(*volume.notes, note))
