"""Codes of findings in the form that Slicer reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from medinfer.findings import Findings
from medinfer.manifest import Code, Label, Terminology
from medinfer.volume import Volume
from medslicer.export.saving import save_scene
from medslicer.headless import HeadlessSlicer
from medslicer.nodes.lookup import nodes_of
from medslicer.nodes.terminology import (
    REGION_CONTEXT,
    TYPE_CONTEXT,
    common_terminology,
    terminology_attribute,
    terminology_entry,
)
from medslicer.nodes.volumes import add_volume
from medslicer.results.results import add_findings

NODULE = (
    "Segmentation category and type - DICOM master list"
    "~SCT^49755003^Morphologically Altered Structure~SCT^27925004^Nodule~^^"
    "~Anatomic codes - DICOM master list~SCT^39607008^Lung~^^"
)


def test_a_nodule_in_the_lung(label: Label) -> None:
    assert label.terminology is not None
    assert terminology_entry(label.terminology) == NODULE


def test_the_entry_is_what_slicer_itself_writes(label: Label) -> None:
    import slicer

    terms = label.terminology
    assert terms is not None
    assert terms.region is not None
    codes = [
        (terms.category.value, terms.category.scheme, terms.category.meaning),
        (terms.type.value, terms.type.scheme, terms.type.meaning),
        ("", "", ""),
    ]
    region = [(terms.region.value, terms.region.scheme, terms.region.meaning), ("", "", "")]
    written = slicer.vtkSlicerTerminologiesModuleLogic.SerializeTerminologyEntry(
        TYPE_CONTEXT, *(part for code in codes for part in code),
        REGION_CONTEXT, *(part for code in region for part in code),
    )
    assert terminology_entry(terms) == written


def test_slicer_finds_the_codes_in_the_entry(label: Label) -> None:
    import slicer

    logic = slicer.vtkSlicerTerminologiesModuleLogic()
    entry = slicer.vtkSlicerTerminologyEntry()
    assert label.terminology is not None
    assert logic.DeserializeTerminologyEntry(terminology_entry(label.terminology), entry)
    assert entry.GetTypeObject().GetCodeValue() == "27925004"
    assert entry.GetCategoryObject().GetCodeMeaning() == "Morphologically Altered Structure"
    assert entry.GetRegionObject().GetCodeValue() == "39607008"


def test_without_a_region_there_is_no_region_context() -> None:
    code = Code(scheme="SCT", value="1", meaning="a~b^c")
    entry = terminology_entry(Terminology(category=code, type=code))
    assert entry == f"{TYPE_CONTEXT}~SCT^1^a b c~SCT^1^a b c~^^~~^^~^^"


def test_rois_carry_the_codes_of_their_label_also_through_a_scene_bundle(
    scene: Any, volume: Volume, findings: Findings, label: Label, tmp_path: Path
) -> None:
    nodes = add_findings(scene, findings, add_volume(scene, volume), name="Nodules", labels=[label])
    assert {roi.GetAttribute(terminology_attribute()) for roi in nodes.rois} == {NODULE}
    save_scene(scene, tmp_path / "scene.mrb")
    with HeadlessSlicer() as other:
        assert other.scene.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
        read = nodes_of(other.scene, "vtkMRMLMarkupsROINode")
        assert [roi.GetAttribute(terminology_attribute()) for roi in read] == [NODULE] * len(findings.boxes)


def coded(kind: str, region: str | None) -> Terminology:
    def code(word: str) -> Code:
        return Code(scheme="SCT", value=word, meaning=word)

    return Terminology(category=code("structure"), type=code(kind), region=code(region) if region else None)


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([coded("vertebra", "spine"), coded("vertebra", "spine")], ("vertebra", "spine")),
        ([coded("vertebra", "neck"), coded("vertebra", "chest")], ("vertebra", None)),
        ([coded("T12", "spine"), coded("L1", "spine")], ("spine", None)),
        ([coded("T12", "spine"), coded("hip", "pelvis")], None),
        ([coded("T12", None), coded("L1", None)], None),
        ([coded("T12", "spine"), None], None),
        ([], None),
    ],
)
def test_one_node_for_several_labels_has_the_codes_that_hold_for_all(
    entries: list[Terminology | None], expected: tuple[str, str | None] | None
) -> None:
    common = common_terminology(entries)
    assert (common and (common.type.value, common.region and common.region.value)) == expected
