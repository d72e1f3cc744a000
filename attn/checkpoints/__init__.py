"""Where the weights of an attention module come from: trained, feature similarity, random, or a file."""

from attn.bundled import WEIGHTS_DIR, DamagedWeights, WeightsUnavailable
from attn.checkpoints.files import WeightsError
from attn.checkpoints.sources import SOURCES, WeightsInfo, build_attention, build_channel, has_trained

__all__ = [
    "SOURCES",
    "WEIGHTS_DIR",
    "DamagedWeights",
    "WeightsError",
    "WeightsInfo",
    "WeightsUnavailable",
    "build_attention",
    "build_channel",
    "has_trained",
]
