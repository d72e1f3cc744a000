"""Sinusoidal position encodings: 1-D for tokens, 2-D for feature maps.

Attention treats its input as a set; adding one of these is what lets it tell one place from another.
"Attention Is All You Need", Vaswani et al., 2017: https://arxiv.org/abs/1706.03762
"""

import math

import torch
from torch import Tensor, nn


def sinusoidal_encoding_1d(length: int, channels: int, base: float = 10000.0) -> Tensor:
    """Encoding of positions 0 … length - 1, shape (length, channels), values in [-1, 1].

    Channel 2i is sin(position / base^(2i / channels)), channel 2i + 1 the cosine of the same angle, as in the
    paper. ValueError for a length below 1 or channels that are not a positive even number.
    """
    if length < 1:
        raise ValueError(f"expected a length of at least 1, got {length}")
    if channels < 2 or channels % 2:
        raise ValueError(f"expected a positive even number of channels, got {channels}")
    return _waves(torch.arange(length, dtype=torch.float32, device="cpu"), channels, base)


class SinusoidalEncoding2d(nn.Module):
    """Encoding of a grid's cells in the image: half of the channels tell the row, half the column.

    `forward(height, width)` gives (1, channels, height, width) float32. Channels 0 … C/2 - 1 hold the row, the
    rest the column, each as interleaved sine and cosine of C/4 frequencies falling from 1 to almost 1 / base.
    Both axes span [0, extent] over the image whatever the grid, a cell standing at its centre, so a finer grid of
    the same picture samples the same waves.

    `amplitude` scales the encoding and may be changed at any time; 0 switches it off. Nothing is learned and
    nothing is stored: a checkpoint is the same with and without it.

    Departures from the paper: two axes, positions relative to the image, a smaller base, an amplitude.
    ValueError for channels that are not a positive multiple of 4, or an empty grid.
    """

    def __init__(
        self, channels: int, *, base: float = 100.0, extent: float = 8 * math.pi, amplitude: float = 0.5
    ) -> None:
        super().__init__()
        if channels < 4 or channels % 4:
            raise ValueError(f"expected channels to be a positive multiple of 4, got {channels}")
        self.channels = channels
        self.base = base
        self.extent = extent
        self.amplitude = amplitude

    def forward(self, height: int, width: int) -> Tensor:
        """Encoding of a height × width grid, (1, channels, height, width) float32 on the CPU."""
        if height < 1 or width < 1:
            raise ValueError(f"expected a grid of at least 1 × 1, got {height} × {width}")
        rows = self._axis(height).T[:, :, None].expand(-1, -1, width)  # (C/2, h, w)
        columns = self._axis(width).T[:, None, :].expand(-1, height, -1)  # (C/2, h, w)
        return self.amplitude * torch.cat([rows, columns])[None]

    def _axis(self, cells: int) -> Tensor:
        centres = (torch.arange(cells, dtype=torch.float32, device="cpu") + 0.5) / cells
        return _waves(centres * self.extent, self.channels // 2, self.base)

    def extra_repr(self) -> str:
        return f"{self.channels}, base={self.base}, extent={self.extent:.4g}, amplitude={self.amplitude}"


def _waves(positions: Tensor, channels: int, base: float) -> Tensor:
    """Interleaved sine and cosine of every position at channels / 2 frequencies, (positions, channels)."""
    frequencies = base ** (-torch.arange(0, channels, 2, dtype=torch.float32, device="cpu") / channels)
    angles = positions[:, None] * frequencies
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
