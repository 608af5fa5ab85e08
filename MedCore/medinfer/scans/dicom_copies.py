"""Copies among the slices of a series: the same position and the same pixels, whatever their identifiers say."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..errors import ScanError
from .dicom import Slice


def without_copies(slices: Sequence[Slice], *, same_uid: bool) -> tuple[tuple[Slice, ...], tuple[str, ...]]:
    """The slices without copies of others, in their order, and a note of how many were left out.

    A copy lies within 0.01 mm of the other and has the same values. Pixels are read only where positions agree, and
    with `same_uid` only where SOPInstanceUID and frame agree too. What cannot be read is no copy.
    """
    places: dict[tuple[object, ...], list[Slice]] = defaultdict(list)
    for image in slices:
        place = tuple(round(coordinate, 2) for coordinate in image.position)
        places[(*place, image.uid, image.frame) if same_uid else place].append(image)
    crowded = [image for group in places.values() if len(group) > 1 for image in group]
    if not crowded:
        return tuple(slices), ()
    digests = _digests(crowded)
    copies = set()
    for group in places.values():
        seen: set[str] = set()
        for image in group if len(group) > 1 else ():
            digest = digests.get((image.path, image.frame), "")
            if digest and digest in seen:
                copies.add((image.path, image.frame))
            seen.add(digest)
    if not copies:
        return tuple(slices), ()
    what = "file is a copy of another and was" if len(copies) == 1 else "files are copies of others and were"
    return tuple(s for s in slices if (s.path, s.frame) not in copies), (f"{len(copies)} {what} left out",)


def _digests(slices: Iterable[Slice]) -> dict[tuple[Path, int], str]:
    """A digest of the values of each slice; none of one whose pixels cannot be read."""
    from .dicom_pixels import stored_frames

    by_path = defaultdict(list)
    for image in slices:
        by_path[image.path].append(image)
    digests = {}
    for path, images in by_path.items():
        try:
            frames = stored_frames(path)
        except ScanError:
            continue  # said when the series is read
        for image in images:
            if image.frame < len(frames):
                digest = hashlib.blake2b(frames[image.frame].tobytes(), digest_size=16).hexdigest()
                digests[path, image.frame] = f"{digest} {image.slope} {image.intercept}"
    return digests
