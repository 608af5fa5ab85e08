"""Words on the command line that are misspelt, contradict each other, or ask for what cannot be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .kinds import BOTH, OK, REFUSED, SCAN_FAILED, Kind, Place, detect, saved, small_scan
from .trying import run_command

_TRUTH = "seriesuid,coordX,coordY,coordZ,diameter_mm\n"


def with_words(*words: object) -> Callable[[Place], list[object]]:
    """A run on a sound scan with further words."""
    return lambda place: detect(place, saved(place.folder), *words)


def with_output(output: Callable[[Path], object]) -> Callable[[Place], list[object]]:
    """A run on a sound scan; `output(folder)` says where its results are to go."""

    def make(place: Place) -> list[object]:
        scan = saved(place.folder)
        return ["detect", scan, "-o", output(place.folder), "--model", place.model, "--no-scene"]

    return make


def _written(path: Path) -> Path:
    path.write_text("precious")
    return path


def _folder_of_someone(place: Place) -> list[object]:
    """In the output folder lies a folder of the scan's name, with other things in it."""
    (place.out / "chest").mkdir(parents=True)
    _written(place.out / "chest" / "thesis.txt")
    return detect(place, saved(place.folder), "--overwrite")


def _file_of_someone(place: Place) -> list[object]:
    place.out.mkdir()
    _written(place.out / "chest")
    return detect(place, saved(place.folder))


def _given_twice(place: Place) -> list[object]:
    scan = saved(place.folder)
    return detect(place, scan, scan, place.folder)


def _one_missing(place: Place) -> list[object]:
    return detect(place, place.folder / "none.nii.gz", saved(place.folder))


def _two_links(place: Place) -> list[object]:
    """A scan and a link to it."""
    scan = saved(place.folder)
    (place.folder / "link.nii.gz").symlink_to(scan)
    return detect(place, place.folder)


def _other_settings(place: Place) -> list[object]:
    """Results at another threshold have the name."""
    words = detect(place, saved(place.folder), "--threshold", "0.3")
    run_command([str(word) for word in words])
    return detect(place, place.folder / "chest.nii.gz")


def _scored(truth: str) -> Callable[[Place], list[object]]:
    """Sound results, and a table of the truth with these lines."""

    def make(place: Place) -> list[object]:
        run_command([str(word) for word in detect(place, saved(place.folder))])
        table = place.folder / "truth.csv"
        table.write_text(truth)
        return ["score", place.out, "--truth", table]

    return make


def _results_beside_scans(place: Place) -> list[object]:
    """For the second time: what the first run wrote is no scan."""
    study = saved(place.folder / "study").parent
    words = ["detect", study, "-o", study / "out", "--model", place.model, "--no-scene"]
    run_command([str(word) for word in words])
    return words


def _name_in_other_case(place: Place) -> list[object]:
    saved(place.folder, "Chest.nii.gz")
    other = small_scan().voxels.copy()
    other[0, 0, 0] += 1
    saved(place.folder, "chest.nii.gz", small_scan().with_voxels(other))
    return detect(place, place.folder)


def _range(option: str, value: str) -> str:
    return rf"argument {option}: must be .*, not '{value}'"


ARGUMENTS = (
    Kind("no command", lambda place: [], REFUSED, says=(r"the following arguments are required: COMMAND",)),
    Kind("a misspelt command", lambda place: ["detct"], REFUSED,
         says=(r"invalid choice: 'detct' .*[Dd]id you mean.*detect",)),
    Kind("a misspelt option", with_words("--treshold", "0.4"), REFUSED,
         says=(r"unrecognized arguments: --treshold 0\.4\..*--threshold",)),
    Kind("no output folder", lambda place: ["detect", saved(place.folder)], REFUSED,
         says=(r"the following arguments are required: -o/--output",)),
    Kind("no scan", lambda place: ["detect", "-o", place.out], REFUSED,
         says=(r"the following arguments are required: SCAN",)),
    Kind("a threshold above 1", with_words("--threshold", "1.5"), REFUSED, says=(_range("--threshold", "1.5"),)),
    Kind("a threshold that is not a number", with_words("--threshold", "nan"), REFUSED,
         says=(_range("--threshold", "nan"),)),
    Kind("a threshold with a decimal comma", with_words("--threshold", "0,5"), REFUSED,
         says=(_range("--threshold", "0,5"),)),
    Kind("an overlap of 1", with_words("--overlap", "1"), REFUSED, says=(_range("--overlap", "1"),)),
    Kind("a truth in other columns", _scored("name,x,y,z\nchest,1,2,3\n"), REFUSED, found={"chest": BOTH},
         says=(r"truth\.csv is no table of nodules: its first line must name seriesuid, .* or case, .*\.",)),
    Kind("a truth of other scans", _scored(f"{_TRUTH}other,1,2,3,6\n"), REFUSED, found={"chest": BOTH},
         says=(r"None of the 1 scans of the truth \(other\) is among the results \(chest\); .*\.",)),
    Kind("a truth with a word for a number", _scored(f"{_TRUTH}chest,1,2,near,6\n"), REFUSED, found={"chest": BOTH},
         says=(r"truth\.csv, line 2: coordZ is 'near', not a finite number\.",)),
    Kind("a truth that names an absent scan too", _scored(f"{_TRUTH}chest,1,2,3,6\nother,1,2,3,6\n"), OK,
         found={"chest": BOTH}, notes=(
             r"1 scan \(other\) of the truth without results: they are left out .*",
             r"1 scan \(chest\) kept no candidates below the threshold: the curve ends there",
         )),
    Kind("no threads", with_words("--threads", "0"), REFUSED, says=(_range("--threads", "0"),)),
    Kind("a device that nobody has", with_words("--backend", "auto", "--device", "toaster"), REFUSED,
         says=(r"^Unknown device “toaster”; choose auto, cpu, cuda",)),
    Kind("a graphics card that is not there", with_words("--backend", "auto", "--device", "cuda:99"), REFUSED,
         says=(r"^cuda:99 is not available.*; available: ",)),
    Kind("a precision that the processor has not", with_words("--backend", "auto", "--precision", "tf32"), REFUSED,
         says=(r"has no hardware support for tf32; available: ",)),
    Kind("a misspelt model", with_words("--model", "chest-nodule"), REFUSED,
         says=(r"There is no model 'chest-nodule'.*Did you mean .?chest-nodules",)),
    Kind("a model for another command", lambda place: ["landmark", saved(place.folder), "-o", place.out,
                                                       "--model", place.model], REFUSED,
         says=(r"blobs is a model for `medinfer detect`, not for `medinfer landmark`: use that command",)),
    Kind("a scan as a model", lambda place: ["detect", saved(place.folder), "-o", place.out,
                                             "--model", place.folder / "chest.nii.gz"], REFUSED,
         says=(r"There is no model '.*chest\.nii\.gz'",)),
    Kind("a model that is not installed", lambda place: ["remove", "none"], REFUSED,
         says=(r"'none' is not an installed model",)),
    Kind("a download that nobody offers", lambda place: ["fetch", "none"], REFUSED,
         says=(r"There is no download called 'none'",)),
    Kind("a bundled model to be removed", lambda place: ["remove", "teeth"], REFUSED,
         says=(r"teeth comes with MedInfer and cannot be removed",)),
)

PLACES = (
    Kind("an output folder that is a file", with_output(lambda folder: _written(folder / "out")), REFUSED,
         says=(r"out cannot be written: part of that path is a file, not a folder; choose another folder",)),
    Kind("an output folder in a file", with_output(lambda folder: _written(folder / "out") / "below"), REFUSED,
         says=(r"below cannot be written: part of that path is a file, not a folder; choose another folder",)),
    Kind("an output folder that is a link to nothing", with_output(lambda folder: _link(folder / "out")), REFUSED,
         says=(r"out cannot be written: .*out is a link to nothing; remove it or choose another folder",)),
    Kind("an output folder with a name of 300 bytes", with_output(lambda folder: folder / ("x" * 300)), REFUSED,
         says=(r"cannot be written: the name is too long; choose a shorter one",)),
    Kind("an output folder where none can be made", with_output(lambda folder: "/proc/there/out"), REFUSED,
         says=(r"^/proc/there/out cannot be written: its folder .* cannot be made; choose another folder",)),
    Kind("results inside the folder of scans", _results_beside_scans, OK),
    Kind("a log in no folder", with_words("--log", "nowhere/log.txt"), REFUSED,
         says=(r"The log nowhere/log\.txt cannot be written: there is no folder nowhere; make it",)),
    Kind("a log that is a folder", lambda place: detect(place, saved(place.folder), "--log", place.folder), REFUSED,
         says=(r"given cannot be written: a folder with that name exists",)),
    Kind("a folder of someone under the scan's name", _folder_of_someone,
         says=(r"exists but contains no MedInfer results; choose another output folder",), inside=("chest",)),
    Kind("a file of someone under the scan's name", _file_of_someone,
         says=(r"exists but contains no MedInfer results; choose another output folder",), inside=("chest",)),
    Kind("results of other settings under the scan's name", _other_settings, SCAN_FAILED,
         says=(r"holds results of blobs 1\.0\.0 at another threshold; choose another folder, or use --overwrite",),
         found={"chest": BOTH}),
)

SCANS = (
    Kind("one scan three times", _given_twice, OK, found={"chest": BOTH}),
    Kind("a scan and a link to it", _two_links, OK, found={"given-chest": BOTH}),
    Kind("a scan that is there and one that is not", _one_missing,
         says=(r"none\.nii\.gz does not exist; check the path",),
         found={"chest": BOTH}),
    Kind("two names that differ in case alone", _name_in_other_case, OK,
         found={"given-Chest-481abd": BOTH, "given-chest-27de14": BOTH}),
)


def _link(path: Path) -> Path:
    path.symlink_to(path.parent / "nothing" / "there")
    return path


KINDS = (*ARGUMENTS, *PLACES, *SCANS)
