"""What the modules offer in Slicer's Sample Data module, once the application has started."""

from __future__ import annotations

import hashlib
import urllib.request
from pathlib import Path

import pytest
from harness import SlicerHarness

from medinfer.scans.reading import read_volume
from medslicer.sample_scans import CATEGORY, SAMPLE_SCANS


@pytest.mark.parametrize("module", SAMPLE_SCANS)
def test_sample_data_can_fetch_what_a_module_offers(harness: SlicerHarness, module: str, tmp_path: Path) -> None:
    import slicer

    harness.load_module(module)
    (source,) = slicer.modules.sampleDataSources[CATEGORY]
    # As SampleData does it: retrieve the URI under the file's name, then compare the checksum.
    (uri,), (file,), (checksum,) = source.uris, source.fileNames, source.checksums
    copy, _ = urllib.request.urlretrieve(uri, tmp_path / file)
    algorithm, digest = checksum.split(":")
    assert hashlib.new(algorithm, Path(copy).read_bytes()).hexdigest() == digest
    assert read_volume(copy).voxels.size > 1e6
    assert source.nodeNames == (SAMPLE_SCANS[module].node,)
    assert Path(source.thumbnailFileName).is_file()


def test_the_three_modules_offer_three_scans(harness: SlicerHarness) -> None:
    import slicer

    for module in SAMPLE_SCANS:
        harness.load_module(module)
    offered = slicer.modules.sampleDataSources[CATEGORY]
    assert {source.sampleName for source in offered} == {scan.name for scan in SAMPLE_SCANS.values()}
