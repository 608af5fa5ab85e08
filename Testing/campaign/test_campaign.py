"""The campaign's kinds of bad input and faults, each as a test; `campaign.py` prints them as a table."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from campaign.faults import Fault
from campaign.kinds import Kind
from campaign.tables import FAULTS, KINDS
from campaign.trying import try_kind

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links, FIFOs, signals and users of POSIX")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_bad_input_gives_what_is_expected_and_says_it(kind: Kind, tmp_path: Path) -> None:
    outcome = try_kind(kind, tmp_path)
    assert not outcome.problems, f"{outcome.happened}: {outcome.problems}"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_leaves_nothing_half_written_and_the_next_run_completes(fault: Fault, tmp_path: Path) -> None:
    fault.strike(tmp_path)


def test_the_campaign_is_as_broad_as_it_was_asked_to_be() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS) >= 60
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 12
