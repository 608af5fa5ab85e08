"""Every kind of bad input and every fault, tried; a table of what was expected and what happened.

    python Testing/campaign/campaign.py              all of them, about a minute
    python Testing/campaign/campaign.py zip FIFO     those whose name holds one of these words

The exit code is 1 if anything is not as expected.
"""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

TESTING = Path(__file__).resolve().parents[1]
_PATHS = [TESTING.parent / "MedCore", TESTING.parent / "Training", TESTING]
# Its own folder goes: there, `campaign` is this file and not the package.
sys.path[:] = [*map(str, _PATHS), *(path for path in sys.path if Path(path).resolve() != Path(__file__).parent)]

from campaign.faults import Fault  # noqa: E402
from campaign.kinds import Kind  # noqa: E402
from campaign.tables import FAULTS, KINDS  # noqa: E402
from campaign.trying import try_kind  # noqa: E402

_WIDTHS = {"name": 44, "expected": 54, "happened": 88}


def main(words: Sequence[str]) -> int:
    chosen = [one for one in (*KINDS, *FAULTS) if not words or any(word in one.name for word in words)]
    print(_line("", "what", "expected", "what happened", ""))
    wrong = 0
    for number, one in enumerate(chosen, start=1):
        happened, problems = _tried(one)
        wrong += bool(problems)
        print(_line(str(number), one.name, _expected(one), happened, "NOT" if problems else "ok"), flush=True)
        for problem in problems:
            print(f"     {problem}")
    kinds = sum(isinstance(one, Kind) for one in chosen)
    print(f"{kinds} kinds of bad input and {len(chosen) - kinds} faults; {wrong} not as expected")
    return 1 if wrong else 0


def _tried(one: Kind | Fault) -> tuple[str, Sequence[str]]:
    with tempfile.TemporaryDirectory(prefix="medinfer-campaign-") as name:
        os.environ["MEDINFER_LIBRARY"] = f"{name}/library"
        try:
            if isinstance(one, Kind):
                outcome = try_kind(one, Path(name))
                return outcome.happened.replace(name, ""), [text.replace(name, "") for text in outcome.problems]
            return one.strike(Path(name)).replace(name, ""), ()
        except Exception:  # whatever it is, the others are tried
            return "it could not be tried", traceback.format_exc().splitlines()[-8:]


def _expected(one: Kind | Fault) -> str:
    return one.expected if isinstance(one, Fault) else "; ".join(_parts(one))


def _parts(kind: Kind) -> Iterator[str]:
    yield f"exit {kind.code}"
    yield from (f"{len(kind.found)} {'result' if len(kind.found) == 1 else 'results'}" for _ in [0] if kind.found)
    yield from (f"/{pattern}/" for pattern in (*kind.says, *kind.notes))


def _line(number: str, name: str, expected: str, happened: str, verdict: str) -> str:
    cells = {"name": name, "expected": expected, "happened": happened}
    return "  ".join([f"{number:>3}", *(_cut(text, _WIDTHS[cell]) for cell, text in cells.items()), verdict])


def _cut(text: str, width: int) -> str:
    shown = text.encode("utf-8", "backslashreplace").decode()
    return f"{shown if len(shown) <= width else shown[: width - 1] + '…':<{width}}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
