"""A small U-Net whose weights are set by hand, a scan with two balls, and what the network makes of it.

The network halves its input and doubles it again, joins both, and scores three classes: background, values near 1 and
values near −1 of its input. All it answers is one voxel too far along its first axis, which tells the axes apart.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from medinfer.volume import Grid, Volume

SIZE = 32
# Of the two balls: the place of the centre (RAS mm), the radius (mm) and the grey value; the network is to see ± 1.
BALLS = {"liver": ((18.0, -10.0, 20.0), 14.0, 1000), "spleen": ((-22.0, 12.0, -6.0), 11.0, -1000)}


class BallUNet(torch.nn.Module):
    """[batch, 1, x, y, z] -> the scores of three classes [batch, 3, x, y, z]."""

    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.first = torch.nn.Conv3d(1, channels, 3, padding=1)
        self.down = torch.nn.Conv3d(channels, channels, 2, stride=2)
        self.up = torch.nn.ConvTranspose3d(channels, channels, 2, stride=2)
        self.last = torch.nn.Conv3d(2 * channels, 3, 1)
        with torch.no_grad():
            for part in self.parameters():
                part.zero_()
            for n, sign in enumerate((1, -1)):
                self.first.weight[n, 0, 0, 1, 1] = sign
                self.down.weight[n, n] = 1 / 8
                self.up.weight[n, n] = 1
                # The mean of both ways, above a half.
                self.last.weight[n + 1, n] = self.last.weight[n + 1, channels + n] = 20
                self.last.bias[n + 1] = -20

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        near = torch.relu(self.first(image))
        far = torch.relu(self.up(self.down(near)))
        return self.last(torch.cat([far, near], dim=1))


def export_as_torch_does(folder: Path) -> Path:
    """`model.onnx` and `model.onnx.data` in `folder`, by the default of `torch.onnx.export`; returns the first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            BallUNet().eval(), (torch.zeros(1, 1, SIZE, SIZE, SIZE),), str(folder / "model.onnx"), verbose=False
        )
    return folder / "model.onnx"


def save_torchscript(path: Path, network: torch.nn.Module | None = None) -> Path:
    """The network as TorchScript, which takes tiles of any size."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script((network or BallUNet()).eval()).save(str(path))
    return path


def expected(tile: np.ndarray) -> np.ndarray:
    """What torch itself makes of a tile [batch, 1, …]."""
    with torch.no_grad():
        scores: Any = BallUNet().eval()(torch.from_numpy(tile)).numpy()
    return scores


def draw_balls() -> Volume:
    """An oblique MRI at 2 × 1.5 × 1.5 mm: the two balls in nothing."""
    turn = 0.2
    directions = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = directions @ np.diag([-1.5, -1.5, 2.0])
    shape = (44, 64, 72)
    matrix[:3, 3] = -matrix[:3, :3] @ (np.array(shape[::-1]) - 1) / 2
    grid = Grid(shape, matrix)
    world = grid.to_ras(np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1))
    voxels = np.zeros(shape, np.int16)
    for center, radius, value in BALLS.values():
        voxels[np.linalg.norm(world - np.array(center), axis=-1) <= radius] = value
    return Volume(voxels, grid, "balls", "MR")
