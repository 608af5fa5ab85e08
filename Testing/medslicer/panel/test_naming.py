"""What teeth are called: FDI, Universal or in words; in the scene, the table and the chart, without another run."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from harness import SlicerHarness
from peas import LOWER, UNIVERSAL, UPPER
from results_user import ResultsUser

FOUND = [*UPPER, *LOWER]
CANAL = "Mandibular canal"
WORDS = {"13": "Upper right tooth 3", "21": "Upper left tooth 1", "33": "Lower left tooth 3"}


def segments(user: ResultsUser) -> list[str]:
    """The names of the first segmentation in the scene."""
    segmentation = user.nodes("vtkMRMLSegmentationNode")[-1].GetSegmentation()
    return [segmentation.GetNthSegment(n).GetName() for n in range(segmentation.GetNumberOfSegments())]


def labels_in_views(user: ResultsUser) -> set[str]:
    return {
        points.GetNthControlPointLabel(n)
        for points in user.nodes("vtkMRMLMarkupsFiducialNode") for n in range(points.GetNumberOfControlPoints())
    }


def test_the_models_schemes_are_offered_and_fdi_is_shown(teeth: ResultsUser) -> None:
    assert teeth.entries("namesSelector") == ["FDI", "Universal", "anatomical"]
    assert teeth.chosen("namesSelector") == "FDI"
    assert set(teeth.titles) == {*FOUND, CANAL}


def test_another_scheme_renames_segments_rows_and_tooltips(teeth: ResultsUser) -> None:
    teeth.choose("namesSelector", "Universal")
    expected = {*(UNIVERSAL[name] for name in FOUND), CANAL}
    assert set(segments(teeth)) == expected
    assert set(teeth.titles) == expected
    assert {UNIVERSAL[name] for name in FOUND} <= labels_in_views(teeth)
    # The cells keep their place and number; what they say has the new name.
    assert teeth.ui("tooth21").text() == "21"
    assert teeth.ui("tooth21").toolTip().startswith(f"21: {UNIVERSAL['21']},")
    assert teeth.ui("tooth21").property("state") == "found"


def test_names_in_words(teeth: ResultsUser) -> None:
    teeth.choose("namesSelector", "anatomical")
    assert set(WORDS.values()) <= set(segments(teeth)) & set(teeth.titles)
    for fdi, words in WORDS.items():
        teeth.click(f"tooth{fdi}")
        assert teeth.selected == words


def test_back_to_fdi_is_as_it_was(teeth: ResultsUser) -> None:
    before = (segments(teeth), teeth.rows, labels_in_views(teeth), teeth.ui("tooth11").toolTip())
    for scheme in ("Universal", "anatomical", "FDI"):
        teeth.choose("namesSelector", scheme)
    assert (segments(teeth), teeth.rows, labels_in_views(teeth), teeth.ui("tooth11").toolTip()) == before


def test_selection_and_reviews_stay_with_their_tooth(teeth: ResultsUser) -> None:
    teeth.click("tooth32")
    teeth.click("rejectButton")
    teeth.choose("namesSelector", "Universal")
    assert teeth.selected == UNIVERSAL["32"]
    assert teeth.item(UNIVERSAL["32"]).font().strikeOut()
    assert teeth.ui("tooth32").property("state") == "rejected"


def test_files_have_the_chosen_names_and_every_other(teeth: ResultsUser, tmp_path: Path) -> None:
    teeth.choose("namesSelector", "anatomical")
    teeth.export("Table", tmp_path / "teeth.csv")
    with (tmp_path / "teeth.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["FDI"]: row for row in csv.DictReader(file)}
    for fdi, words in WORDS.items():
        assert (rows[fdi]["label"], rows[fdi]["Universal"], rows[fdi]["anatomical"]) == (words, UNIVERSAL[fdi], words)


def test_undo_takes_new_names_back(teeth: ResultsUser) -> None:
    teeth.scene.SetUndoOn()
    teeth.choose("namesSelector", "Universal")
    teeth.scene.Undo()
    teeth.harness.process_events()
    assert teeth.chosen("namesSelector") == "FDI"
    assert set(segments(teeth)) == set(teeth.titles) == {*FOUND, CANAL}


def test_showing_a_result_does_not_rename_it(teeth: ResultsUser) -> None:
    """Each result has its own names: those that it was given."""
    teeth.choose("namesSelector", "Universal")
    teeth.choose("scanSelector", "peas")
    teeth.run_to_the_end()
    teeth.choose("namesSelector", "FDI")
    teeth.choose("resultSelector", "Teeth")
    assert teeth.chosen("namesSelector") == "Universal"
    assert set(teeth.titles) == {*(UNIVERSAL[name] for name in FOUND), CANAL}
    # "Teeth 2" is the last in the scene.
    assert set(segments(teeth)) == {*FOUND, CANAL}


def test_a_new_result_has_the_names_that_were_chosen(teeth: ResultsUser) -> None:
    teeth.choose("namesSelector", "Universal")
    teeth.choose("scanSelector", "peas")
    teeth.run_to_the_end()
    assert teeth.message.startswith(f"12 teeth, {CANAL} found")
    assert teeth.chosen("resultSelector") == "Teeth 2"
    assert set(segments(teeth)) == set(teeth.titles) == {*(UNIVERSAL[name] for name in FOUND), CANAL}


def test_names_are_the_users_for_the_next_scene_and_the_next_start(teeth: ResultsUser, harness: SlicerHarness) -> None:
    teeth.choose("namesSelector", "anatomical")
    harness.scene.Clear(False)
    harness.process_events()
    assert teeth.chosen("namesSelector") == "anatomical"


def test_a_scene_that_was_saved_has_its_names_again(
    teeth: ResultsUser, harness: SlicerHarness, tmp_path: Path
) -> None:
    from medslicer.export.saving import save_scene

    teeth.choose("namesSelector", "Universal")
    save_scene(teeth.scene, tmp_path / "scene.mrb")
    harness.scene.Clear(False)
    harness.process_events()
    assert harness.scene.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
    harness.process_events()
    assert teeth.chosen("namesSelector") == "Universal"
    assert set(segments(teeth)) == set(teeth.titles) == {*(UNIVERSAL[name] for name in FOUND), CANAL}


@pytest.mark.parametrize("scheme", ["Universal", "FDI"])
def test_without_a_result_the_choice_is_kept_for_the_next(open_panel: Any, scheme: str) -> None:
    user = open_panel("MedToothSeg")
    user.choose("namesSelector", scheme)
    assert user.chosen("namesSelector") == scheme
