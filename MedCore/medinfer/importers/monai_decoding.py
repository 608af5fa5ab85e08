"""MONAI's inferer and the transforms behind the network, as a package's `tiling` and `decoder`.

What an inverted transform is applied to decides the labels: logits, probabilities or labels, linearly or by the nearest
voxel. So the transforms are followed one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ..errors import PackageError
from .monai_config import Component, Config, listed
from .monai_expression import channel_values
from .monai_preparation import concerns, of_key, transforms

_COMMON = ("keys", "allow_missing_keys", "meta_keys", "meta_key_postfix")
_INFERERS = ("SlidingWindowInferer", "SlidingWindowInfererAdapt")


def inferer(config: Config) -> dict[str, Any]:
    """`tiling` of the package. Raises PackageError for what cannot be repeated."""
    found = config.part("inferer", "evaluator::inferer")
    if found is None:
        raise PackageError(f"{config.file} has no inferer: it does not say how the network sees a scan.")
    step = config.component(*found)
    if step.name == "SimpleInferer":
        raise PackageError(
            f"{step.said} gives the network the whole scan at once, which is not supported: use a SlidingWindowInferer "
            "with a roi_size."
        )
    if step.name not in _INFERERS:
        raise PackageError(f"{step.said} is not known here: only {listed(_INFERERS)} are.")
    step.ignore(
        "sw_batch_size", "sw_device", "device", "progress", "cache_roi_weight_map", "cpu_thresh", "buffer_steps",
        "buffer_dim",
    )
    step.only("with_coord", False, default=False)
    step.only("sigma_scale", 0.125, [0.125] * 3, default=0.125)
    step.only("mode", "constant", "gaussian", default="constant")
    step.only("padding_mode", "constant", "replicate", "reflect", default="constant")
    padding, value = _PADDING.get(str(step.take("padding_mode"))), step.number("cval", 0.0)
    tiling = {
        "join": "blend", "patch": _patch(step), "overlap": _overlap(step), "spread": "last",
        "weights": step.take("mode", "constant"), "pad": padding or value,
    }
    step.done()
    return tiling


_PADDING = {"replicate": "edge", "reflect": "reflect"}


def _patch(step: Component) -> list[int]:
    """Along k, j, i."""
    given = step.take("roi_size")
    if isinstance(given, list) and len(given) != 3:
        raise PackageError(f"{step.said} has a roi_size of {len(given)} sides: only networks of volumes are supported.")
    sides = step.numbers("roi_size", 3)
    if any(side < 1 or side != int(side) for side in sides):
        raise PackageError(f"{step.said} has the roi_size {given}: each side must be a number of voxels, 1 or more.")
    return [int(side) for side in reversed(sides)]


def _overlap(step: Component) -> float:
    if "overlap" not in step.arguments:
        step.ignore("overlap")
        return 0.25
    overlaps = step.numbers("overlap", 3)
    if len(set(overlaps)) > 1 or not 0 <= overlaps[0] < 1:
        raise PackageError(f"{step.said} has the overlap {overlaps}: only one from 0 to below 1 is known here.")
    return overlaps[0]


@dataclass
class Answer:
    """What the transforms behind the network have made of its output.

    values: what it is now. inverted: what was brought to the scan's voxels, or nothing yet; nearest: by the nearest
    voxel. chosen: how labels were decided. cleaned: the decoder's fields for what is done to labels. applied: the
    labels that this was asked for; None for all. numbered: the value of each channel's label, where these are made one
    label map: the first wins over all others.
    """

    values: Literal["logits", "probabilities", "labels"] = "logits"
    activation: Literal["none", "sigmoid", "softmax"] = "none"
    inverted: Literal["logits", "probabilities", "labels"] | None = None
    nearest: bool = False
    chosen: Literal["highest", "threshold"] | None = None
    threshold: float = 0.5
    largest: bool = False
    filled: bool = False
    applied: Sequence[int] | None = None
    numbered: Mapping[int, int] = field(default_factory=dict)


Follow = Callable[[Component, Answer], None]


def answer(config: Config, key: str = "pred") -> Answer:
    """What becomes of the network's output `key`. Raises PackageError for what cannot be repeated."""
    done = Answer()
    for step in transforms(config, "how the answer becomes labels", "postprocessing", "evaluator::postprocessing"):
        follow = _KNOWN.get(step.name)
        if follow is None:
            raise PackageError(
                f"{config.file} works on the answer with {step.name} ({step.where}), which is not known here; known "
                f"are {listed(sorted(_KNOWN))}."
            )
        if concerns(step, key):
            step.ignore(*_COMMON)
            follow(step, done)
            step.done()
    if done.chosen is None:
        raise PackageError(f"{config.file} decides no labels (no AsDiscreted with argmax or threshold).")
    return done


def decoder(config: Config, done: Answer, channels: int, *, respaced: bool) -> dict[str, Any]:
    """`decoder` of the package. respaced: whether the network sees other voxels than the scan's.

    Raises PackageError for what cannot be repeated with that many channels.
    """
    activation, decide = done.activation, "nearest" if done.nearest else done.inverted or "nearest"
    why = ""
    if done.chosen == "highest":
        if channels == 1:
            why = "takes the highest of one channel, which is always the same"
        elif activation == "sigmoid" and decide == "probabilities":
            why = "interpolates sigmoids and takes the highest"
        # Neither a sigmoid nor nothing at all changes which is highest.
        activation = "softmax"
    elif activation != "sigmoid":
        why = "compares values with a threshold that no sigmoid made probabilities"
    if (done.largest or done.filled) and done.chosen == "threshold" and channels > 1:
        why = why or "cleans labels that overlap"
    if (done.largest or done.filled) and done.inverted is None and respaced:
        why = why or "cleans labels before they are on the scan's voxels"
    if done.filled and channels > 2:
        why = why or "fills holes over other labels"
    if done.numbered and sorted(done.numbered) != list(range(channels)):
        why = why or "leaves some channels without a label"
    labels = range(1, channels) if done.chosen == "highest" else range(1, channels + 1)
    if done.applied is not None and set(done.applied) - {0} != set(labels):
        why = why or "cleans some labels and leaves others"
    if why:
        raise PackageError(f"{config.file} cannot become a model: its postprocessing {why}, which is not supported.")
    # A sigmoid for each label: each keeps all of its voxels.
    apart = done.chosen == "threshold" and channels > 1 and not done.numbered
    overlapping = {"overlap": True} if apart else {}
    return {
        "kind": "segments", "activation": activation, "threshold": done.threshold, "decide": decide,
        "largest_component": done.largest, "fill_holes": done.filled, **overlapping,
    }


def _activations(step: Component, done: Answer) -> None:
    step.only("other", None)
    step.only("kernel_size", None)
    asked = [name for name in ("softmax", "sigmoid") if of_key(step, name, "pred", False)]
    step.ignore("softmax", "sigmoid", "dim")
    if len(asked) != 1 or done.values != "logits":
        raise PackageError(f"{step.said} is not one softmax or sigmoid of the network's answer: only that is known.")
    done.activation = "softmax" if asked == ["softmax"] else "sigmoid"
    done.values = "probabilities"


def _inverted(step: Component, done: Answer) -> None:
    step.ignore("transform", "orig_keys", "orig_meta_keys", "to_tensor", "device")
    step.only("post_func", None)
    nearest = bool(of_key(step, "nearest_interp", "pred", True))
    if done.inverted is not None or (done.values == "labels" and not nearest):
        why = "inverts a second time" if done.inverted else "interpolates labels between their numbers"
        raise PackageError(f"{step.said} {why}, which is not supported.")
    done.inverted, done.nearest = done.values, nearest


def _discrete(step: Component, done: Answer) -> None:
    step.ignore("rounding", "to_onehot", "keepdim", "dtype")
    step.only("dim", 0, default=0)
    highest, threshold = of_key(step, "argmax", "pred", False), of_key(step, "threshold", "pred")
    if done.chosen is not None:
        if highest or threshold is not None:
            raise PackageError(f"{step.said} decides labels a second time, which is not supported.")
        return
    if highest:
        done.chosen = "highest"
    elif threshold is not None:
        done.chosen = "threshold"
        (done.threshold,) = step.numbers("threshold", 1)
        if not 0 < done.threshold < 1:
            raise PackageError(f"{step.said} has threshold = {threshold}: only one between 0 and 1 is known here.")
    done.values = "labels" if done.chosen else done.values


def _largest(step: Component, done: Answer) -> None:
    step.ignore("is_onehot")
    step.only("independent", True, default=True)
    step.only("connectivity", None, 3)
    step.only("num_components", 1, default=1)
    if done.filled:
        raise PackageError(f"{step.said} comes after FillHolesd, which is not supported.")
    _cleaned(step, done)
    done.largest = True


def _filled(step: Component, done: Answer) -> None:
    # Without it a hole ends only where not even corners of voxels lead out of it, which few holes do.
    step.only("connectivity", 1)
    _cleaned(step, done)
    done.filled = True


def _cleaned(step: Component, done: Answer) -> None:
    if done.values != "labels" or (done.inverted is None and done.nearest):
        raise PackageError(f"{step.said} comes before AsDiscreted has decided labels, which is not supported.")
    applied = step.take("applied_labels")
    if applied is None:
        return
    done.applied = [int(value) for value in step.numbers("applied_labels", len(applied) if isinstance(applied, list)
                                                         else 1)]


def _one_map(step: Component, done: Answer) -> None:
    """Lambdad: of labels that overlap, which wins."""
    function = step.arguments.get("func")
    step.ignore("func", "inv_func", "track_meta", "overwrite")
    try:
        numbered = channel_values(str(function).removeprefix("$").strip())
    except ValueError:
        numbered = {}
    values = list(numbered.values())
    if not values or len(set(values)) < len(values) or not all(0 < value < 256 for value in values):
        raise PackageError(
            f"{step.said} computes with Python, which is never run here; known is only what gives each channel a value "
            "with torch.where."
        )
    if done.chosen != "threshold" or done.numbered:
        raise PackageError(f"{step.said} makes a label map of what is no labels that overlap, which is not supported.")
    done.numbered = numbered


def _nothing(*arguments: str) -> Follow:
    def follow(step: Component, done: Answer) -> None:
        step.ignore(*arguments)

    return follow


_SAVING = (
    "output_dir", "output_postfix", "output_ext", "output_dtype", "resample", "mode", "padding_mode", "scale", "dtype",
    "align_corners", "squeeze_end_dims", "data_root_dir", "separate_folder", "print_log", "writer",
    "output_name_formatter", "folder_layout", "savepath_in_metadict",
)
_KNOWN: Mapping[str, Follow] = {
    "Activationsd": _activations,
    "Invertd": _inverted,
    "AsDiscreted": _discrete,
    "Lambdad": _one_map,
    "KeepLargestConnectedComponentd": _largest,
    "FillHolesd": _filled,
    "EnsureTyped": _nothing("data_type", "dtype", "device", "wrap_sequence", "track_meta"),
    "ToTensord": _nothing("dtype", "device", "wrap_sequence", "track_meta"),
    "SaveImaged": _nothing(*_SAVING),
}
