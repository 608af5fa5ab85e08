"""What a network does not tell about itself: the options of `medinfer add`, their words, and what they default to."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

from ..errors import PackageError
from ..manifest.preparation import Axes
from . import intensity_words

if TYPE_CHECKING:
    from .bare_network import Facts

Words = Mapping[str, str]
"""What was said, by the fields' names."""


@dataclass(frozen=True)
class Field:
    """One thing to know.

    name: of the option, without its dashes. words: what it takes, for the help. asks: the question on a terminal, with
    {channels} or {images} in it perhaps; empty: it is not asked. read: from words to what `model.json` needs; raises
    PackageError. default: the words where nothing is said; None: it must be said. assumed: how a default is told, with
    {words} in it perhaps; empty: it is not.
    choices: the only words there are, and how a form shows them; empty: any. label: of its row in a form; empty: it has
    none. applies: to which networks it does; of others its default counts.
    """

    name: str
    metavar: str
    words: str
    read: Callable[[str], Any]
    default: Callable[[Facts, Words], str | None]
    asks: str = ""
    assumed: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)
    label: str = ""
    applies: Callable[[Facts], bool] = lambda network: True

    def question(self, network: Facts) -> str:
        """Asks for it on a terminal."""
        return self.asks.format(channels=network.channels, images=network.images)


def read_field(name: str, words: str) -> Any:
    """What the words for a field mean. Raises PackageError, naming the option."""
    return BY_NAME[name].read(words)


def _one_of(option: str, choices: Sequence[str]) -> Callable[[str], str]:
    def read(words: str) -> str:
        if words.strip().lower() not in choices:
            raise PackageError(f"--{option} must be {', '.join(choices[:-1])} or {choices[-1]}, not {words!r}.")
        return words.strip().lower()

    return read


def _text(option: str, pattern: str, wanted: str) -> Callable[[str], str]:
    def read(words: str) -> str:
        if not re.fullmatch(pattern, words.strip()):
            raise PackageError(f"--{option} must be {wanted}, not {words!r}.")
        return words.strip()

    return read


IGNORED = "ignore"
"""The word for a channel that is no finding: a voxel that it wins has no label."""


def _labels(words: str) -> dict[int, str]:
    """Names by their values: "1=liver,2=spleen", or "liver,spleen" from 1 on; `IGNORED` for what is not reported."""
    entries = [entry.strip() for entry in words.split(",")]
    numbered = [re.fullmatch(r"(\d+)\s*=\s*(.+)", entry) for entry in entries]
    pairs = [(int(found[1]), found[2]) if found else (n, entries[n - 1]) for n, found in enumerate(numbered, start=1)]
    names = [name for _, name in pairs if name != IGNORED]
    if any(numbered) and not all(numbered):
        raise PackageError(f"--labels must give every name a number or none, not {words!r}.")
    if not all(re.fullmatch(r'[^"\x00-\x1f\x7f]+', name) for name in names):
        raise PackageError(f"--labels must be names with commas between them (liver,spleen), not {words!r}.")
    if not names or len(dict(pairs)) < len(pairs) or len(set(names)) < len(names) or min(dict(pairs)) < 1:
        raise PackageError(f"--labels must have distinct names and numbers from 1 on, not {words!r}.")
    return dict(pairs)


def _images(words: str) -> list[str] | None:
    """The images' names, in the channels' order; None: the scan itself on every channel."""
    if words.strip().lower() == "same":
        return None
    names = [name.strip() for name in words.split(",")]
    if not all(re.fullmatch(r'[^"\x00-\x1f\x7f]+', name) for name in names) or len(set(names)) < len(names):
        raise PackageError(f"--images must be distinct names with commas between them (T1,T2), or same, not {words!r}.")
    return names


def _numbers(option: str, words: str, example: str) -> list[float]:
    try:
        numbers = [float(number) for number in re.split(_BETWEEN, words.strip())]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 3) or not all(0 < number < 1e5 for number in numbers):
        raise PackageError(f"--{option} must be one or three numbers above 0 ({example}), not {words!r}.")
    return numbers * 3 if len(numbers) == 1 else numbers


_BETWEEN = r"\s*[,x× ]\s*"


def _spacing(words: str) -> list[float | None] | None:
    """Along k, j, i, None for the scan's own; the words give x, y, z."""
    each = re.split(_BETWEEN, words.strip().lower())
    if each == ["own"]:
        return None
    # What stands for an axis that keeps its own is no number to be checked.
    numbers = _numbers("spacing", ",".join("1" if word == "own" else word for word in each), "1.5,1.5,2")
    own = each if len(each) == 3 else each * 3
    return [None if word == "own" else number for word, number in zip(own, numbers, strict=True)][::-1]


def _voxels(option: str) -> Callable[[str], list[int]]:
    """Along k, j, i; the words give x, y, z."""

    def read(words: str) -> list[int]:
        numbers = _numbers(option, words, "96,96,64")
        if any(number != int(number) for number in numbers):
            raise PackageError(f"--{option} must be whole numbers of voxels, not {words!r}.")
        return [int(number) for number in numbers[::-1]]

    return read


def _shape(words: str) -> list[int] | None:
    return None if words.strip().lower() == "none" else _voxels("shape")(words)


def _patch_of(network: Facts, said: Words) -> str:
    """What the scan is stretched to, or else what the network takes."""
    shape = said["shape"].strip().lower()
    return ",".join(map(str, network.patch(said["axes"])[::-1])) if shape == "none" else shape


def _overlap(words: str) -> float:
    try:
        share = float(words)
    except ValueError:
        share = -1
    if not 0 <= share < 1:
        raise PackageError(f"--overlap must be at least 0 and less than 1, not {words!r}.")
    return share


def _mirror(words: str) -> list[str]:
    """Axes k, j, i; the words name x, y, z."""
    asked = words.strip().lower()
    axes = [] if asked == "none" else [axis.strip() for axis in asked.split(",")]
    if len(set(axes)) < len(axes) or not set(axes) <= set("xyz"):
        raise PackageError(f"--mirror must be axes with commas between them (x,y,z), or none, not {words!r}.")
    return ["kji"["zyx".index(axis)] for axis in sorted(axes, reverse=True)]


def _clean(words: str) -> list[str]:
    asked = words.strip().lower()
    steps = [] if asked == "none" else [step.strip() for step in asked.split(",")]
    if not set(steps) <= {"largest", "holes"}:
        raise PackageError(f"--clean must be largest, holes, both with a comma, or none, not {words!r}.")
    return steps


def _orientation(words: str) -> str | None:
    letters = words.strip().upper()
    if letters == "OWN":
        return None
    if len(letters) != 3 or any(len(set(letters) & set(axis)) != 1 for axis in ("LR", "AP", "SI")):
        raise PackageError(
            f"--orientation must be three letters, one of each of LR, AP and SI (RAS), or own, not {words!r}."
        )
    return letters


def _modality(words: str) -> list[str]:
    kinds = [kind.strip().upper() for kind in words.split(",")]
    if not all(re.fullmatch(r"[A-Z]{2,16}", kind) for kind in kinds):
        raise PackageError(f"--modality must be DICOM's word for the kind of scan (CT, MR, PT), not {words!r}.")
    return kinds


def _always(words: str) -> Callable[[Facts, Words], str]:
    return lambda network, said: words


def _of_library(*, otherwise: str, **ways: str) -> Callable[[Facts, Words], str]:
    """The words for the library that was named."""
    return lambda network, said: ways.get(said["like"].strip().lower(), otherwise)


def _id_of(network: Facts, said: Words) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", network.path.stem.lower()).strip("-")[:64].strip("-")
    return slug if len(slug) > 1 else "network"


def _title_of(network: Facts, said: Words) -> str:
    words = said["id"].replace("-", " ")
    return words[0].upper() + words[1:]


def _labels_of(network: Facts, said: Words) -> str | None:
    return said["id"].replace("-", " ") if network.channels == 1 else None


def _axes_of(network: Facts, said: Words) -> str:
    of_monai = "xyz" if network.dimensions == 3 else "zxy"
    return _of_library(monai=of_monai, otherwise="zyx")(network, said)


def _activation_of(network: Facts, said: Words) -> str | None:
    return "none" if said["task"] == "landmark" else network.activation


_TASKS = {"segment": "objects: a label each", "landmark": "points: a heat map each", "detect": "boxes around labels"}
_LIBRARIES = {"none": "another library", "monai": "MONAI", "nnunet": "nnU-Net"}
_ORDERS = {
    "zyx": "z, y, x (SimpleITK, nnU-Net)", "xyz": "x, y, z (nibabel, MONAI)", "zxy": "z, x, y (slices in MONAI)",
}
_ACTIVATIONS = {"none": "nothing", "sigmoid": "sigmoid", "softmax": "softmax"}

FIELDS: tuple[Field, ...] = (
    Field(
        "id", "ID", "the model's id in the library: small letters, digits and hyphens; default: the file's name",
        _text("id", r"[a-z0-9][a-z0-9\-]{1,63}", "small letters, digits and hyphens"), _id_of, label="Id",
    ),
    Field("title", "TEXT", "its name for people; default: the id", _text("title", r".+", "a text"), _title_of),
    Field(
        "task", "WORD", "what it gives: segment (default), landmark or detect",
        _one_of("task", [*_TASKS]), _always("segment"),
        asks="What does it find: segment (objects), landmark (points) or detect (boxes)?", label="Finds",
        choices=_TASKS,
    ),
    Field(
        "labels", "NAMES", "what its channels are, without the background: liver,spleen or 1=liver,2=spleen, and "
        "ignore for one that is not to be reported; of a landmark network one name per channel", _labels, _labels_of,
        asks="What are its {channels} channels called, without the background (liver,spleen)?",
        label="Names of its channels",
    ),
    Field(
        "images", "NAMES", "what the channels of its input are, in their order: images of one patient (T1,T2; the "
        "first is the scan that it is run on, the others are given by --input), or same: the scan itself on each",
        _images, lambda network, said: "same" if network.images == 1 else None,
        asks="What are the {images} channels of its input (T1,T2; same: the scan itself on each)?",
        label="Its images", applies=lambda network: network.images > 1,
    ),
    Field(
        "like", "LIBRARY", "the library it was trained with, whose ways become the defaults of the options below, and "
        "which says how scans are sampled and where labels are decided: monai, nnunet or none (default)",
        _one_of("like", [*_LIBRARIES]), _always("none"),
        asks="Which library was it trained with (monai, nnunet, none)?", label="Trained with", choices=_LIBRARIES,
    ),
    Field(
        "modality", "WORDS", "the kinds of scans it was made for, in DICOM's words: CT (default), MR, …", _modality,
        _always("CT"), asks="Which scans was it made for (CT, MR, …)?", assumed="for {words}", label="Scans",
    ),
    Field(
        "spacing", "X,Y,Z", "the voxel size in mm that it was trained on, along x, y, z (right–left, front–back, "
        "head–foot of an upright scan), or one number; own (default) keeps each scan's own, of one axis or of all",
        _spacing, _always("own"),
        asks="Which voxel size in mm was it trained on (x,y,z; own: each scan's own)?",
        assumed="each scan's own spacing", label="Voxel size, mm",
    ),
    Field(
        "orientation", "LETTERS", "where x, y and z grow to, in letters as in nibabel and MONAI: LPS (default), RAS, "
        "…, or own: as each scan is stored", _orientation, _of_library(monai="RAS", nnunet="own", otherwise="LPS"),
        asks="In which directions do x, y and z grow (LPS, RAS, …)?",
        assumed="orientation {words}", label="Directions",
    ),
    Field(
        "axes", "ORDER", "the order of its input's axes: zyx (default; SimpleITK, nnU-Net) or xyz (nibabel, MONAI); of "
        "a network of slices first the axis across them: zyx, or zxy (MONAI)",
        _one_of("axes", get_args(Axes)), _axes_of,
        asks="In which order are its axes: zyx (SimpleITK, nnU-Net) or xyz (nibabel, MONAI)?", assumed="axes {words}",
        label="Order of axes", choices=_ORDERS,
    ),
    Field(
        "shape", "X,Y,Z", "the number of voxels along x, y, z that every scan is stretched to, whatever its size, or "
        "one number, in place of --spacing; none (default)", _shape, _always("none"),
    ),
    Field(
        "sampling", "WORD", "how a scan is sampled with --shape or --like nnunet: linear, cubic or nearest (labels "
        "too); default: linear, with --like nnunet cubic", _one_of("sampling", ("linear", "cubic", "nearest")),
        _of_library(nnunet="cubic", otherwise="linear"),
    ),
    Field(
        "intensity", "STEPS", f"what happens to the values: {intensity_words.HELP}; default: none",
        intensity_words.intensity_steps, _always("none"),
        asks='What happens to the values ("clip -57 164, scale 0..1"; zscore; percentiles 1 99; none)?',
        assumed="values as they are", label="Values",
    ),
    Field(
        "activation", "WORD", "what is applied to its output: none, sigmoid or softmax; default: as a trial run shows",
        _one_of("activation", [*_ACTIVATIONS]), _activation_of,
        asks="What is applied to its output: none, sigmoid or softmax?", label="Applied to its output",
        choices=_ACTIVATIONS,
    ),
    Field(
        "patch", "X,Y,Z", "the size of a tile in voxels along x, y, z, or one number; default: what the network takes, "
        "or 96", _voxels("patch"), _patch_of,
    ),
    Field(
        "overlap", "SHARE", "how far tiles overlap; default: 0.5, with --like monai 0.25", _overlap,
        _of_library(monai="0.25", otherwise="0.5"), assumed="overlap {words}",
    ),
    Field(
        "weights", "WORD", "how much a tile's voxels count where tiles overlap: gaussian (default), nnunet or constant",
        _one_of("weights", ("gaussian", "nnunet", "constant")),
        _of_library(monai="constant", nnunet="nnunet", otherwise="gaussian"), assumed="weights {words}",
    ),
    Field(
        "spread", "WORD", "where tiles lie: even (default; nnU-Net), or last: the last one moved back to the end "
        "(MONAI)",
        _one_of("spread", ("even", "last")), _of_library(monai="last", otherwise="even"), assumed="spread {words}",
    ),
    Field(
        "mirror", "AXES", "axes along which tiles are also shown mirrored, as nnU-Net does (x,y,z); the mean of the "
        "answers counts; none (default)", _mirror, _always("none"),
    ),
    Field(
        "clean", "WORDS", "what is done to each label: largest keeps its largest component, holes fills its holes; "
        "both with a comma, or none (default)", _clean, _always("none"),
    ),
    Field(
        "licence", "SPDX", "the licence of its weights; default: unknown", _text("licence", r".+", "a text"),
        _always("LicenseRef-unknown"),
    ),
)
"""In an order in which each default is known from what stands before it."""

BY_NAME = {field.name: field for field in FIELDS}
