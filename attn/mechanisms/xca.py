"""Cross-covariance attention (XCA): https://arxiv.org/abs/2106.09681"""

from functools import partial
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attn.mechanisms.base import ChannelAttention, Kind, Mechanism, widened, without_autocast


class CrossCovarianceAttention(ChannelAttention):
    """Channels mixed by softmax(q̂ k̂ᵀ · τ), q̂ and k̂ being L2-normalised over the positions.

    XCA of "XCiT: Cross-Covariance Image Transformers", El-Nouby et al., 2021: https://arxiv.org/abs/2106.09681.
    Parameters `temperature`, `qkv`, `proj` as in the authors' code and timm's XCA, which give tokens (b, N, C);
    here a feature map (b, C, h, w) goes in and comes out. The map is block-diagonal: a channel sees the channels of
    its own head. Departure: `residual=True` gives x + XCA(x), the block's own sum, without its layer scale.

    Raises ValueError for channels not divisible by `heads`.
    """

    kind: ClassVar[Kind] = "channel_map"
    paper: ClassVar[str] = "https://arxiv.org/abs/2106.09681"
    title: ClassVar[str] = "Cross-covariance attention (XCA)"

    def __init__(self, channels: int, heads: int = 8, *, residual: bool = False, qkv_bias: bool = False) -> None:
        super().__init__(channels)
        if heads < 1 or channels % heads:
            raise ValueError(f"expected channels to be a multiple of heads = {heads}, got {channels}")
        self.heads = heads
        self.residual = residual
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Linear(channels, 3 * channels, bias=qkv_bias)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor, return_attention: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Output (b, C, h, w); with `return_attention` also the map (b, C, C), whose rows sum to 1."""
        self._check(x)
        qkv = self.qkv(x.flatten(2).transpose(1, 2))  # (b, N, 3C)
        q, k, v = qkv.transpose(1, 2).unflatten(1, (3, self.heads, -1)).unbind(1)  # (b, heads, C / heads, N) each
        with without_autocast(x):
            # Half precision has no number as small as what keeps a length of 0 from dividing by it.
            q, k = F.normalize(widened(q), dim=-1), F.normalize(widened(k), dim=-1)
            logits = q @ k.transpose(-2, -1) * self.temperature
            attn = logits.softmax(dim=-1).to(v.dtype)  # (b, heads, C / heads, C / heads)
        out = self.proj((attn @ v).flatten(1, 2).transpose(1, 2))  # (b, N, C)
        y = out.transpose(1, 2).unflatten(2, x.shape[2:])
        y = x + y if self.residual else y
        return (y, _block_diagonal(attn)) if return_attention else y

    def multiply_adds(self, height: int, width: int) -> int:
        """Multiply-adds for one feature map: the four linear maps, and the two products with the heads' maps."""
        return (4 * self.channels**2 + 2 * self.channels**2 // self.heads) * height * width


# With its residual, as the page shows it: what it adds to the features.
RECORD = Mechanism.of("xca", CrossCovarianceAttention, partial(CrossCovarianceAttention, residual=True))


def _block_diagonal(blocks: Tensor) -> Tensor:
    """Heads' maps (b, heads, d, d) laid along the diagonal of one map (b, heads · d, heads · d)."""
    own_head = torch.eye(blocks.shape[1], dtype=blocks.dtype, device=blocks.device)
    return torch.einsum("bhij,hg->bhigj", blocks, own_head).flatten(3, 4).flatten(1, 2)
