"""A small U-Net whose weights are set by hand, a scan with two balls, and what the network makes of it.

The network halves its input and doubles it again, joins both, and scores three classes of which the first is
background: values about 0, about 0.5 and about 1 of its input.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from medinfer.volume import Grid, Volume

SIZE = 32
# Of the two balls: the place of the centre (RAS mm), the radius (mm) and the value (HU); the network sees 0.5 and 1.
BALLS = {"liver": ((18.0, -10.0, 20.0), 14.0, 0), "spleen": ((-22.0, 12.0, -6.0), 11.0, 1000)}


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
            self.first.weight[0, 0, 1, 1, 1] = 1
            self.down.weight[0, 0] = 1 / 8
            self.up.weight[0, 0] = 1
            # Half of each way: 0 for background, 40 (s − 0.25) and 80 (s − 0.5) for the balls.
            for label, (slope, bias) in {1: (40, -10), 2: (80, -40)}.items():
                self.last.weight[label, 0], self.last.weight[label, channels] = slope / 2, slope / 2
                self.last.bias[label] = bias

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
    """An oblique CT at 2 × 1.5 × 1.5 mm: air (−1000 HU) with the two balls."""
    turn = 0.2
    directions = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = directions @ np.diag([-1.5, -1.5, 2.0])
    shape = (44, 64, 72)
    matrix[:3, 3] = -matrix[:3, :3] @ (np.array(shape[::-1]) - 1) / 2
    grid = Grid(shape, matrix)
    world = grid.to_ras(np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1))
    voxels = np.full(shape, -1000, np.int16)
    for center, radius, value in BALLS.values():
        voxels[np.linalg.norm(world - np.array(center), axis=-1) <= radius] = value
    return Volume(voxels, grid, "balls", "CT")
