"""How far a run is: from what a worker tells, on a clock of the test's own."""

from __future__ import annotations

from typing import Any

import pytest

from medslicer.jobs.course import HANDING_OVER, Course, words_for


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def progress(stage: str, done: int = 0, total: int = 1) -> dict[str, Any]:
    return {"event": "progress", "scan": "CT", "stage": stage, "done": done, "total": total}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def course(clock: Clock) -> Course:
    return Course(clock)


STEPS = {"event": "steps", "steps": [
    *({"name": f"{name} {step}", "weight": weight}
      for name in ("centroids", "teeth", "naming") for step, weight in (("prepare", 3), ("network", 15))),
    {"name": "teeth borders", "weight": 1}, {"name": "measures", "weight": 0.3},
]}


def test_it_goes_from_nothing_to_nearly_all_and_never_back(course: Course) -> None:
    told = [progress("read"), STEPS, progress("open")]
    for name in ("centroids", "teeth", "naming"):
        told += [progress(f"{name} prepare"), *(progress(f"{name} network", done, 4) for done in range(5))]
    told += [progress("teeth borders"), progress("measures"), progress("write"), progress("write", 1, 1)]
    course.at(HANDING_OVER, 0, 1)
    shares = [course.share]
    for event in told:
        course.told(event)
        shares.append(course.share)
    assert shares[0] == 0
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1)


def test_of_several_passes_it_says_which_is_at_work(course: Course) -> None:
    course.told(STEPS)
    assert course.part == (0, 0)
    course.told(progress("teeth network", 1, 2))
    assert course.part == (2, 3)
    course.told(progress("teeth borders"))
    assert course.part == (0, 0)


def test_a_pass_that_is_done_twice_does_not_go_back(course: Course) -> None:
    """As where a scan is looked at upside down as well."""
    course.told(progress("network", 8, 8))
    share = course.share
    course.told(progress("network", 0, 8))
    assert course.share == share


def test_the_time_left_follows_the_pace_of_the_tiles(course: Course, clock: Clock) -> None:
    course.told(progress("network", 0, 10))
    assert course.seconds_left is None
    for done in range(1, 10):
        clock.now = 6.0 * done
        course.told(progress("network", done, 10))
        # A little comes after the network: a tenth of it at most.
        assert 6.0 * (10 - done) <= course.seconds_left <= 6.0 * (10 - done) + 6
    clock.now += 2
    assert course.seconds_left <= 10
    clock.now += 1000
    assert course.seconds_left == 0


def test_a_pace_of_a_moment_says_nothing(course: Course, clock: Clock) -> None:
    course.told(progress("network", 0, 100))
    clock.now = 0.1
    course.told(progress("network", 1, 100))
    assert course.seconds_left is None


def test_what_it_does_not_know_changes_nothing(course: Course) -> None:
    course.told({"event": "message", "text": "hello"})
    course.told(progress("polishing", 1, 2))
    assert (course.stage, course.share) == ("polishing", 0)
    course.told(progress("network", 0, 0))
    assert 0 < course.share < 1


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ("read", "Starting"), ("coarse prepare", "Preparing the scan"), ("network", "Searching"),
        ("naming names", "Naming the findings"), ("the two of them network", "Searching"),
        ("polishing", "Polishing"),
    ],
)
def test_stages_are_words_for_a_user(stage: str, words: str) -> None:
    assert words_for(stage) == words
