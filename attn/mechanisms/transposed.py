"""The AttnBlock with its product taken the other way round: channels compared with channels.

Transposed attention is that of Restormer's MDTA (https://arxiv.org/abs/2111.09881) and of XCA
(https://arxiv.org/abs/2106.09681); here it has the AttnBlock's own layers, so that one block can be seen both ways.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor, nn

from attn.mechanisms.base import ChannelAttention, Kind, Mechanism, widened, without_autocast
from attn.mechanisms.spatial import attention_from

if TYPE_CHECKING:
    from attn.mechanisms.spatial import AttnBlock


class TransposedAttnBlock(ChannelAttention):
    """The feature map plus its channels, mixed by softmax(q kᵀ · N^(-1/2) / temperature), q and k being (C, N).

    GroupNorm → 1×1 convolutions q, k, v → each channel (query) asks every channel (key) → weighted values → 1×1
    proj_out → added to the input. Parameters have the AttnBlock's names and shapes; `AttnBlock.transposed()` gives one
    that shares the block's. It needs no position encoding, as its products sum over all positions.

    Departures from Restormer's MDTA, https://arxiv.org/abs/2111.09881: one head; no depth-wise convolutions; the
    AttnBlock's GroupNorm; and logits scaled by N^(-1/2), as the AttnBlock's by C^(-1/2), in place of L2-normalised
    channels times a learnt temperature, which these weights do not have. With the bundled trained and tuned weights
    the rows' entropy is then 0.13 to 0.78 of a uniform row's, lowest on the finest grids (three photographs at layer2
    and layer3, 160 and 320 px): peaked, as the root takes back only half of what a sum over more positions gains. Of
    the tuned weights' rows at the page's default, a quarter to a half are nearly one channel's (same photographs).
    Cosines alone give a flat map, 0.99 and above (measured with earlier trained, similarity and random weights).

    Raises ValueError for channels not divisible by `groups` and a temperature that is not positive.
    """

    kind: ClassVar[Kind] = "channel_map"
    paper: ClassVar[str] = "https://arxiv.org/abs/2111.09881"
    title: ClassVar[str] = "AttnBlock, transposed"

    def __init__(self, channels: int, *, groups: int = 32, temperature: float = 1.0) -> None:
        super().__init__(channels)
        if groups < 1 or channels % groups:
            raise ValueError(f"expected channels to be a multiple of groups = {groups}, got {channels}")
        if not temperature > 0:
            raise ValueError(f"expected a temperature above 0, got {temperature}")
        self.temperature = temperature
        self.norm: nn.Module = nn.GroupNorm(groups, channels, eps=1e-6)
        self.q: nn.Module = nn.Conv2d(channels, channels, 1)
        self.k: nn.Module = nn.Conv2d(channels, channels, 1)
        self.v: nn.Module = nn.Conv2d(channels, channels, 1)
        self.proj_out: nn.Module = nn.Conv2d(channels, channels, 1)

    @classmethod
    def of_block(cls, block: AttnBlock) -> TransposedAttnBlock:
        """The block turned: the same layers, not copies; without its position encoding, which would change nothing."""
        turned = cls(block.channels, groups=math.gcd(32, block.channels), temperature=block.temperature)
        for name in ("norm", "q", "k", "v", "proj_out"):
            setattr(turned, name, getattr(block, name))
        return turned.train(block.training)

    def forward(self, x: Tensor, return_attention: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Output (b, C, h, w); with `return_attention` also the map (b, C, C), whose rows sum to 1."""
        self._check(x)
        h = self.norm(x)  # (b, C, h, w)
        q, k, v = self.q(h).flatten(2), self.k(h).flatten(2), self.v(h).flatten(2)  # (b, C, N) each
        scale = (x.shape[2] * x.shape[3]) ** -0.5 / self.temperature
        with without_autocast(x):
            # Sums over positions leave half precision's range.
            attn = attention_from(widened(q) * scale, widened(k)).to(v.dtype)  # (b, C, C)
        y = x + self.proj_out((attn @ v).view_as(x))
        return (y, attn) if return_attention else y

    def multiply_adds(self, height: int, width: int) -> int:
        """Multiply-adds for one feature map: four 1×1 convolutions and two products with the C × C map."""
        return 6 * self.channels**2 * height * width


def _build(channels: int) -> TransposedAttnBlock:
    return TransposedAttnBlock(channels, groups=math.gcd(32, channels))


RECORD = Mechanism.of("transposed", TransposedAttnBlock, _build, TransposedAttnBlock.of_block)
