"""Attention over positions and over channels: one paper, one file."""

from importlib import import_module

from attn.mechanisms.base import KINDS, Kind, Mechanism
from attn.mechanisms.cam import ChannelSelfAttention
from attn.mechanisms.cbam import ChannelGate
from attn.mechanisms.eca import EfficientChannelAttention
from attn.mechanisms.spatial import AttnBlock
from attn.mechanisms.squeeze_excite import SqueezeExcite
from attn.mechanisms.transposed import TransposedAttnBlock
from attn.mechanisms.xca import CrossCovarianceAttention

# The registry, in the order in which mechanisms are shown: one line a mechanism, naming the file with its RECORD.
_FILES = (
    "spatial",
    "squeeze_excite",
    "eca",
    "cbam",
    "cam",
    "xca",
    "transposed",
)
MECHANISMS: dict[str, Mechanism] = {
    record.name: record for record in (import_module(f"{__name__}.{file}").RECORD for file in _FILES)
}

__all__ = [
    "KINDS",
    "MECHANISMS",
    "AttnBlock",
    "ChannelGate",
    "ChannelSelfAttention",
    "CrossCovarianceAttention",
    "EfficientChannelAttention",
    "Kind",
    "Mechanism",
    "SqueezeExcite",
    "TransposedAttnBlock",
]
