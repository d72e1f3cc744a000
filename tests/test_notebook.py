"""One call, and a notebook shows the window."""

import torch
from gradio.media import get_image
from torch import Tensor, nn

import attn

CHEETAH = get_image("cheetah.jpg")


class Halving(nn.Module):
    """A mechanism that knows no protocol."""

    def forward(self, x: Tensor) -> Tensor:
        return x / 2


def test_a_module_of_ones_own_is_shown_among_the_others() -> None:
    inspection = attn.show(CHEETAH, Halving(), longest_side=64, detail="coarse", weights="similarity")
    assert inspection.grid == (3, 4)
    halved = inspection.mechanisms["halving"]
    torch.testing.assert_close(torch.from_numpy(halved.output), torch.from_numpy(inspection.features) / 2)
    assert inspection.mechanisms["spatial"].source.source == "similarity"
    assert inspection._repr_html_().startswith("<iframe srcdoc=")


def test_without_a_module_it_is_the_inspectors_own() -> None:
    assert list(attn.show(CHEETAH, longest_side=64).mechanisms) == list(attn.MECHANISMS)
