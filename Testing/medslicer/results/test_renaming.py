"""Teeth under the names of another scheme, without a new run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from medinfer.errors import PackageError
from medslicer.export.saving import save_scene
from medslicer.headless import HeadlessSlicer
from medslicer.nodes.hierarchy import children_of
from medslicer.nodes.segments import shown_segments
from medslicer.results.renaming import rename_segments
from medslicer.results.result import results_in
from medslicer.results.result_nodes import tree_of

OWN = ["16", "11", "26", "36", "46", "Tooth without number 1", "Mandibular canal"]
# By the labels of the package; what has no name in words keeps its own.
IN_WORDS = [
    "Permanent maxillary right first molar tooth", "Permanent maxillary right central incisor tooth",
    "Permanent maxillary left first molar tooth", "Mandibular left first molar tooth",
    "Mandibular right first molar tooth", "Tooth without number 1", "Mandibular canal",
]
UNIVERSAL = {"16": "3", "11": "8", "26": "14", "36": "19", "46": "30"}


@pytest.fixture
def universal_case(teeth_case: Any) -> Any:
    """The package knows the Universal numbers as well."""
    from dataclasses import replace

    labels = tuple(
        label.model_copy(update={"names": {**label.names, "Universal": UNIVERSAL[label.name]}})
        if label.name in UNIVERSAL else label
        for label in teeth_case.manifest.labels
    )
    return replace(teeth_case, manifest=teeth_case.manifest.model_copy(update={"labels": labels}))


def segment_names(result: Any) -> list[str]:
    return [segment.name for segment in shown_segments(result.nodes.segmentation)]


def points(result: Any) -> list[str]:
    """The words beside the teeth."""
    return [
        node.GetNthControlPointLabel(number)
        for node in result.nodes.numbers for number in range(node.GetNumberOfControlPoints())
    ]


def test_segments_table_and_tree_are_renamed_and_number_and_codes_stay(scene: Any, universal_case: Any) -> None:
    result = universal_case.add(scene)
    assert result.schemes == ("FDI", "anatomical", "Universal")
    before = shown_segments(result.nodes.segmentation)
    codes = [result.nodes.segmentation.GetSegmentation().GetSegment(one.id).GetTerminology() for one in before]
    for scheme, names in (("anatomical", IN_WORDS), ("Universal", [UNIVERSAL.get(one, one) for one in OWN]), ("", OWN)):
        rename_segments(result, scheme)
        assert result.scheme == scheme
        assert [row.title for row in result.rows] == names
        assert segment_names(result) == names
        tree = tree_of(scene)
        items = children_of(tree, tree.GetItemByDataNode(result.nodes.segmentation))
        assert [tree.GetItemName(item) for item in items] == names
        after = shown_segments(result.nodes.segmentation)
        assert [(one.id, one.fdi, one.color, one.value) for one in after] == [
            (one.id, one.fdi, one.color, one.value) for one in before
        ]
        assert [row.fdi for row in result.rows] == ["16", "11", "26", "36", "46", "", ""]
        segmentation = result.nodes.segmentation.GetSegmentation()
        assert [segmentation.GetSegment(one.id).GetTerminology() for one in before] == codes


def test_beside_a_tooth_stands_what_is_short(scene: Any, universal_case: Any) -> None:
    result = universal_case.add(scene)
    before = points(result)
    rename_segments(result, "anatomical")
    assert points(result) == before
    rename_segments(result, "universal")
    assert points(result) == [UNIVERSAL.get(word, word) for word in before]


def test_reviews_visibility_and_threshold_stay(scene: Any, universal_case: Any) -> None:
    result = universal_case.add(scene)
    result.set_review(2, "rejected")
    result.show_from(0.5)
    shown = [row.number for row in result.shown_rows]
    rename_segments(result, "Universal")
    assert [row.number for row in result.shown_rows] == shown
    assert result.row(2).review == "rejected"


def test_an_unknown_scheme_is_refused_with_those_that_are_known(scene: Any, teeth_case: Any, nodule_case: Any) -> None:
    with pytest.raises(PackageError, match=r"no label names in the scheme 'Palmer'; it has FDI, anatomical\.$"):
        rename_segments(teeth_case.add(scene), "Palmer")
    with pytest.raises(PackageError, match=r"it has no others\.$"):
        rename_segments(nodule_case.add(scene), "FDI")


def test_a_loaded_scene_keeps_the_names_and_can_be_renamed_without_the_model(
    scene: Any, universal_case: Any, tmp_path: Path
) -> None:
    rename_segments(universal_case.add(scene), "Universal")
    save_scene(scene, tmp_path / "scene.mrb")
    with HeadlessSlicer() as other:
        assert other.scene.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
        (read,) = results_in(other.scene)
        assert read.scheme == "Universal"
        assert segment_names(read)[:2] == ["3", "8"]
        rename_segments(read, "anatomical")
        assert segment_names(read) == IN_WORDS


def test_what_the_user_deleted_is_passed_by(scene: Any, universal_case: Any) -> None:
    result = universal_case.add(scene)
    scene.RemoveNode(result.nodes.numbers[0])
    result.nodes.segmentation.GetSegmentation().RemoveSegment("Segment_11")
    rename_segments(result, "Universal")
    assert segment_names(result) == ["3", "14", "19", "30", "Tooth without number 1", "Mandibular canal"]
    scene.RemoveNode(result.nodes.segmentation)
    rename_segments(result, "")
    assert [row.title for row in result.rows] == OWN


def test_renaming_is_one_step_that_undo_takes_back(scene: Any, universal_case: Any) -> None:
    result = universal_case.add(scene)
    scene.SetUndoOn()
    rename_segments(result, "Universal")
    assert scene.GetNumberOfUndoLevels() == 1
    scene.Undo()
    assert [row.title for row in result.rows] == segment_names(result) == OWN
    assert result.scheme == ""
