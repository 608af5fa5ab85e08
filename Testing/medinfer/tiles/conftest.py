"""Random tilings, for the tests of cutting and of joining."""

import pytest
from hypothesis import strategies as st

from medinfer.tiles.tiling import plan_crop


@st.composite
def _axis(draw):
    """One axis: its length, patch, margins, stride and multiple, all as a network could have them."""
    stride, multiple = draw(st.sampled_from([1, 2, 4])), draw(st.sampled_from([1, 2, 4, 8]))
    step = max(stride, multiple)
    before, after = (stride * draw(st.integers(0, 8 // stride)) for _ in range(2))
    patch = -(-(before + after) // step) * step + step * draw(st.integers(1, 4))
    return draw(st.integers(1, 40)), patch, (before, after), stride, multiple


@st.composite
def _options(draw, border=None):
    shape, patch, margin, stride, multiple = zip(*(draw(_axis()) for _ in range(3)), strict=True)
    border = border or draw(st.sampled_from(["inside", "padded"]))
    return shape, {"patch": patch, "margin": margin, "stride": stride, "multiple": multiple, "border": border}


@st.composite
def _plans(draw, border=None):
    shape, options = draw(_options(border))
    return plan_crop(shape, **options, fit=draw(st.booleans()))


@pytest.fixture(scope="session")
def crop_options():
    """A strategy of (volume shape, `plan_crop`'s options but `fit`)."""
    return _options


@pytest.fixture(scope="session")
def crop_plans():
    """A strategy of crop plans; takes the kind of border, or both."""
    return _plans
