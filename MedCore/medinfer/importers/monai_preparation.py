"""MONAI's transforms before the network, as a package's `prepare`.

Each known transform stands in a table with the function that translates it; one that is not there ends the import.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import PackageError
from .monai_config import Component, Config, listed

_AXES = ("RL", "AP", "SI")
_RAS = [["L", "R"], ["P", "A"], ["I", "S"]]
# Arguments that all transforms of dictionaries have.
_COMMON = ("keys", "allow_missing_keys", "lazy", "meta_keys", "meta_key_postfix")


@dataclass
class Prepared:
    """What the transforms up to here have done to the image `key`. channels: how many images are loaded as one.
    spacing: along x, y, z. early: steps on the values before it, of `intensity`. cropped: to what is above 0."""

    key: str = "image"
    channels: int = 1
    orientation: str | None = None
    spacing: list[float | None] | None = None
    intensity: list[dict[str, Any]] = field(default_factory=list)
    early: int = 0
    cropped: bool = False


Translate = Callable[[Component, Prepared], None]


def transforms(config: Config, what: str, *places: str) -> list[Component]:
    """The transforms of a Compose, or a list, at the first of these places. Raises PackageError."""
    found = config.part(*places)
    if found is None:
        raise PackageError(f"{config.file} has no {places[0]}: it does not say {what}.")
    value, where = config.followed(*found)
    if isinstance(value, Mapping):
        compose = config.component(value, where)
        if compose.name != "Compose":
            raise PackageError(f"{compose.said} is not known here: only a Compose of transforms is.")
        compose.ignore("map_items", "unpack_items", "log_stats", "lazy", "overrides")
        value, where = compose.arguments.get("transforms", []), f"{where}::transforms"
        compose.ignore("transforms")
        compose.done()
    return config.entries(value, where)


def concerns(step: Component, key: str) -> bool:
    """Whether the transform is one of the data `key` at all."""
    keys = step.take("keys", key)
    return key in (keys if isinstance(keys, list) else [keys])


def of_key(step: Component, name: str, key: str, default: Any = None) -> Any:
    """An argument that may be given once for all keys, or in a list of one for each."""
    value, keys = step.take(name, default), step.take("keys", key)
    if isinstance(value, list):
        at = keys.index(key) if isinstance(keys, list) else 0
        value = value[at] if at < len(value) else default
    return value


def preparation(config: Config, channels: int = 1) -> dict[str, Any]:
    """`prepare` of the package, but for the modality. channels: images of one patient that are loaded as one. Raises
    PackageError for what cannot be repeated."""
    done = Prepared(channels=channels)
    for step in transforms(config, "how scans are prepared", "preprocessing", "dataset::transform"):
        if step.name in ("LoadImaged", "LoadImage"):
            keys = step.take("keys", done.key)
            done.key = str((keys if isinstance(keys, list) and keys else [keys])[0])
        translate = _KNOWN.get(step.name)
        if translate is None:
            raise PackageError(
                f"{config.file} prepares scans with {step.name} ({step.where}), which is not known here; known are "
                f"{listed(sorted(_KNOWN))}."
            )
        if concerns(step, done.key):
            step.ignore(*_COMMON)
            translate(step, done)
            step.done()
    return {
        # As MONAI does: whatever is stored is taken.
        "hounsfield": False, "orientation": done.orientation, "axes": "xyz",
        "spacing": done.spacing and done.spacing[::-1],
        "resampling": {"align": "monai"}, "region": {"kind": "positive" if done.cropped else "whole"},
        "intensity": done.intensity, "intensity_on": "scan" if done.early else "prepared",
        "minimum_mm": [0.1, 0.1, 0.1],
    }


def _nothing(*arguments: str) -> Translate:
    """Of a transform that changes neither voxels nor their places."""

    def translate(step: Component, done: Prepared) -> None:
        step.ignore(*arguments)

    return translate


def _orientation(step: Component, done: Prepared) -> None:
    if done.spacing is not None or done.cropped:
        raise PackageError(f"{step.said} comes after Spacingd or CropForegroundd, which is not supported.")
    step.only("labels", None, _RAS)
    canonical = step.take("as_closest_canonical", False)
    code = "RAS" if canonical else step.take("axcodes")
    code = "".join(code) if isinstance(code, list) else code
    if not isinstance(code, str) or len(code) != 3 or any(sum(one in axis for one in code) != 1 for axis in _AXES):
        raise PackageError(f"{step.said} has axcodes = {code}, which names no three axes: correct the bundle.")
    done.orientation = code


def _spacing(step: Component, done: Prepared) -> None:
    if done.spacing is not None or done.cropped:
        why = "comes a second time" if done.spacing is not None else "comes after CropForegroundd"
        raise PackageError(f"{step.said} {why}, which is not supported.")
    # What only scales is the same before and after.
    if any(entry["op"] != "scale" for entry in done.intensity):
        done.early = len(done.intensity)
    mode = of_key(step, "mode", done.key, "bilinear")
    if mode not in ("bilinear", 1):
        raise PackageError(f"{step.said} has mode = {mode}, and only bilinear is known here.")
    border = of_key(step, "padding_mode", done.key, "border")
    if border != "border":
        raise PackageError(f"{step.said} has padding_mode = {border}, and only border is known here.")
    for name in ("diagonal", "scale_extent", "recompute_affine"):
        if of_key(step, name, done.key, False):
            raise PackageError(f"{step.said} has {name} = true, and only false is known here.")
    step.only("min_pixdim", None)
    step.only("max_pixdim", None)
    step.ignore("align_corners", "dtype", "ensure_same_shape")
    done.spacing = [value if value > 0 else None for value in step.numbers("pixdim", 3)]


def _valued(step: Component, done: Prepared, *steps: dict[str, Any]) -> None:
    """Add steps on the values. Raises PackageError where they cannot come here."""
    changing = [entry["op"] for entry in steps if entry["op"] not in ("scale", "clip")]
    if changing and done.cropped:
        raise PackageError(f"{step.said} comes after CropForegroundd, which is not supported.")
    if done.early and steps and done.spacing is not None:
        raise PackageError(f"{step.said} comes after Spacingd, and others before it, which is not supported.")
    done.intensity += steps


def _each_alone(step: Component, done: Prepared) -> None:
    """Raises PackageError where the values of several images are counted together."""
    if not step.take("channel_wise", False) and done.channels > 1:
        raise PackageError(f"{step.said} has channel_wise = false for {done.channels} images, which is not supported.")


def _foreground(step: Component, done: Prepared) -> None:
    """CropForegroundd."""
    step.only("source_key", None, done.key)
    for name, usual in (("margin", 0), ("k_divisible", 1)):
        step.only(name, usual, [usual] * 3, default=usual)
    step.only("channel_indices", None)
    if "select_fn" in step.arguments:
        raise PackageError(f"{step.said} has a select_fn, which is not known here.")
    step.ignore("allow_smaller", "mode", "start_coord_key", "end_coord_key")
    done.cropped = True


def _between(step: Component, done: Prepared) -> None:
    """ScaleIntensityRanged."""
    step.ignore("dtype")
    low, high = step.number("a_min"), step.number("a_max")
    to_low, to_high = step.number("b_min"), step.number("b_max")
    if low is None or high is None or not low < high or (to_low is None) != (to_high is None):
        raise PackageError(f"{step.said} has no range from a_min to a_max, or only one end of b_min to b_max.")
    clipped = step.take("clip", False)
    if to_low is None or to_high is None:
        to_low, to_high, clipped = 0.0, 1.0, False
    if not to_low < to_high:
        raise PackageError(f"{step.said} has a b_min that is not below its b_max, which is not supported.")
    limits = [{"op": "clip", "low": low, "high": high}] if clipped else []
    _valued(step, done, *limits, *_onto(low, high, to_low, to_high))


def _onto(low: float, high: float, to_low: float, to_high: float) -> list[dict[str, Any]]:
    """The step by which [low, high] becomes [to_low, to_high]; none where that is the same."""
    divide = (high - low) / (to_high - to_low)
    if (low, divide, to_low) == (0, 1, 0):
        return []
    return [{"op": "scale", "subtract": low - to_low * divide, "divide": divide}]


def _range(step: Component, done: Prepared) -> None:
    """ScaleIntensityd: the lowest and the highest value of the image."""
    step.only("factor", None)
    step.ignore("dtype")
    _each_alone(step, done)
    low, high = step.number("minv", 0.0), step.number("maxv", 1.0)
    if low is None or high is None or not low < high:
        raise PackageError(f"{step.said} has a minv that is not below its maxv, which is not supported.")
    _valued(step, done, {"op": "range"}, *_onto(0.0, 1.0, low, high))


def _standardised(step: Component, done: Prepared) -> None:
    """NormalizeIntensityd."""
    step.ignore("dtype")
    _each_alone(step, done)
    given = [step.take(name) for name in ("subtrahend", "divisor")]
    alone = step.take("nonzero", False)
    if given == [None, None]:
        _valued(step, done, {"op": "zscore", "of": "nonzero_alone" if alone else "all"})
        return
    if alone or None in given or any(isinstance(value, list) and len(value) > 1 for value in given):
        raise PackageError(
            f"{step.said} has a subtrahend or a divisor alone, for each image another, or together with nonzero, which "
            "is not supported."
        )
    (subtract,), (divide,) = step.numbers("subtrahend", 1), step.numbers("divisor", 1)
    _valued(step, done, {"op": "scale", "subtract": subtract, "divide": divide or 1.0})


_READING = (
    "reader", "dtype", "ensure_channel_first", "image_only", "simple_keys", "overwriting", "prune_meta_pattern",
    "prune_meta_sep", "expanduser",
)
_KNOWN: Mapping[str, Translate] = {
    "LoadImaged": _nothing(*_READING),
    "EnsureChannelFirstd": _nothing("strict_check", "channel_dim"),
    "AddChanneld": _nothing(),
    "EnsureTyped": _nothing("data_type", "dtype", "device", "wrap_sequence", "track_meta"),
    "ToTensord": _nothing("dtype", "device", "wrap_sequence", "track_meta"),
    "CastToTyped": _nothing("dtype"),
    "Orientationd": _orientation,
    "Spacingd": _spacing,
    "ScaleIntensityRanged": _between,
    "ScaleIntensityd": _range,
    "NormalizeIntensityd": _standardised,
    "CropForegroundd": _foreground,
}
