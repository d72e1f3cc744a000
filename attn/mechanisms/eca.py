"""Efficient channel attention (ECA): https://arxiv.org/abs/1910.03151"""

import math
from typing import ClassVar

from torch import Tensor, nn

from attn.mechanisms.base import Gate, Mechanism


class EfficientChannelAttention(Gate):
    """Each channel scaled by σ(1-D convolution over neighbouring channels' means).

    "ECA-Net", Wang et al., 2019: https://arxiv.org/abs/1910.03151. Parameter `conv` as in timm's EcaModule. The
    kernel is the odd number nearest above |log₂ C + beta| / gamma, as in the paper's code. Departure, timm's: at
    least 3, which differs for C < 8 only.
    """

    paper: ClassVar[str] = "https://arxiv.org/abs/1910.03151"
    title: ClassVar[str] = "Efficient channel attention"

    def __init__(self, channels: int, gamma: float = 2, beta: float = 1) -> None:
        super().__init__(channels)
        floor = int(abs(math.log2(channels) + beta) / gamma)
        kernel = max(floor if floor % 2 else floor + 1, 3)
        self.conv = nn.Conv1d(1, 1, kernel, padding=kernel // 2, bias=False)

    def gates(self, x: Tensor) -> Tensor:
        """Gates (b, C) from each channel's mean and its neighbours'."""
        squeezed = x.mean(dim=(2, 3))[:, None]  # (b, 1, C)
        return self.conv(squeezed).sigmoid()[:, 0]

    def multiply_adds(self, height: int, width: int) -> int:
        """Multiply-adds for one feature map: the convolution, and the scaling."""
        return self.channels * self.conv.kernel_size[0] + self.channels * height * width


RECORD = Mechanism.of("eca", EfficientChannelAttention)
