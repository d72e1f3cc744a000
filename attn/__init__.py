"""See where attention looks and which channels it weighs: spatial and channel attention on the same features."""

from attn.inspector import Inspection, Inspector, MechanismResult
from attn.mechanisms import (
    MECHANISMS,
    AttnBlock,
    ChannelGate,
    ChannelSelfAttention,
    CrossCovarianceAttention,
    EfficientChannelAttention,
    Mechanism,
    SqueezeExcite,
    TransposedAttnBlock,
)
from attn.notebook import show
from attn.stems import ResNetStem

__version__ = "0.1.0"

__all__ = [
    "MECHANISMS",
    "AttnBlock",
    "ChannelGate",
    "ChannelSelfAttention",
    "CrossCovarianceAttention",
    "EfficientChannelAttention",
    "Inspection",
    "Inspector",
    "Mechanism",
    "MechanismResult",
    "ResNetStem",
    "SqueezeExcite",
    "TransposedAttnBlock",
    "show",
]
