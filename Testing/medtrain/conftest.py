"""What the tests of the networks share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn


@pytest.fixture
def settled() -> Callable[[nn.Module], nn.Module]:
    """Gives a network weights and statistics of a trained one's size, so that nothing left out goes unseen."""

    def settle(net: nn.Module) -> nn.Module:
        generator = torch.Generator().manual_seed(0)
        for name, tensor in net.state_dict().items():
            if tensor.is_floating_point():
                low, high = (0.5, 2.0) if name.endswith("running_var") else (-0.5, 0.5)
                spread = 1 if tensor.dim() < 2 else 6 / tensor[0].numel() ** 0.5
                tensor.copy_((low + (high - low) * torch.rand(tensor.shape, generator=generator)) * spread)
        return net.eval().requires_grad_(False)

    return settle


@pytest.fixture
def image() -> Callable[..., Tensor]:
    """Draws an image of these sides, evenly between −1 and 1."""

    def draw(*sides: int, batch: int = 1, channels: int = 1) -> Tensor:
        return torch.rand(batch, channels, *sides, generator=torch.Generator().manual_seed(1)) * 2 - 1

    return draw


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """The networks here are tiny and tests run side by side: torch's threads would mostly wait for one another."""
    torch.set_num_threads(1)
