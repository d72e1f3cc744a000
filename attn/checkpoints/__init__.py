"""Where the weights of an attention module come from: trained, tuned, feature similarity, random, or a file."""

from attn.bundled import WEIGHTS_DIR, DamagedWeights, WeightsUnavailable
from attn.checkpoints.files import WeightsError
from attn.checkpoints.layouts import BlockFound, list_blocks
from attn.checkpoints.sources import (
    SOURCES,
    Seeded,
    WeightsInfo,
    build_attention,
    build_from_file,
    build_mechanism,
    has_trained,
    has_tuned,
)

__all__ = [
    "SOURCES",
    "WEIGHTS_DIR",
    "BlockFound",
    "DamagedWeights",
    "Seeded",
    "WeightsError",
    "WeightsInfo",
    "WeightsUnavailable",
    "build_attention",
    "build_from_file",
    "build_mechanism",
    "has_trained",
    "has_tuned",
    "list_blocks",
]
