"""DICOM files with elements of a value representation that no standard knows, which pydicom takes for the file's end.

DICOM PS3.5, 7.1.2 and 6.2: what is not in the table is laid out as UN is, with a length of 32 bits after two zeros.
"""

from __future__ import annotations

import io
from pathlib import Path

_SHORT = set(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())  # a length of 16 bits
_LONG = set(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_PIXELS = 0x7FE0
_UNDEFINED = 0xFFFFFFFF
_END_OF_SEQUENCE = b"\xfe\xff\xdd\xe0\0\0\0\0"


def with_known_kinds(path: Path) -> io.BytesIO | None:
    """The file (explicit, little endian) with each unknown kind at its top level called UN, or LO where its length has
    16 bits; None where there is none, or where it is not such a file."""
    whole = bytearray(path.read_bytes())
    at = 132 if whole[128:132] == b"DICM" else 0
    found = False
    last = 0
    while at + 12 <= len(whole):
        group, tag = int.from_bytes(whole[at:at + 2], "little"), int.from_bytes(whole[at + 2:at + 4], "little")
        kind = bytes(whole[at + 4:at + 6])
        if (group << 16 | tag) < last or group > _PIXELS:
            return None
        last = group << 16 | tag
        if group == _PIXELS:
            break
        long = kind in _LONG
        if not long and kind not in _SHORT:
            long, found = not any(whole[at + 6:at + 8]), True
            whole[at + 4:at + 6] = b"UN" if long else b"LO"
        length = int.from_bytes(whole[at + 8:at + 12] if long else whole[at + 6:at + 8], "little")
        at = _end_of_sequence(whole, at, last) if long and length == _UNDEFINED else at + (12 if long else 8) + length
    return io.BytesIO(whole) if found else None


def _end_of_sequence(whole: bytearray, at: int, tag: int) -> int:
    """Where the element behind a sequence without a length begins: behind the delimiter that a later tag follows."""
    while True:
        at = whole.find(_END_OF_SEQUENCE, at)
        if at < 0:
            return len(whole)
        at += len(_END_OF_SEQUENCE)
        group, element = int.from_bytes(whole[at:at + 2], "little"), int.from_bytes(whole[at + 2:at + 4], "little")
        if tag < group << 16 | element <= 0x7FE00010:
            return at
