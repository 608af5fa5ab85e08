"""The slab U-Net as ONNX: eight slices in, the probability of the fifth out.

The architecture is Andre Stochniol's of the 2017 Data Science Bowl (github.com/astoc/kaggle_dsb2017, MIT).
Two things differ from the original, for speed:

- *Up-sampling.* There: nearest-neighbour by two, concatenate with the skip, 3×3×3 convolution. A convolution is
  linear in its channels, so it is the sum of one on the up-sampled part and one on the skip; and a 3×3×3
  convolution after doubling is exactly a transposed convolution of stride 2 with a 4×4×4 kernel, whose taps are
  sums of the old ones. It has 64 taps for 8 outputs instead of 27 for each: 8 per voxel, and no doubled tensor.
- *Eight-bit integers*, where the ranges of the activations are known: weights int8 per output channel,
  activations uint8, as QuantizeLinear/DequantizeLinear pairs that the runtimes turn into integer convolutions.
  The first convolution (one channel, HU) and the last one (the decision) stay in float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx

Floats32 = NDArray[np.float32]

# Name, and shape [out, in, k, j, i] of the kernel, in the order in which the layers were made.
KERNELS: dict[str, tuple[int, int, int, int, int]] = {
    "down1.first": (20, 1, 3, 3, 3), "down1.second": (20, 20, 3, 3, 3),
    "down2.first": (40, 20, 3, 3, 3), "down2.second": (40, 40, 3, 3, 3),
    "bottom.first": (80, 40, 3, 3, 3), "bottom.second": (80, 80, 3, 3, 3),
    "up2.first": (40, 120, 3, 3, 3), "up2.second": (40, 40, 3, 3, 3),
    "up1.first": (20, 60, 3, 3, 3), "up1.second": (20, 20, 3, 3, 3),
    "collapse1.first": (40, 20, 3, 1, 1), "collapse1.second": (40, 40, 3, 1, 1),
    "collapse2.first": (40, 40, 3, 1, 1), "collapse2.second": (40, 40, 3, 1, 1),
    "head": (1, 40, 1, 1, 1),
}
INPUT, OUTPUT, WINDOW = "slab", "probability", 8
_OPSET, _IR_VERSION = 17, 8  # read by onnxruntime ≥ 1.12 and OpenVINO ≥ 2023


@dataclass(frozen=True, eq=False)
class Layer:
    """One convolution: kernel `[out, in, k, j, i]` as correlation (already flipped), and bias `[out]`."""

    kernel: Floats32
    bias: Floats32


def slab_network(layers: Mapping[str, Layer], ranges: Mapping[str, float] | None = None) -> onnx.ModelProto:
    """The network for `slab` [B, 1, 8, H, W] → `probability` [B, 1, 1, H, W]; H and W multiples of 4.

    layers: by the names of `KERNELS`. ranges: for the eight-bit network, the highest activation that each
    convolution hands on; those without one hand on float32.
    """
    net = _Writer(layers, ranges or {})
    down1 = net.pair("down1", INPUT)
    down2 = net.pair("down2", net.pool(down1, "down1.pool", (2, 2, 2)))
    bottom = net.pair("bottom", net.pool(down2, "down2.pool", (2, 2, 2)))
    up2 = net.conv("up2.second", net.up("up2.first", bottom, down2))
    value = net.conv("up1.second", net.up("up1.first", up2, down1))
    # What is left is to make one slice of eight.
    for stage in ("collapse1", "collapse2"):
        value = net.pair(stage, net.pool(value, f"{stage}.pool", (2, 1, 1)))
    value = net.conv("head", net.pool(value, "collapse3.pool", (2, 1, 1)), relu=False)
    return net.finish(value)


class _Writer:
    """Collects ONNX nodes; every method returns the name of the tensor that it makes."""

    def __init__(self, layers: Mapping[str, Layer], ranges: Mapping[str, float]) -> None:
        self._layers, self._ranges = layers, ranges
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._rounded: set[str] = set()

    def pair(self, stage: str, value: str) -> str:
        return self.conv(f"{stage}.second", self.conv(f"{stage}.first", value))

    def conv(self, name: str, value: str, *, relu: bool = True) -> str:
        """Convolution that keeps the size (it pads by half its kernel), and ReLU."""
        layer = self._layers[name]
        kernel = self._kernel(name, layer.kernel, value, out_axis=0)
        result = self._conv(name, value, kernel, layer.kernel.shape[2:], self._constant(f"{name}.bias", layer.bias))
        return self._activation(name, result) if relu else result

    def up(self, name: str, value: str, skip: str) -> str:
        """Double `value`, concatenate `skip`, convolve, ReLU: as a transposed convolution plus a convolution."""
        layer = self._layers[name]
        split = layer.kernel.shape[1] - layer.kernel.shape[0]  # the skip has as many channels as come out
        raised = self._node(
            "ConvTranspose", f"{name}.up", value,
            self._kernel(f"{name}.up", doubling_kernel(layer.kernel[:, :split]), value, out_axis=1),
            self._constant(f"{name}.bias", layer.bias), kernel_shape=[4, 4, 4], strides=[2, 2, 2], pads=[1] * 6,
        )
        kernel = self._kernel(f"{name}.skip", layer.kernel[:, split:], skip, out_axis=0)
        beside = self._conv(f"{name}.skip", skip, kernel, (3, 3, 3))
        return self._activation(name, self._node("Add", f"{name}.sum", raised, beside))

    def pool(self, value: str, name: str, size: tuple[int, int, int]) -> str:
        result = self._node("MaxPool", name, value, kernel_shape=size, strides=size)
        if value in self._rounded:
            self._rounded.add(result)
        return result

    def finish(self, value: str) -> onnx.ModelProto:
        from onnx import TensorProto, checker, helper

        self._nodes.append(helper.make_node("Sigmoid", [value], [OUTPUT], name=OUTPUT))
        ends = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 1, depth, "height", "width"])
            for name, depth in ((INPUT, WINDOW), (OUTPUT, 1))
        ]
        graph = helper.make_graph(self._nodes, "slab_network", ends[:1], ends[1:], self._constants)
        model: onnx.ModelProto = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION, producer_name="medinfer"
        )
        checker.check_model(model, full_check=True)
        return model

    def _conv(self, name: str, value: str, kernel: str, size: tuple[int, ...], *bias: str) -> str:
        half = [edge // 2 for edge in size]
        return self._node("Conv", name, value, kernel, *bias, kernel_shape=size, pads=half + half)

    def _activation(self, name: str, value: str) -> str:
        """ReLU; then, where the range is known, rounding to 255 steps of it."""
        value = self._node("Relu", f"{name}.relu", value)
        if name not in self._ranges:
            return value
        step = self._constant(f"{name}.step", np.float32(self._ranges[name] / 255))
        zero = self._constant(f"{name}.zero", np.uint8(0))  # ReLU came before: nothing is negative
        value = self._node("QuantizeLinear", f"{name}.uint8", value, step, zero)
        value = self._node("DequantizeLinear", f"{name}.rounded", value, step, zero)
        self._rounded.add(value)
        return value

    def _kernel(self, name: str, kernel: Floats32, value: str, *, out_axis: int) -> str:
        """The kernel as it is; in int8 where the `value` that it meets was rounded, and the head is not meant."""
        if value not in self._rounded or name == "head":
            return self._constant(f"{name}.kernel", kernel)
        highest = np.abs(kernel).max(axis=tuple(axis for axis in range(5) if axis != out_axis), keepdims=True)
        steps = np.maximum(highest / 127, np.finfo(np.float32).tiny).astype(np.float32)
        return self._node(
            "DequantizeLinear", f"{name}.kernel",
            self._constant(f"{name}.int8", np.rint(kernel / steps).astype(np.int8)),
            self._constant(f"{name}.kernel_step", steps.ravel()),
            self._constant(f"{name}.kernel_zero", np.zeros(steps.size, np.int8)), axis=out_axis,
        )

    def _node(self, kind: str, name: str, *inputs: str, **attributes: Any) -> str:
        from onnx import helper

        self._nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def _constant(self, name: str, values: Any) -> str:
        from onnx import numpy_helper

        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values).reshape(np.shape(values)), name))
        return name


def doubling_kernel(kernel: Floats32) -> Floats32:
    """The transposed convolution (stride 2, padding 1) that equals nearest doubling followed by `kernel`.

    kernel: `[out, in, 3, 3, 3]`; returns `[in, out, 4, 4, 4]`. Along each axis the doubled signal u(2a) = u(2a + 1)
    = x(a) meets the taps w(0…2), so x(a) reaches the outputs 2a − 1 … 2a + 2 with w2, w1 + w2, w0 + w1, w0.
    """
    taps = np.array([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]], dtype=np.float64)
    spread: Floats32 = np.einsum("zc,yd,xe,oicde->iozyx", taps, taps, taps, kernel).astype(np.float32)
    return spread
