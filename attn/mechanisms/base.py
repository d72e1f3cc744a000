"""What every mechanism over channels has in common: one call shape, and the check at the entrance.

One call shape for all: `m(x)` gives y; `m(x, return_attention=True)` gives (y, gates (b, C)) for a gate and
(y, map (b, C, C)) for a channel map. None of them needs a position encoding: shuffling the positions shuffles
the output and leaves gates and maps as they were. All raise ValueError if x is not (b, C, h, w) with the
module's C and at least one position.
"""

from typing import ClassVar, Literal

from torch import Tensor, nn


class ChannelAttention(nn.Module):
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


class Gate(ChannelAttention):
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


def reduced(channels: int, rd_ratio: float) -> int:
    """Hidden channels at a reduction ratio, at least one, halves rounded up as in timm."""
    return max(1, int(channels * rd_ratio + 0.5))
