"""See where attention looks and which channels it weighs: spatial and channel attention on the same features."""

from attn.inspector import Inspection, Inspector
from attn.mechanisms import (
    ChannelGate,
    ChannelSelfAttention,
    CrossCovarianceAttention,
    EfficientChannelAttention,
    SqueezeExcite,
)
from attn.mechanisms.spatial import AttnBlock
from attn.stems import ResNetStem

__version__ = "0.1.0"

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
