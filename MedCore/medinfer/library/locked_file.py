"""A network file that can be read only with its key: AES-256 in Galois/counter mode, by `cryptography`.

The file: eight bytes that say what it is, eight that tell the key (of its SHA-256), twelve that are used once, sixteen
that show any change, and the network. What is not the network is covered by those sixteen as well, as is the file's
name in its package. A network is opened from memory, so it is locked and unlocked as a whole.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from typing import Any

from ..errors import PackageError

_MAGIC = b"MEDLOCK1"
_KEY, _TELLING, _NONCE, _TAG = 32, 8, 12, 16
_HEAD = len(_MAGIC) + _TELLING + _NONCE + _TAG


def new_key() -> str:
    """A key nobody has, as the text of a key file."""
    return base64.b64encode(secrets.token_bytes(_KEY)).decode("ascii")


def key_of(text: str, source: str) -> bytes:
    """The key that the text of a key file says. source: where it is from, for the error. Raises PackageError."""
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _KEY:
        raise PackageError(f"{source} holds no key of MedInfer (44 characters): give the one that the model came with.")
    return key


def is_locked(content: bytes) -> bool:
    """Whether these are the bytes of a locked file."""
    return content.startswith(_MAGIC)


def locked(content: bytes, key: bytes, name: str) -> bytes:
    """The bytes of a locked file. name: of the file in its package. Raises PackageError without `cryptography`."""
    nonce = secrets.token_bytes(_NONCE)
    told = _MAGIC + _telling(key)
    encryptor = _cipher(key, nonce, None).encryptor()
    encryptor.authenticate_additional_data(told + name.encode())
    hidden = encryptor.update(content) + encryptor.finalize()
    return b"".join([told, nonce, encryptor.tag, hidden])


def unlocked(content: bytes, key: bytes, name: str) -> bytes:
    """The network in a locked file. Raises PackageError for another key, and for any byte that changed."""
    if not is_locked(content) or len(content) < _HEAD:
        raise PackageError(f"{name} is not a locked network, or it is cut short: reinstall the package.")
    told, rest = content[: len(_MAGIC) + _TELLING], content[len(_MAGIC) + _TELLING :]
    if told[len(_MAGIC) :] != _telling(key):
        raise PackageError(f"{name} is locked with another key: give the one that the model came with.")
    nonce, tag, hidden = rest[:_NONCE], rest[_NONCE : _NONCE + _TAG], rest[_NONCE + _TAG :]
    decryptor = _cipher(key, nonce, tag).decryptor()
    from cryptography.exceptions import InvalidTag

    decryptor.authenticate_additional_data(told + name.encode())
    plain: bytes = decryptor.update(hidden)
    try:
        decryptor.finalize()
    except InvalidTag:
        raise PackageError(f"{name} was changed after it was locked: do not use it; reinstall the package.") from None
    return plain


def _telling(key: bytes) -> bytes:
    return hashlib.sha256(b"medinfer key" + key).digest()[:_TELLING]


def _cipher(key: bytes, nonce: bytes, tag: bytes | None) -> Any:
    try:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    except ImportError:
        raise PackageError("Locked models need cryptography: pip install 'medinfer[locked]'.") from None
    return Cipher(algorithms.AES256(key), modes.GCM(nonce, tag))
