"""What a mechanism is: its record in the registry, its call shape, and the check at the entrance.

One call shape for all: `m(x)` gives y of x's shape (b, C, h, w); `m(x, return_attention=True)` gives (y, weights).
What the weights are is the mechanism's kind:

- `spatial`: (b, N, N), a map from every position (row, the query) to every other (column, the key), N = h · w;
- `gate`: (b, C), one factor a channel;
- `channel_map`: (b, C, C), a map from every channel (row) to every other;
- `spatial_gate`: (b, 1, h, w), one factor a position;
- `none`: somebody's module whose weights cannot be seen.

Rows of maps sum to 1. No mechanism over channels needs a position encoding: shuffling the positions shuffles the
output and leaves gates and channel maps as they were. All raise ValueError if x is not (b, C, h, w) with the module's
C and at least one position.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

Kind = Literal["spatial", "gate", "channel_map", "spatial_gate", "none"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Mechanism:
    """A mechanism's record in the registry, `attn.mechanisms.MECHANISMS`.

    name: short, as in files, addresses and keys of texts. title: as its paper calls it, with a link to the paper.
    build: makes a module with fresh weights for a number of channels.
    of_block: makes it of the AttnBlock that is inspected, with that block's weights; None where it has its own.
    """

    name: str
    title: str
    paper: str
    kind: Kind
    build: Callable[[int], nn.Module]
    of_block: Callable[[Any], nn.Module] | None = None

    @classmethod
    def of(
        cls,
        name: str,
        module: Any,
        build: Callable[[int], nn.Module] | None = None,
        of_block: Callable[[Any], nn.Module] | None = None,
    ) -> "Mechanism":
        """The record of a module class with `title`, `paper` and `kind`; ``build`` where channels do not suffice."""
        return cls(name, module.title, module.paper, module.kind, build or module, of_block)

    @property
    def formula(self) -> str:
        """Key of its formula in `attn.texts`."""
        return f"formulas.{self.name}"


class ChannelAttention(nn.Module):
    """What every mechanism over channels has in common: its channels, and the check at the entrance."""

    kind: ClassVar[Kind]
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

    kind: ClassVar[Kind] = "gate"

    def forward(self, x: Tensor, return_attention: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Output (b, C, h, w); with `return_attention` also the gates (b, C), each in (0, 1)."""
        self._check(x)
        gates = self.gates(x)  # (b, C)
        y = x * gates[:, :, None, None]
        return (y, gates) if return_attention else y

    def gates(self, x: Tensor) -> Tensor:
        """Gates (b, C) of a feature map (b, C, h, w)."""
        raise NotImplementedError


def widened(x: Tensor) -> Tensor:
    """x in single precision at least, for sums and products over positions that leave half precision's range."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def without_autocast(x: Tensor) -> AbstractContextManager[Any]:
    """Autocast, which would narrow products of `widened` tensors again, switched off on x's device."""
    device = x.device.type
    return torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext()


def reduced(channels: int, rd_ratio: float) -> int:
    """Hidden channels at a reduction ratio, at least one, halves rounded up as in timm."""
    return max(1, int(channels * rd_ratio + 0.5))
