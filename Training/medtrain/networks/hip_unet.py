"""The 3-D U-Net for hip and femur (system L7), whose author read its layers back from the picture of an ONNX graph.

Seed documents 001 and 003 (`UNet_3D`): 32, 64, 128, 256, 512 channels, ReLU also at the end, dynamic depth, height
and width in the export, `input` → `output`, [1, 1, 224, 144, 144] there. The parameters keep the document's names
(`buttom`), so its checkpoints load strictly; `read_hip_unet` does what its author did, weights included. There the
sides must be multiples of 16; here any size will do.

The up-sampling is unusual: a transposed convolution of 2×2×2 weights at stride 2 *and dilation 2* (padding 1, output
padding 1). Along each axis weight 0 of voxel n lands on 2n − 1 and weight 1 on 2n + 1: only voxels whose indices are
all odd receive anything but the bias, the other seven eighths wait for the convolutions that follow.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from .double_convolution import DoubleConv, Down
from .skip_connections import crop_to

OUTPUTS = ("output",)
"""The exported file's output."""

CHANNELS = (32, 32, 64, 128, 256, 512)
"""Of the first convolution, then of each level, full resolution first."""

Channels = tuple[int, int, int, int, int, int]


class Up(nn.Module):
    """Twice the resolution, joined with the skip."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.trans_conv = nn.ConvTranspose3d(
            channels_in, channels_out, kernel_size=2, stride=2, dilation=2, padding=1, output_padding=1
        )
        self.double_conv = DoubleConv(2 * channels_out, channels_out, channels_out, nn.ReLU)

    def forward(self, low: Tensor, skip: Tensor) -> Tensor:
        answer: Tensor = self.double_conv(torch.cat((skip, crop_to(self.trans_conv(low), skip)), dim=1))
        return answer


class Out(nn.Module):
    """A 1×1×1 convolution with ReLU."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(channels_in, channels_out, kernel_size=1)
        self.norm = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.norm(self.conv(x))
        return answer


class HipUNet(nn.Module):
    """Four levels down, four up; answers of 0 or more at the image's own resolution."""

    def __init__(self, channels: int = 1, classes: int = 1, widths: Channels = CHANNELS) -> None:
        super().__init__()
        first, w1, w2, w3, w4, w5 = widths
        self.encoder_1 = DoubleConv(channels, first, w1, nn.ReLU)
        self.encoder_2 = Down(w1, w2, w2, nn.ReLU)
        self.encoder_3 = Down(w2, w3, w3, nn.ReLU)
        self.encoder_4 = Down(w3, w4, w4, nn.ReLU)
        self.buttom = Down(w4, w5, w5, nn.ReLU)
        self.decoder_4 = Up(w5, w4)
        self.decoder_3 = Up(w4, w3)
        self.decoder_2 = Up(w3, w2)
        self.decoder_1 = Up(w2, w1)
        self.output = Out(w1, classes)

    def forward(self, image: Tensor) -> Tensor:
        """`[B, channels, k, j, i]` to `[B, classes, k, j, i]`."""
        e1 = self.encoder_1(image)
        e2 = self.encoder_2(e1)
        e3 = self.encoder_3(e2)
        e4 = self.encoder_4(e3)
        x = self.decoder_4(self.buttom(e4), e4)
        x = self.decoder_3(x, e3)
        x = self.decoder_2(x, e2)
        x = self.decoder_1(x, e1)
        answer: Tensor = self.output(x)
        return answer


def read_hip_unet(path: Path) -> HipUNet:
    """The network of an exported file, widths and weights, for inference.

    An export folds each batch norm into its convolution, so here the batch norms do nothing.
    Raises ValueError where the file's convolutions are not this network's.
    """
    weights = _convolution_weights(path)
    shapes = [tuple(weight.shape) for weight, _ in weights]
    if len(shapes) != 23:
        raise ValueError(f"{path} has {len(shapes)} convolutions, and this U-Net has 23; read it as what it is")
    down = shapes[:10]
    w1, w2, w3, w4, w5 = (shape[0] for shape in down[1::2])
    net = HipUNet(down[0][1], shapes[-1][0], (down[0][0], w1, w2, w3, w4, w5))
    convolutions = [m for m in net.modules() if isinstance(m, nn.Conv3d | nn.ConvTranspose3d)]
    for number, (module, (weight, bias)) in enumerate(zip(convolutions, weights, strict=True)):
        if module.weight.shape != weight.shape:
            raise ValueError(f"convolution {number} of {path} has weights of {tuple(weight.shape)}, "
                             f"and this U-Net has {tuple(module.weight.shape)} there; read it as what it is")
        module.load_state_dict({"weight": weight, "bias": bias})
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm3d):
            assert norm.running_var is not None
            norm.running_var.fill_(1 - norm.eps)
    return net.eval()


def _convolution_weights(path: Path) -> list[tuple[Tensor, Tensor]]:
    """Weights and bias of each convolution, in the graph's order, which is that of the computation."""
    import onnx

    graph = onnx.load(str(path)).graph
    tensors = {tensor.name: torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy()) for tensor in graph.initializer}
    convolutions = [node for node in graph.node if node.op_type in ("Conv", "ConvTranspose")]
    unusable = [node.name for node in convolutions if len(node.input) != 3 or not {*node.input[1:]} <= tensors.keys()]
    if unusable:
        raise ValueError(f"{unusable[0]} of {path} has no weights and bias of its own; export it for inference")
    return [(tensors[node.input[1]], tensors[node.input[2]]) for node in convolutions]
