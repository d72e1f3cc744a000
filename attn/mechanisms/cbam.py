"""The channel half of CBAM: https://arxiv.org/abs/1807.06521"""

from typing import ClassVar

from torch import Tensor, nn

from attn.mechanisms.base import Gate, Mechanism, reduced


class ChannelGate(Gate):
    """Each channel scaled by σ(MLP(mean(x)) + MLP(max(x))), one MLP for both.

    The channel half of "CBAM", Woo et al., 2018: https://arxiv.org/abs/1807.06521. Parameters `fc1`, `fc2`
    (without biases) as in timm's ChannelAttn. Departure: CBAM's spatial half is left out.
    """

    paper: ClassVar[str] = "https://arxiv.org/abs/1807.06521"
    title: ClassVar[str] = "CBAM channel gate"

    def __init__(self, channels: int, rd_ratio: float = 1 / 16) -> None:
        super().__init__(channels)
        hidden = reduced(channels, rd_ratio)
        self.fc1 = nn.Conv2d(channels, hidden, 1, bias=False)
        self.fc2 = nn.Conv2d(hidden, channels, 1, bias=False)

    def gates(self, x: Tensor) -> Tensor:
        """Gates (b, C) from each channel's mean and maximum."""
        mean = self.fc2(self.fc1(x.mean(dim=(2, 3), keepdim=True)).relu())  # (b, C, 1, 1)
        peak = self.fc2(self.fc1(x.amax(dim=(2, 3), keepdim=True)).relu())
        return (mean + peak).sigmoid().flatten(1)

    def multiply_adds(self, height: int, width: int) -> int:
        """Multiply-adds for one feature map: the two layers twice, and the scaling."""
        return 4 * self.channels * self.fc1.out_channels + self.channels * height * width


RECORD = Mechanism.of("cbam", ChannelGate)
