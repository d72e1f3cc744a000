"""Attention modules written out from their published definitions, with the names their code gives its parameters.

Libraries that install (diffusers, timm, torchvision) are used themselves; here stand those that do not.
"""

import torch
from torch import Tensor, nn


class CompVisAttnBlock(nn.Module):
    """The block of VQGAN and of latent diffusion's autoencoders: https://arxiv.org/abs/2012.09841"""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(32, channels, eps=1e-6)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        q, k, v = (layer(h).flatten(2) for layer in (self.q, self.k, self.v))  # (b, C, N)
        weights = (torch.einsum("bci,bcj->bij", q, k) * q.shape[1] ** -0.5).softmax(dim=2)
        return x + self.proj_out(torch.einsum("bij,bcj->bci", weights, v).view_as(x))


class OldDiffusersAttentionBlock(nn.Module):
    """diffusers' AttentionBlock before version 0.15: Linear layers query, key, value, proj_attn."""

    def __init__(self, channels: int, heads: int = 1, eps: float = 1e-6) -> None:
        super().__init__()
        self.heads = heads
        self.group_norm = nn.GroupNorm(32, channels, eps=eps)
        self.query, self.key, self.value, self.proj_attn = (nn.Linear(channels, channels) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        h = self.group_norm(x).flatten(2).transpose(1, 2)  # (b, N, C)
        q, k, v = (layer(h).unflatten(2, (self.heads, -1)) for layer in (self.query, self.key, self.value))
        scale = q.shape[-1] ** -0.25  # on queries and on keys
        weights = torch.einsum("bihc,bjhc->bhij", q * scale, k * scale).softmax(dim=-1)
        out = self.proj_attn(torch.einsum("bhij,bjhc->bihc", weights, v).flatten(2))
        return x + out.transpose(1, 2).reshape(x.shape)


class QkvAttentionBlock(nn.Module):
    """The block of guided diffusion and latent diffusion's U-Nets: one layer for queries, keys and values.

    Legacy order: the heads' (q, k, v) one after the other. New order: all queries, then all keys, then all values.
    """

    def __init__(self, channels: int, heads: int = 1, new_order: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.new_order = new_order
        self.norm = nn.GroupNorm(32, channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(2)  # (b, C, N)
        qkv = self.qkv(self.norm(rows))
        if self.new_order:
            q, k, v = qkv.unflatten(1, (3, self.heads, -1)).unbind(1)  # (b, heads, C / heads, N)
        else:
            q, k, v = qkv.unflatten(1, (self.heads, 3, -1)).unbind(2)
        scale = q.shape[2] ** -0.25
        weights = torch.einsum("bhct,bhcs->bhts", q * scale, k * scale).softmax(dim=-1)
        out = torch.einsum("bhts,bhcs->bhct", weights, v).flatten(1, 2)
        return (rows + self.proj_out(out)).view_as(x)


class SaganAttention(nn.Module):
    """Self-attention of SAGAN, https://arxiv.org/abs/1805.08318, in PyTorch; DANet's position module is the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query_conv = nn.Conv2d(channels, channels // 8, 1)
        self.key_conv = nn.Conv2d(channels, channels // 8, 1)
        self.value_conv = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (layer(x).flatten(2) for layer in (self.query_conv, self.key_conv, self.value_conv))
        weights = (q.transpose(1, 2) @ k).softmax(dim=-1)  # (b, query, key), nothing divides the products
        return self.gamma * (v @ weights.transpose(1, 2)).view_as(x) + x


class NonLocalBlock(nn.Module):
    """Names of the non-local block, https://arxiv.org/abs/1711.07971."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.theta, self.phi, self.g = (nn.Conv2d(channels, channels // 2, 1) for _ in range(3))
        self.W = nn.Sequential(nn.Conv2d(channels // 2, channels, 1), nn.BatchNorm2d(channels))


class SELayer(nn.Module):
    """Squeeze-and-excitation of Linear layers without biases: https://arxiv.org/abs/1709.01507"""

    def __init__(self, channels: int, reduction: int = 16, bias: bool = False) -> None:
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(channels, channels // reduction, bias=bias),
            nn.ReLU(),
            nn.Linear(channels // reduction, channels, bias=bias),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.fc(x.mean((2, 3)))[:, :, None, None]


class ECALayer(nn.Module):
    """Efficient channel attention with its authors' names: https://arxiv.org/abs/1910.03151"""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 1, kernel, padding=(kernel - 1) // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.conv(x.mean((2, 3))[:, None]).sigmoid()[:, 0, :, None, None]


class CbamChannelGate(nn.Module):
    """The channel gate of CBAM's code, whose layers have biases: https://arxiv.org/abs/1807.06521"""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = channels // reduction
        self.mlp = nn.Sequential(nn.Flatten(), nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels))

    def forward(self, x: Tensor) -> Tensor:
        return x * (self.mlp(x.mean((2, 3))) + self.mlp(x.amax((2, 3)))).sigmoid()[:, :, None, None]


class Cbam(nn.Module):
    """CBAM with its two halves; the spatial one holds a convolution and a batch norm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.ChannelGate = CbamChannelGate(channels)
        self.SpatialGate = nn.ModuleDict(
            {"spatial": nn.ModuleDict({"conv": nn.Conv2d(2, 1, 7, padding=3, bias=False), "bn": nn.BatchNorm2d(1)})}
        )


class DanetChannelAttention(nn.Module):
    """The channel attention module of DANet's code: https://arxiv.org/abs/1809.02983"""

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(2)  # (b, C, N)
        energy = rows @ rows.transpose(1, 2)
        weights = (energy.max(-1, keepdim=True)[0].expand_as(energy) - energy).softmax(dim=-1)
        return self.gamma * (weights @ rows).view_as(x) + x
