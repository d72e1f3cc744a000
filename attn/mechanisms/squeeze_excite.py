"""Squeeze-and-excitation (SE): https://arxiv.org/abs/1709.01507"""

from typing import ClassVar

from torch import Tensor, nn

from attn.mechanisms.base import Gate, Mechanism, reduced


class SqueezeExcite(Gate):
    """Each channel scaled by σ(W₂ ReLU(W₁ mean(x))).

    "Squeeze-and-Excitation Networks", Hu et al., 2017: https://arxiv.org/abs/1709.01507. Parameters `fc1`, `fc2`
    as in torchvision's SqueezeExcitation. Departure: the ratio of hidden channels is a ratio, not a count.
    """

    paper: ClassVar[str] = "https://arxiv.org/abs/1709.01507"
    title: ClassVar[str] = "Squeeze-and-excitation"

    def __init__(self, channels: int, rd_ratio: float = 1 / 16) -> None:
        super().__init__(channels)
        hidden = reduced(channels, rd_ratio)
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.fc2 = nn.Conv2d(hidden, channels, 1)

    def gates(self, x: Tensor) -> Tensor:
        """Gates (b, C) from each channel's mean."""
        squeezed = x.mean(dim=(2, 3), keepdim=True)  # (b, C, 1, 1)
        return self.fc2(self.fc1(squeezed).relu()).sigmoid().flatten(1)

    def multiply_adds(self, height: int, width: int) -> int:
        """Multiply-adds for one feature map: the two layers, and the scaling."""
        return 2 * self.channels * self.fc1.out_channels + self.channels * height * width


RECORD = Mechanism.of("se", SqueezeExcite)
