"""Attention over positions and over channels: one paper, one file."""

from attn.mechanisms.base import ChannelAttention
from attn.mechanisms.cam import ChannelSelfAttention
from attn.mechanisms.cbam import ChannelGate
from attn.mechanisms.eca import EfficientChannelAttention
from attn.mechanisms.squeeze_excite import SqueezeExcite
from attn.mechanisms.xca import CrossCovarianceAttention

CHANNEL_MECHANISMS: dict[str, type[ChannelAttention]] = {
    "se": SqueezeExcite,
    "eca": EfficientChannelAttention,
    "cbam": ChannelGate,
    "cam": ChannelSelfAttention,
    "xca": CrossCovarianceAttention,
}
