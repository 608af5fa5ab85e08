"""Random missing, wrong and contradictory tags: a ScanError, or the plain volume, or a note that says why not.

A note excuses a wrong volume only where it is about a tag that was changed: each kind of change says which words do.
"""

from __future__ import annotations

import io
import re
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from ct_slices import COLUMNS, ORIGIN, ROWS, SPACING, stack, value
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from medinfer.errors import ScanError
from medinfer.scans.dicom import LOCALIZER_SLICES
from medinfer.scans.reading import find_scans
from medinfer.volume import Volume

SLICES, STEP = 8, 2.5
# Slices that a changed tag put into a series of their own, which is set aside or is a scan of its own.
ASIDE = r"not read \(a localizer, or too short\)"
PARTED = rf"{ASIDE}|scans that differ in size, orientation or pixel spacing"


@dataclass(frozen=True)
class Tag:
    """contents: what anonymisers, converters and people make of it (None: it is removed). excuse: what a note says, as
    a regular expression, where the volume is another because of it; "" where it must never be. believable: what looks
    right and, where all slices have it, nobody can know to be wrong: only some slices get it."""

    contents: tuple[Any, ...]
    excuse: str = ""
    believable: tuple[Any, ...] = ()


TAGS = {
    "SOPInstanceUID": Tag((None, "", "1.2.3")),
    "SeriesInstanceUID": Tag((None, "", "1.9.9"), ASIDE),
    "StudyInstanceUID": Tag((None, "1.9"), r"cut by StudyInstanceUID"),
    "SOPClassUID": Tag((None, "1.2.840.10008.5.1.4.1.1.7")),
    "Modality": Tag((None, "OT", "CT ")),
    "SeriesNumber": Tag((None, "", 7), r"cut by SeriesNumber"),
    "SeriesDescription": Tag((None, "x", "é"), r"cut by SeriesDescription"),
    "AcquisitionNumber": Tag((1, 2)),
    "InstanceNumber": Tag((None, 1, 99)),
    "ConvolutionKernel": Tag(("B30f", "B70f"), r"cut by ConvolutionKernel"),
    "ImageType": Tag((None, ["DERIVED", "SECONDARY"]), r"cut by ImageType"),
    "PixelSpacing": Tag(
        (None, "", [1.0], [0, 0.9], [-0.8, 0.9], [3.0, 3.0]), rf"pixel spacing|{PARTED}", believable=([3.0, 3.0],)
    ),
    "ImagerPixelSpacing": Tag((list(SPACING),)),
    "ImagePositionPatient": Tag(
        (None, "", [0, 0], [0, 0, 0]),
        r"at the position of another|without a position",
    ),
    "ImageOrientationPatient": Tag(
        (None, "", [1, 0, 0], [0] * 6, [1, 0, 0, 1, 0, 0], [0, 1, 0, 0, 0, 1], [2, 0, 0, 0, 2, 0]),
        PARTED, believable=([0, 1, 0, 0, 0, 1],),
    ),
    "SliceThickness": Tag((None, "", 0, 99), r"cut by SliceThickness"),
    "SpacingBetweenSlices": Tag((0, -2.5, 50)),
    "SliceLocation": Tag((0, 50)),
    "NumberOfFrames": Tag((0, 1, 3)),
    "SamplesPerPixel": Tag((None, 3), r"not read \(in colour\)"),
    "Rows": Tag((None, 0, 12), PARTED),
    "Columns": Tag((None, 40), PARTED),
    "RescaleSlope": Tag((None, "", 0, 2), r"RescaleSlope", believable=(2,)),
    "RescaleIntercept": Tag((None, "", 0), r"RescaleIntercept", believable=(0,)),
    "PhotometricInterpretation": Tag((None, "MONOCHROME1")),
    "PixelPaddingValue": Tag((0, 1024, 63536), r"outside the field of view"),
    "PixelPaddingRangeLimit": Tag((0, 2000), r"outside the field of view"),
    "BitsAllocated": Tag((8, 32)),
    "TriggerTime": Tag((1, 2)),
    "WindowCenter": Tag((40,)),
    "GridFrameOffsetVector": Tag(([0, 1],)),
}
Change = tuple[str, Any, set[int]]
CHANGE = st.sampled_from(sorted(TAGS)).flatmap(
    lambda name: st.tuples(st.just(name), st.sampled_from(TAGS[name].contents), st.sets(st.integers(0, SLICES - 1)))
)


@cache
def plain() -> list[bytes]:
    files = []
    for number, data in enumerate(stack(STEP * np.arange(SLICES))):
        data.InstanceNumber = number + 1
        stream = io.BytesIO()
        data.save_as(stream, enforce_file_format=True)
        files.append(stream.getvalue())
    return files


def changed(data: Dataset, name: str, content: Any) -> None:
    if content is not None and "Padding" in name:
        data.add_new(name, "US", content)
    elif content is not None:
        setattr(data, name, content)
    elif name in data:
        delattr(data, name)


@settings(
    max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, phases=(Phase.generate,)
)
@given(st.lists(CHANGE, min_size=1, max_size=4))
def test_a_header_gone_wrong_is_refused_or_told_or_harmless(changes: list[Change]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for number, whole in enumerate(plain()):
            data = pydicom.dcmread(io.BytesIO(whole))
            for name, content, places in changes:
                everywhere = len(places) in {0, SLICES}
                where = {2, 5} if everywhere and content in TAGS[name].believable else places
                if not where or number in where:
                    changed(data, name, content)
            data.save_as(Path(folder) / f"{number}.dcm")
        with suppress(ScanError):
            sources = find_scans(folder)
            for source in sources:
                with suppress(ScanError):
                    volume = source.read()
                    # Of a single slice that stands alone beside others, nothing else tells that it is wrong.
                    if len(sources) == 1 or volume.shape[0] > LOCALIZER_SLICES:
                        check(volume, len(sources), changes)


def check(volume: Volume, scans: int, changes: list[Change]) -> None:
    """The plain volume within a voxel; or a note about one of the changed tags says why it is another."""
    wrong = difference(volume, scans)
    excuses = [TAGS[name].excuse for name, _, _ in changes if TAGS[name].excuse]
    told = any(re.search(excuse, note) for excuse in excuses for note in volume.notes)
    assert not wrong or told, f"{wrong}, and no note on {sorted({name for name, _, _ in changes})}: {volume.notes}"


def difference(volume: Volume, scans: int) -> str:
    """What is other than in the plain volume; with several scans, slices may be missing from this one."""
    if volume.shape[1:] != (ROWS, COLUMNS) or (scans == 1 and volume.shape[0] != SLICES):
        return f"the size is {volume.shape}"
    places = volume.grid.to_ras(np.stack(np.indices(volume.shape), axis=-1)) * [-1, -1, 1]
    if np.abs(places.reshape(-1, 3).min(axis=0)[:2] - ORIGIN[:2]).max() > 1:
        return "it lies elsewhere"
    if np.abs(volume.voxels - value(places)).max() > 9 * SPACING[0] + 13 * SPACING[1] + 7 * STEP:
        return "its values are those of other places"
    return ""
