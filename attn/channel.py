"""Attention over the channels of a feature map: three gates and two channel × channel maps.

One call shape for all: `m(x)` gives y; `m(x, return_attention=True)` gives (y, gates (b, C)) for a gate and
(y, map (b, C, C)) for a channel map. None of them needs a position encoding: shuffling the positions shuffles
the output and leaves gates and maps as they were. All raise ValueError if x is not (b, C, h, w) with the
module's C and at least one position.
"""

import math
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class _ChannelAttention(nn.Module):
    """What every mechanism has in common: its channels, and the check at the entrance."""

    kind: ClassVar[Literal["gate", "channel_map"]]
    paper: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, channels: int) -> None:
        super().__init__()
        if channels < 1:
            raise ValueError(f"expected at least 1 channel, got {channels}")
        self.channels = channels

    def multiply_adds(self, height: int, width: int) -> int:
        """Multiply-adds for one feature map of height × width positions."""
        raise NotImplementedError

    def _check(self, x: Tensor) -> None:
        shape = tuple(x.shape)
        if len(shape) != 4 or shape[1] != self.channels:
            raise ValueError(f"expected (b, {self.channels}, h, w), got {shape}")
        if shape[2] * shape[3] == 0:
            raise ValueError(f"expected a grid of at least 1 × 1 positions, got {shape}")


class _Gate(_ChannelAttention):
    """One number in (0, 1) a channel, the same at every position: the output is the input, scaled."""

    kind: ClassVar[Literal["gate", "channel_map"]] = "gate"

    def forward(self, x: Tensor, return_attention: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Output (b, C, h, w); with `return_attention` also the gates (b, C), each in (0, 1)."""
        self._check(x)
        gates = self.gates(x)  # (b, C)
        y = x * gates[:, :, None, None]
        return (y, gates) if return_attention else y

    def gates(self, x: Tensor) -> Tensor:
        """Gates (b, C) of a feature map (b, C, h, w)."""
        raise NotImplementedError


class SqueezeExcite(_Gate):
    """Each channel scaled by σ(W₂ ReLU(W₁ mean(x))).

    "Squeeze-and-Excitation Networks", Hu et al., 2017: https://arxiv.org/abs/1709.01507. Parameters `fc1`, `fc2`
    as in torchvision's SqueezeExcitation. Departure: the ratio of hidden channels is a ratio, not a count.
    """

    paper: ClassVar[str] = "https://arxiv.org/abs/1709.01507"
    title: ClassVar[str] = "Squeeze-and-excitation"

    def __init__(self, channels: int, rd_ratio: float = 1 / 16) -> None:
        super().__init__(channels)
        hidden = _reduced(channels, rd_ratio)
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.fc2 = nn.Conv2d(hidden, channels, 1)

    def gates(self, x: Tensor) -> Tensor:
        """Gates (b, C) from each channel's mean."""
        squeezed = x.mean(dim=(2, 3), keepdim=True)  # (b, C, 1, 1)
        return self.fc2(self.fc1(squeezed).relu()).sigmoid().flatten(1)

    def multiply_adds(self, height: int, width: int) -> int:
        """Multiply-adds for one feature map: the two layers, and the scaling."""
        return 2 * self.channels * self.fc1.out_channels + self.channels * height * width


class EfficientChannelAttention(_Gate):
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


class ChannelGate(_Gate):
    """Each channel scaled by σ(MLP(mean(x)) + MLP(max(x))), one MLP for both.

    The channel half of "CBAM", Woo et al., 2018: https://arxiv.org/abs/1807.06521. Parameters `fc1`, `fc2`
    (without biases) as in timm's ChannelAttn. Departure: CBAM's spatial half is left out.
    """

    paper: ClassVar[str] = "https://arxiv.org/abs/1807.06521"
    title: ClassVar[str] = "CBAM channel gate"

    def __init__(self, channels: int, rd_ratio: float = 1 / 16) -> None:
        super().__init__(channels)
        hidden = _reduced(channels, rd_ratio)
        self.fc1 = nn.Conv2d(channels, hidden, 1, bias=False)
        self.fc2 = nn.Conv2d(hidden, channels, 1, bias=False)

    def gates(self, x: Tensor) -> Tensor:
        """Gates (b, C) from each channel's mean and maximum."""
        mean = self.fc2(self.fc1(x.mean(dim=(2, 3), keepdim=True)).relu())  # (b, C, 1, 1)
        peak = self.fc2(self.fc1(x.amax(dim=(2, 3), keepdim=True)).relu())
        return (mean + peak).sigmoid().flatten(1)

    def multiply_adds(self, height: int, width: int) -> int:
        """Multiply-adds for one feature map: the two layers twice, and the scaling."""
        return 4 * self.channels * self.fc1.out_channels + self.channels * height * width


class ChannelSelfAttention(_ChannelAttention):
    """The input plus γ times its channels, mixed by softmax_j(max_j E_ij − E_ij), E = x xᵀ.

    The channel attention module (CAM) of "Dual Attention Network for Scene Segmentation", Fu et al., 2018:
    https://arxiv.org/abs/1809.02983; parameter `gamma` as in its code. Two things to know: subtracting from the
    maximum, which is the authors' code and not the paper's equation, gives *dissimilar* channels more weight; and γ
    starts at 0, so an untrained module is the identity.
    """

    kind: ClassVar[Literal["gate", "channel_map"]] = "channel_map"
    paper: ClassVar[str] = "https://arxiv.org/abs/1809.02983"
    title: ClassVar[str] = "Channel self-attention (CAM)"

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, return_attention: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Output (b, C, h, w); with `return_attention` also the map (b, C, C), whose rows sum to 1."""
        self._check(x)
        # A channel's product with itself grows with the number of positions and leaves half precision's range.
        rows = x.flatten(2).to(torch.promote_types(x.dtype, torch.float32))  # (b, C, N)
        energy = rows @ rows.transpose(1, 2)  # (b, C, C)
        attn = (energy.amax(dim=-1, keepdim=True) - energy).softmax(dim=-1).to(x.dtype)
        y = x + self.gamma * (attn @ x.flatten(2)).view_as(x)
        return (y, attn) if return_attention else y

    def multiply_adds(self, height: int, width: int) -> int:
        """Multiply-adds for one feature map: the two products with the C × C map, and γ."""
        return (2 * self.channels**2 + self.channels) * height * width


class CrossCovarianceAttention(_ChannelAttention):
    """Channels mixed by softmax(q̂ k̂ᵀ · τ), q̂ and k̂ being L2-normalised over the positions.

    XCA of "XCiT: Cross-Covariance Image Transformers", El-Nouby et al., 2021: https://arxiv.org/abs/2106.09681.
    Parameters `temperature`, `qkv`, `proj` as in the authors' code and timm's XCA, which give tokens (b, N, C);
    here a feature map (b, C, h, w) goes in and comes out. The map is block-diagonal: a channel sees the channels of
    its own head. Departure: `residual=True` gives x + XCA(x), the block's own sum, without its layer scale.

    Raises ValueError for channels not divisible by `heads`.
    """

    kind: ClassVar[Literal["gate", "channel_map"]] = "channel_map"
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
        logits = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1) * self.temperature
        attn = logits.softmax(dim=-1)  # (b, heads, C / heads, C / heads)
        out = self.proj((attn @ v).flatten(1, 2).transpose(1, 2))  # (b, N, C)
        y = out.transpose(1, 2).unflatten(2, x.shape[2:])
        y = x + y if self.residual else y
        return (y, _block_diagonal(attn)) if return_attention else y

    def multiply_adds(self, height: int, width: int) -> int:
        """Multiply-adds for one feature map: the four linear maps, and the two products with the heads' maps."""
        return (4 * self.channels**2 + 2 * self.channels**2 // self.heads) * height * width


CHANNEL_MECHANISMS: dict[str, type[_ChannelAttention]] = {
    "se": SqueezeExcite,
    "eca": EfficientChannelAttention,
    "cbam": ChannelGate,
    "cam": ChannelSelfAttention,
    "xca": CrossCovarianceAttention,
}


def _reduced(channels: int, rd_ratio: float) -> int:
    """Hidden channels at a reduction ratio, at least one, halves rounded up as in timm."""
    return max(1, int(channels * rd_ratio + 0.5))


def _block_diagonal(blocks: Tensor) -> Tensor:
    """Heads' maps (b, heads, d, d) laid along the diagonal of one map (b, heads · d, heads · d)."""
    own_head = torch.eye(blocks.shape[1], dtype=blocks.dtype, device=blocks.device)
    return torch.einsum("bhij,hg->bhigj", blocks, own_head).flatten(3, 4).flatten(1, 2)
