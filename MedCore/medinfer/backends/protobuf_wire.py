"""The wire format of Protocol Buffers, as far as a file can be taken apart and put together without its schema.

A message is a row of entries: a key (number · 8 + wire type), then a number, eight or four bytes, or a length and so
many bytes (text, bytes, or a message inside).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5
_MOST_DIGITS = 10  # of seven bits each, in a number of 64 bits


@dataclass(frozen=True, eq=False)
class Entry:
    """number: of the field. wire: its type. whole: the entry with its key. value: the bytes of a field of bytes.
    digits: the value of a number."""

    number: int
    wire: int
    whole: memoryview
    value: memoryview
    digits: int = 0


def entries(message: memoryview) -> Iterator[Entry]:
    """The entries of a message in their order. Raises ValueError where the bytes are not one, or end too early."""
    at = 0
    while at < len(message):
        begin = at
        key, at = _number(message, at)
        number, wire = key >> 3, key & 7
        digits, start = 0, at
        if wire == VARINT:
            digits, at = _number(message, at)
        elif wire == BYTES:
            size, start = _number(message, at)
            at = start + size
        elif wire in (EIGHT_BYTES, FOUR_BYTES):
            at += 8 if wire == EIGHT_BYTES else 4
        else:
            raise ValueError(f"an entry of the unknown type {wire}")
        if at > len(message) or number == 0:
            raise ValueError("it is cut short or damaged")
        yield Entry(number, wire, message[begin:at], message[start:at], digits)


def head_of(number: int, size: int) -> bytes:
    """What stands before the `size` bytes of the field `number`."""
    return _as_varint(number << 3 | BYTES) + _as_varint(size)


def _number(message: memoryview, at: int) -> tuple[int, int]:
    """The number that begins at `at`, and where it ends."""
    value = 0
    for digit in range(_MOST_DIGITS):
        if at + digit >= len(message):
            raise ValueError("it is cut short")
        byte = message[at + digit]
        value |= (byte & 0x7F) << 7 * digit
        if byte < 0x80:
            return value, at + digit + 1
    raise ValueError("a number in it is too long")


def _as_varint(value: int) -> bytes:
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    digits.append(value)
    return bytes(digits)
