"""Names of teeth against the charts that dentists use, and against DICOM's table of codes."""

from __future__ import annotations

import pytest

from medtrain.datasets import tooth_names as teeth

# As charts print them: the patient's right is the reader's left.
UPPER = [18, 17, 16, 15, 14, 13, 12, 11, 21, 22, 23, 24, 25, 26, 27, 28]
LOWER = [48, 47, 46, 45, 44, 43, 42, 41, 31, 32, 33, 34, 35, 36, 37, 38]
UPPER_MILK = [55, 54, 53, 52, 51, 61, 62, 63, 64, 65]
LOWER_MILK = [85, 84, 83, 82, 81, 71, 72, 73, 74, 75]


def test_there_are_32_permanent_and_20_deciduous_teeth_in_rising_order() -> None:
    assert sorted(UPPER + LOWER) == list(teeth.PERMANENT)
    assert sorted(UPPER_MILK + LOWER_MILK) == list(teeth.DECIDUOUS)
    assert list(teeth.FDI) == sorted(teeth.FDI)
    assert teeth.NAMES[0] == "11"


def test_universal_numbers_are_those_of_the_chart() -> None:
    assert [teeth.universal(number) for number in UPPER] == [str(n) for n in range(1, 17)]
    assert [teeth.universal(number) for number in LOWER] == [str(n) for n in range(32, 16, -1)]
    assert [teeth.universal(number) for number in UPPER_MILK] == list("ABCDEFGHIJ")
    assert [teeth.universal(number) for number in LOWER_MILK] == list("TSRQPONMLK")


def test_arches_follow_the_chart_with_milk_teeth_at_their_successors_places() -> None:
    for arch, permanent, milk in zip(teeth.arches(), (UPPER, LOWER), (UPPER_MILK, LOWER_MILK), strict=True):
        expected: list[tuple[str, ...]] = [(str(number),) for number in permanent]
        for place, number in enumerate(milk, start=3):
            expected[place] += (str(number),)
        assert list(arch) == expected


@pytest.mark.parametrize("row", [UPPER, LOWER, UPPER_MILK, LOWER_MILK])
def test_mirrored_teeth_stand_opposite_in_the_chart(row: list[int]) -> None:
    assert [teeth.mirrored(number) for number in row] == row[::-1]


def test_types_groups_and_jaws() -> None:
    assert [teeth.tooth_type(number) for number in range(11, 19)] == (
        ["incisor"] * 2 + ["canine"] + ["premolar"] * 2 + ["molar"] * 3
    )
    assert [teeth.tooth_type(number) for number in range(81, 86)] == ["incisor"] * 2 + ["canine"] + ["molar"] * 2
    assert [teeth.group(number) for number in (11, 65, 38, 81)] == [
        "Upper right", "Upper left", "Lower left", "Lower right",
    ]
    assert [teeth.is_upper(number) for number in (11, 65, 38, 81)] == [True, True, False, False]


def test_anatomical_names_are_dicoms_where_it_writes_them_in_full() -> None:
    assert set(teeth.codes()) == set(teeth.FDI)
    for number, code in teeth.codes().items():
        # DICOM leaves "Permanent" out in the mandible, and "incisor" in 32.
        meaning = code["meaning"].replace("left lateral tooth", "left lateral incisor tooth")
        if meaning.startswith("Mandibular"):
            meaning = "Permanent m" + meaning[1:]
        assert teeth.anatomical(number) == meaning


def test_the_manifests_labels_have_a_code_and_a_name_each_of_their_own() -> None:
    labels = teeth.manifest_labels()
    assert [label["value"] for label in labels] == list(teeth.FDI)
    for distinct in (
        {label["terminology"]["type"]["value"] for label in labels},
        {label["names"]["Universal"] for label in labels},
        {label["names"]["anatomical"] for label in labels},
    ):
        assert len(distinct) == 52
    assert labels[0]["terminology"]["type"] == {
        "scheme": "SCT", "value": "422653006", "meaning": "Permanent maxillary right central incisor tooth",
    }
    assert {tuple(label["color"]) for label in labels if label["value"] in UPPER} == set(teeth.COLORS.values())


@pytest.mark.parametrize("number", [0, 10, 19, 49, 56, 86, 201])
def test_other_numbers_are_refused(number: int) -> None:
    with pytest.raises(ValueError, match=f"{number} is not an FDI number"):
        teeth.universal(number)
