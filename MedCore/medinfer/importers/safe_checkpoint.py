"""Opening what PyTorch saved without running anything that is in it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import PackageError

_KINDS = ("f4", "f8", "i1", "i4", "i8", "u1", "?")


def open_safely(path: Path, named: str, advice: str, known: Sequence[Any] = ()) -> Any:
    """The file's tensors, numbers and words (`weights_only`); needs torch.

    named: the file in the error, which ends with `advice`. known: the further types that may be in it. Raises
    PackageError for a file with anything else, of which nothing was run, and OSError.
    """
    import torch

    try:
        with torch.serialization.safe_globals(list(known)), warnings.catch_warnings():
            # It says that `encoding` has no effect here, but it has.
            warnings.filterwarnings("ignore", "pickle_load_args only works")
            # Python 2 saved texts as bytes, of any code page; in this one every byte is a letter.
            return torch.load(path, map_location="cpu", weights_only=True, encoding="latin-1")
    except OSError:
        raise
    except Exception as error:
        # Around its reason torch says how the file might be opened without care.
        _, _, reason = str(error).rpartition("WeightsUnpickler error: ")
        why = reason.strip().splitlines()[0].partition(". ")[0][:160] if reason.strip() else type(error).__name__
        raise PackageError(f"{named} cannot be opened safely ({why}): nothing in it was run; {advice}.") from None


def numpy_numbers() -> list[Any]:
    """The types of single numbers of numpy."""
    # The function by which pickles build a number; its home moved with numpy 2.
    return [np.dtype, *{type(np.dtype(kind)) for kind in _KINDS}, np.float64(0).__reduce__()[0]]


def numpy_arrays() -> list[Any]:
    """The types of arrays of numpy, by both names of what builds them."""
    rebuild = np.zeros(0).__reduce__()[0]
    named = [(rebuild, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")]
    return [*numpy_numbers(), np.ndarray, *named]
