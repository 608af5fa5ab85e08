"""Random missing, wrong and contradictory tags: a ScanError, or the plain volume, or a note that says why not."""

from __future__ import annotations

import io
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from ct_slices import ORIGIN, SPACING, stack, value
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from medinfer.errors import ScanError
from medinfer.scans.dicom import LOCALIZER_SLICES
from medinfer.scans.reading import find_scans

SLICES, STEP = 8, 2.5
# What anonymisers, converters and people do to a tag. None: it is removed.
CONTENTS: dict[str, list[Any]] = {
    "SOPInstanceUID": [None, "", "1.2.3"], "SeriesInstanceUID": [None, "", "1.9.9"], "StudyInstanceUID": [None, "1.9"],
    "SOPClassUID": [None, "1.2.840.10008.5.1.4.1.1.7"], "Modality": [None, "OT", "CT "],
    "SeriesNumber": [None, "", 7], "SeriesDescription": [None, "x", "é"], "AcquisitionNumber": [1, 2],
    "InstanceNumber": [None, 1, 99], "ConvolutionKernel": ["B30f", "B70f"],
    "ImageType": [None, ["DERIVED", "SECONDARY"]],
    "PixelSpacing": [None, "", [1.0], [0, 0.9], [-0.8, 0.9], [3.0, 3.0]], "ImagerPixelSpacing": [list(SPACING)],
    "ImagePositionPatient": [None, "", [0, 0], [0, 0, 0]],
    "ImageOrientationPatient": [
        None, "", [1, 0, 0], [0] * 6, [1, 0, 0, 1, 0, 0], [0, 1, 0, 0, 0, 1], [2, 0, 0, 0, 2, 0],
    ],
    "SliceThickness": [None, "", 0, 99], "SpacingBetweenSlices": [0, -2.5, 50], "SliceLocation": [0, 50],
    "NumberOfFrames": [0, 1, 3], "SamplesPerPixel": [None, 3], "Rows": [None, 0, 12], "Columns": [None, 40],
    "RescaleSlope": [None, "", 0, 2], "RescaleIntercept": [None, "", 0],
    "PhotometricInterpretation": [None, "MONOCHROME1"],
    "PixelPaddingValue": [0, 1024, 63536], "PixelPaddingRangeLimit": [0, 2000], "BitsAllocated": [8, 32],
    "TriggerTime": [1, 2], "WindowCenter": [40], "GridFrameOffsetVector": [[0, 1]],
}
# What looks right and is the same in every slice, nobody can know to be wrong: only some slices get these.
PLAUSIBLE = (
    ["PixelSpacing", [3.0, 3.0]], ["ImageOrientationPatient", [0, 1, 0, 0, 0, 1]], ["RescaleIntercept", 0],
    ["RescaleSlope", 2],
)
CHANGE = st.sampled_from(sorted(CONTENTS)).flatmap(
    lambda name: st.tuples(st.just(name), st.sampled_from(CONTENTS[name]), st.sets(st.integers(0, SLICES - 1)))
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
def test_a_header_gone_wrong_is_refused_or_told_or_harmless(changes: list[tuple[str, Any, set[int]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for number, whole in enumerate(plain()):
            data = pydicom.dcmread(io.BytesIO(whole))
            for name, content, places in changes:
                where = places
                believable = [name, content] in PLAUSIBLE
                if believable and len(where) in {0, SLICES}:
                    where = {2, 5}
                if not where or number in where:
                    changed(data, name, content)
            data.save_as(Path(folder) / f"{number}.dcm")
        with suppress(ScanError):
            sources = find_scans(folder)
            for source in sources:
                with suppress(ScanError):
                    volume = source.read()
                    # Of a single slice that stands alone beside others, nothing else tells that it is wrong.
                    if not volume.notes and (len(sources) == 1 or volume.shape[0] > LOCALIZER_SLICES):
                        check(volume, len(sources))


def check(volume: Any, scans: int) -> None:
    """Each voxel's value is that of its place within a voxel; with nothing said, nothing is missing either."""
    places = volume.grid.to_ras(np.stack(np.indices(volume.shape), axis=-1)) * [-1, -1, 1]
    off = np.abs(volume.voxels - value(places))
    assert off.max() <= 9 * SPACING[0] + 13 * SPACING[1] + 7 * STEP, volume.notes
    assert scans > 1 or volume.shape[0] == SLICES
    np.testing.assert_allclose(places.reshape(-1, 3).min(axis=0)[:2], ORIGIN[:2], atol=1)
