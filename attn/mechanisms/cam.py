"""The channel attention module (CAM) of DANet: https://arxiv.org/abs/1809.02983"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from attn.mechanisms.base import ChannelAttention, Kind, Mechanism, widened, without_autocast


class ChannelSelfAttention(ChannelAttention):
    """The input plus γ times its channels, mixed by softmax_j(max_j E_ij − E_ij), E = x xᵀ.

    The channel attention module (CAM) of "Dual Attention Network for Scene Segmentation", Fu et al., 2018:
    https://arxiv.org/abs/1809.02983; parameter `gamma` as in its code. Two things to know: subtracting from the
    maximum, which is the authors' code and not the paper's equation, gives *dissimilar* channels more weight; and γ
    starts at 0, so an untrained module is the identity.
    """

    kind: ClassVar[Kind] = "channel_map"
    paper: ClassVar[str] = "https://arxiv.org/abs/1809.02983"
    title: ClassVar[str] = "Channel self-attention (CAM)"

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, return_attention: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Output (b, C, h, w); with `return_attention` also the map (b, C, C), whose rows sum to 1."""
        self._check(x)
        rows = x.flatten(2)  # (b, C, N)
        with without_autocast(x):
            # A channel's product with itself grows with the number of positions and leaves half precision's range.
            energy = widened(rows) @ widened(rows).transpose(1, 2)  # (b, C, C)
            attn = (energy.amax(dim=-1, keepdim=True) - energy).softmax(dim=-1).to(x.dtype)
        y = x + self.gamma * (attn @ rows).view_as(x)
        return (y, attn) if return_attention else y

    def multiply_adds(self, height: int, width: int) -> int:
        """Multiply-adds for one feature map: the two products with the C × C map, and γ."""
        return (2 * self.channels**2 + self.channels) * height * width


RECORD = Mechanism.of("cam", ChannelSelfAttention)
