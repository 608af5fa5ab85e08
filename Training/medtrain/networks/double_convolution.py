"""The blocks that the U-Nets of the seed document 001 share, under its parameters' names (systems L3 and L7)."""

from __future__ import annotations

from torch import Tensor, nn


class DoubleConv(nn.Module):
    """Two 3×3×3 convolutions with batch norm, each followed by `activation`."""

    def __init__(
        self, channels_in: int, between: int, channels_out: int, activation: type[nn.ReLU] | type[nn.LeakyReLU]
    ) -> None:
        super().__init__()
        self.doubleConv = nn.Sequential(
            nn.Conv3d(channels_in, between, kernel_size=3, padding=1),
            nn.BatchNorm3d(between),
            activation(inplace=True),
            nn.Conv3d(between, channels_out, kernel_size=3, padding=1),
            nn.BatchNorm3d(channels_out),
            activation(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.doubleConv(x)
        return answer


class Down(nn.Module):
    """Half the resolution, sides rounded up, then two convolutions."""

    def __init__(
        self, channels_in: int, between: int, channels_out: int, activation: type[nn.ReLU] | type[nn.LeakyReLU]
    ) -> None:
        super().__init__()
        self.maxpool_conv = nn.Sequential(
            nn.MaxPool3d(kernel_size=2, ceil_mode=True), DoubleConv(channels_in, between, channels_out, activation)
        )

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.maxpool_conv(x)
        return answer
