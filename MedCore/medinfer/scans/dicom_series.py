"""Which slices make a series: by their identifiers, and by geometry, study, number and description where those fail.

Identifiers: DICOM PS3.3, C.7.2.1 (study), C.7.3.1 (series), C.12.1 (SOP instance). Anonymisers empty them, give one to
all, or a new one to each.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from .dicom import LOCALIZER_SLICES, DicomFiles, Leftover, Series, Slice
from .dicom_copies import without_copies
from .dicom_headers import DamagedError, read_header
from .dicom_orientation import oriented
from .dicom_stacks import separated

# As many series of one slice each, alike in all else, are one series whose identifier differs from slice to slice.
_LEAST_SINGLES = 3
# Their values have no unit that a missing intercept could spoil.
_UNSCALED = {"MR", "PT", "NM"}

Entry = tuple[Series, Slice]


def find_series(paths: Iterable[Path]) -> DicomFiles:
    """Read the headers of DICOM files and sort their slices into series.

    Told apart by SeriesInstanceUID (PS3.3 C.7.3.1), size, orientation and pixel spacing; and where several images lie
    at the same position, by what `dicom_stacks` finds. What was assumed stands in the notes of each series, and what
    makes no volume in its `problem`. A damaged file does not stop the others.
    """
    entries: list[Entry] = []
    damaged: dict[Path, str] = {}
    leftovers: list[Leftover] = []
    for path in paths:
        try:
            found = read_header(path)
        except DamagedError as cause:
            damaged[path] = f"{path} is truncated or damaged ({cause}); copy or export it again."
        except OSError as cause:
            damaged[path] = f"{path} cannot be read: {cause.strerror or cause}."
        else:
            if isinstance(found, Leftover):
                leftovers.append(found)
            else:
                entries.extend(found)
    series = [part for one in _series(entries) for part in separated(one)]
    return DicomFiles(tuple(series), damaged, tuple(leftovers))


def _series(entries: Sequence[Entry]) -> list[Series]:
    found = []
    for head, slices in _identified(entries):
        groups = _alike(oriented(slices))
        found += [
            _told(replace(head, slices=tuple(alike), notes=(*head.notes, *_parted(alike, groups)))) for alike in groups
        ]
    return found


def _identified(entries: Sequence[Entry]) -> list[tuple[Series, list[Slice]]]:
    """The slices by SeriesInstanceUID; without one, or with one for each slice, by study, number and description."""
    named: dict[tuple[str, ...], list[Entry]] = defaultdict(list)
    for head, image in entries:
        named[(head.uid,) if head.uid else ("", *_like(head, image))].append((head, image))
    lone: dict[tuple[str, ...], list[tuple[str, ...]]] = defaultdict(list)
    for key, members in named.items():
        if len(members) == 1 and key[0]:
            lone[_like(*members[0])].append(key)
    if sum(len(keys) == 1 for keys in lone.values()) >= _LEAST_SINGLES:  # perhaps each slice has a study of its own too
        by_rest: dict[tuple[str, ...], list[tuple[str, ...]]] = defaultdict(list)
        for like, keys in lone.items():
            by_rest[("", *like[1:]) if len(keys) == 1 else like].extend(keys)
        lone = by_rest
    joined = {}
    for keys in lone.values():
        if len(keys) >= _LEAST_SINGLES:
            for key in keys[1:]:
                named[keys[0]] += named.pop(key)
            joined[keys[0]] = ("each of its slices has a SeriesInstanceUID of its own; they were put together by "
                               "geometry, study, number and description",)
    groups = []
    for key, members in named.items():
        notes = joined.get(key, ())
        if not key[0]:
            notes = ("its slices have no SeriesInstanceUID; they were put together by geometry, study, number and "
                     "description",)
        modality, mixed = _modality([head.modality for head, _ in members])
        head = replace(members[0][0], modality=modality, notes=(*notes, *mixed))
        groups.append((head, [image for _, image in members]))
    return groups


def _modality(stated: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The modality that most slices of a series give, and a note where they give several."""
    counts = Counter(filter(None, stated)).most_common()
    if len(counts) < 2:
        return (counts[0][0] if counts else ""), ()
    words = " and ".join(sorted(modality for modality, _ in counts))
    return counts[0][0], (f"its slices give the modalities {words}, of which {counts[0][0]} was taken",)


def _like(head: Series, image: Slice) -> tuple[str, ...]:
    """What two slices of one series have in common besides its UID; the folder stands in for a missing study."""
    folder = "" if head.study else str(image.path.parent)
    return (head.study, head.number, head.description, head.modality, f"{image.rows} {image.columns}", folder)


def _alike(slices: Sequence[Slice]) -> list[list[Slice]]:
    """The slices in groups of one size, orientation and pixel spacing; directions may differ by rounding."""
    groups: list[list[Slice]] = []
    for image in slices:
        for group in groups:
            first = group[0]
            if (
                (first.rows, first.columns) == (image.rows, image.columns) and first.localizer == image.localizer
                and first.colour == image.colour
                and np.allclose([first.row, first.column], [image.row, image.column], rtol=0, atol=5e-3)
                and np.allclose(first.spacing, image.spacing, rtol=2e-3, atol=0)
            ):
                group.append(image)
                break
        else:
            groups.append([image])
    return groups


def _parted(alike: list[Slice], groups: Sequence[list[Slice]]) -> tuple[str, ...]:
    """A note where a series has become several scans. What is set aside as a localizer, or as too short, is none."""
    scans = [group for group in groups if not (group[0].localizer or group[0].colour)]
    long = [group for group in scans if len(group) > LOCALIZER_SLICES] or scans
    if len(long) < 2 or not any(group is alike for group in long):
        return ()
    return (f"its series holds {len(long)} scans that differ in size, orientation or pixel spacing; this one has "
            f"{len(alike)} of {sum(map(len, long))} images",)


def _told(series: Series) -> Series:
    """The series without copies of a file, its rescaling complete, and with notes of all that was assumed."""
    slices, copies = without_copies(series.slices, same_uid=True)
    notes = [*series.notes, *copies]
    images = {(image.uid, image.frame) for image in slices}
    if len(images) < len(slices):
        notes.append(f"its {len(slices)} slices bear only {len(images)} different SOPInstanceUIDs; they were told "
                     "apart by position")
    slices = tuple(_rescaled(slices, series.modality))
    assumed = Counter(words for image in slices for words in image.assumed)
    notes += [_counted(number, len(slices), words) for words, number in assumed.items()]
    for name, of_each in (("Intercept", [image.intercept or 0.0 for image in slices]),
                          ("Slope", [image.slope for image in slices])):
        # PET rescales each slice to its own brightest voxel (PS3.3 C.8.9.4).
        if len(set(of_each)) > 1 and series.modality != "PT":
            notes.append(f"its slices are rescaled differently, with a Rescale{name} from {min(of_each):g} to "
                         f"{max(of_each):g}")
    return replace(series, slices=slices, notes=tuple(notes))


def _rescaled(slices: Sequence[Slice], modality: str) -> list[Slice]:
    """Each slice with an intercept: a missing one is that of the others where they agree, else 0 (PS3.3 C.11.1)."""
    known = {image.intercept for image in slices if image.intercept is not None}
    if len(known) == 1:
        taken, how = known.pop(), "have no RescaleIntercept, for which that of the other slices was taken"
    else:
        taken, how = 0.0, "have no RescaleIntercept; their stored values were taken as they are"
    assumed = (how,) if known or taken or modality not in _UNSCALED else ()
    return [
        replace(image, intercept=taken, assumed=(*image.assumed, *assumed)) if image.intercept is None else image
        for image in slices
    ]


def _counted(number: int, total: int, words: str) -> str:
    """ "its 8 slices have …", "3 of its 8 slices have …", with the verb that a single one needs."""
    verb, rest = words.split(" ", 1)
    if number == 1:
        verb = {"have": "has", "are": "is", "give": "gives"}[verb]
    who = ("its only slice" if total == 1 else f"its {total} slices") if number == total else (
        f"{number} of its {total} slices")
    return f"{who} {verb} {rest}"
