"""Tables of nodules in both forms are the same truth, and what is wrong with one is said by file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from medinfer.scoring.luna16 import Nodule
from medinfer.scoring.tables import TableError
from medinfer.scoring.truth import TrueScan, read_truth

LUNA = "seriesuid,coordX,coordY,coordZ,diameter_mm\n1.2,10,-20,30,8\n1.2,1,2,3,5\n1.3,0,0,0,6\n"
OURS = (
    "case,seriesuid,source,x_lps_mm,y_lps_mm,z_lps_mm,diameter_mm,note\n"
    "A,1.2,LUNA16,10,-20,30,8,\nA,1.2,LUNA16,1,2,3,5,\nB,1.3,LUNA16,0,0,0,6,\n"
)
NODULES = ((Nodule((-10, 20, 30), 8), Nodule((-1, -2, 3), 5)), (Nodule((0, 0, 0), 6),))


def written(folder: Path, text: str, name: str = "truth.csv") -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_both_forms_are_the_same_truth_in_ras(tmp_path: Path) -> None:
    for text, names in ((LUNA, ("1.2", "1.3")), (OURS, ("A", "B"))):
        assert read_truth(written(tmp_path, text)) == [
            TrueScan(names[0], "1.2", NODULES[0]), TrueScan(names[1], "1.3", NODULES[1])
        ]
    # The order of the columns, further ones, and a mark of Excel's do not matter.
    turned = "\ufeffdiameter_mm,z_lps_mm,remark,y_lps_mm,x_lps_mm,case\n6,0,,0,0,B\n"
    assert read_truth(written(tmp_path, turned)) == [TrueScan("B", "", NODULES[1])]


def test_findings_of_few_readers_are_excluded_and_repeated_ones_count_once(tmp_path: Path) -> None:
    more = OURS + "A,1.2,LIDC-XML(4 readers),10,-20,30,9,\nA,1.2,LIDC-XML(1 readers),50,0,0,7,\n"
    first, second = read_truth(written(tmp_path, more))
    assert first.nodules == NODULES[0]
    assert first.excluded == (Nodule((-50, 0, 0), 7),)
    assert second.excluded == ()
    # Without a reference standard for a scan three readers are one.
    alone = "case,source,x_lps_mm,y_lps_mm,z_lps_mm,diameter_mm\nA,XML(3 readers),0,0,0,6\nA,XML(2 readers),9,0,0,6\n"
    (scan,) = read_truth(written(tmp_path, alone))
    assert (scan.nodules, scan.excluded) == ((Nodule((0, 0, 0), 6),), (Nodule((-9, 0, 0), 6),))


def test_a_table_of_excluded_findings_may_leave_the_size_open(tmp_path: Path) -> None:
    ignored = "seriesuid,coordX,coordY,coordZ,diameter_mm\n1.3,5,0,0,-1\n9.9,0,0,0,-1\n"
    for truth in (LUNA, OURS):
        _, second = read_truth(written(tmp_path, truth), written(tmp_path, ignored, "excluded.csv"))
        assert second.excluded == (Nodule((-5, 0, 0), 10),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no table of nodules: its first line must name seriesuid, coordX"),
        ("name,x,y,z,size\nA,1,2,3,4\n", "is no table of nodules"),
        ("case;x_lps_mm;y_lps_mm;z_lps_mm;diameter_mm\nA;1;2;3;4\n", "is no table of nodules"),
        ("seriesuid,coordX,coordY,coordZ\n1.2,1,2,3\n", "has no column diameter_mm"),
        (LUNA.partition("\n")[0], "lists no nodule"),
        (LUNA + "1.3,0,0,0\n", "line 5: 4 values instead of 5"),
        (LUNA + "1.3,zero,0,0,6\n", "line 5: coordX is 'zero', not a finite number"),
        (LUNA + "1.3,0,nan,0,6\n", "line 5: coordY is 'nan', not a finite number"),
        (LUNA + "1.3,0,0,0,-1\n", "line 5: diameter_mm is -1; a nodule's must be above 0"),
        (LUNA + ",0,0,0,6\n", "line 5: the seriesuid is empty"),
    ],
)
def test_what_is_wrong_with_a_table_is_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(TableError) as caught:
        read_truth(written(tmp_path, text))
    assert words in str(caught.value)
    assert "truth.csv" in str(caught.value)


def test_a_table_that_is_not_there_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"absent\.csv cannot be read"):
        read_truth(tmp_path / "absent.csv")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff\xfe\x00")
    with pytest.raises(TableError, match=r"picture\.png is not a CSV text file"):
        read_truth(tmp_path / "picture.png")
