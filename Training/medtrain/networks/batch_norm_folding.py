"""A trained network for inference: each batch norm folded into the convolution before it."""

from __future__ import annotations

import copy

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def folded(net: nn.Module) -> nn.Module:
    """A copy of `net` with the same answers, without the batch norms and dropouts that follow a convolution.

    Finds them inside `nn.Sequential`, where what follows what is known. The copy does not train.
    """
    net = copy.deepcopy(net).eval().requires_grad_(False)
    for sequence in [module for module in net.modules() if isinstance(module, nn.Sequential)]:
        _fold(sequence)
    return net


def _fold(sequence: nn.Sequential) -> None:
    convolution = None
    for number, layer in enumerate(sequence):
        if isinstance(layer, nn.Conv3d):
            convolution = number
        elif isinstance(layer, nn.BatchNorm3d) and convolution is not None:
            before = sequence[convolution]
            assert isinstance(before, nn.Conv3d)
            sequence[convolution] = fuse_conv_bn_eval(before, layer)
            sequence[number] = nn.Identity()
        elif isinstance(layer, nn.Dropout3d):
            sequence[number] = nn.Identity()
        else:
            convolution = None
