"""What the values of public vertebra label maps mean: VerSe's, TotalSegmentator's, or those of a JSON file."""

from __future__ import annotations

import json
from pathlib import Path

from medinfer.errors import MedInferError

from ..phantoms.spine.spec import LEVELS

SCHEMES: dict[str, dict[int, str]] = {
    # Sekuboyina et al., MedIA 73 (2021) 102166: 1-24 C1 … L5, 25 L6, 26 sacrum, 27 coccyx, 28 T13.
    "verse": dict(enumerate([*LEVELS[:24], "L6"], start=1)) | {28: "T13"},
    # TotalSegmentator version 2, task "total": 26 S1, 27 L5 … 50 C1; 25, the rest of the sacrum, is no vertebra.
    "totalsegmentator": dict(enumerate(reversed(LEVELS), start=26)),
}


def read_names(scheme: str) -> dict[int, str]:
    """Names by label value: of a known scheme, or of a JSON file like {"20": "L1", "21": "L2"}.

    Raises MedInferError for anything else.
    """
    if scheme in SCHEMES:
        return SCHEMES[scheme]
    known = " or ".join(SCHEMES)
    try:
        names = json.loads(Path(scheme).read_text(encoding="utf-8"))
        return {int(value): str(name) for value, name in names.items()}
    except FileNotFoundError:
        raise MedInferError(f"Unknown label names {scheme!r}: give {known}, or a JSON file.") from None
    except (OSError, ValueError, AttributeError) as error:
        raise MedInferError(
            f'{scheme} contains no label names ({error}): it needs a JSON object like {{"20": "L1"}}; or give {known}.'
        ) from error
