"""See where attention looks and which channels it weighs: spatial and channel attention on the same features."""

from attn.channel import (
    ChannelGate,
    ChannelSelfAttention,
    CrossCovarianceAttention,
    EfficientChannelAttention,
    SqueezeExcite,
)
from attn.inspector import Inspection, Inspector
from attn.spatial import AttnBlock
from attn.stem import ResNetStem

__all__ = [
    "AttnBlock",
    "ChannelGate",
    "ChannelSelfAttention",
    "CrossCovarianceAttention",
    "EfficientChannelAttention",
    "Inspection",
    "Inspector",
    "ResNetStem",
    "SqueezeExcite",
]
