"""Position encodings against the formula, and what they promise about grids."""

import math

import pytest
import torch

from attn.mechanisms.position import SinusoidalEncoding2d, sinusoidal_encoding_1d


def test_1d_matches_the_paper_term_by_term() -> None:
    encoding = sinusoidal_encoding_1d(7, 6)
    for position in range(7):
        for i in range(3):
            angle = position / 10000 ** (2 * i / 6)
            assert encoding[position, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-6)
            assert encoding[position, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-6)


def test_1d_by_hand() -> None:
    expected = torch.tensor([[0.0, 1.0, 0.0, 1.0], [math.sin(1), math.cos(1), math.sin(0.1), math.cos(0.1)]])
    torch.testing.assert_close(sinusoidal_encoding_1d(2, 4, base=100.0), expected)


def test_1d_tells_every_position_apart() -> None:
    encoding = sinusoidal_encoding_1d(64, 32)
    apart = torch.cdist(encoding, encoding) + torch.eye(64)
    assert apart.min() > 0.1


def test_1d_product_of_two_positions_depends_on_their_distance_only() -> None:
    encoding = sinusoidal_encoding_1d(20, 16).double()
    products = encoding @ encoding.T
    torch.testing.assert_close(products[1:, 1:], products[:-1, :-1], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("length", "channels", "message"), [(0, 4, "got 0"), (3, 5, "got 5"), (3, 0, "got 0")])
def test_1d_refuses(length: int, channels: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sinusoidal_encoding_1d(length, channels)


def test_2d_by_hand() -> None:
    encoding = SinusoidalEncoding2d(8, base=100.0, extent=4.0, amplitude=1.0)(2, 1)
    assert encoding.shape == (1, 8, 2, 1)
    # Two rows stand at 1 and 3, the only column at 2; the two frequencies of an axis are 1 and 1/10.
    for row, y in enumerate((1.0, 3.0)):
        expected = [math.sin(y), math.cos(y), math.sin(y / 10), math.cos(y / 10)]
        expected += [math.sin(2), math.cos(2), math.sin(0.2), math.cos(0.2)]
        torch.testing.assert_close(encoding[0, :, row, 0], torch.tensor(expected))


def test_2d_halves_are_rows_and_columns() -> None:
    encoding = SinusoidalEncoding2d(16)(5, 7)[0]
    assert torch.equal(encoding[:8], encoding[:8, :, :1].expand(-1, -1, 7))
    assert torch.equal(encoding[8:], encoding[8:, :1].expand(-1, 5, -1))
    assert encoding[:8].std(dim=1).max() > 0.1
    assert encoding[8:].std(dim=2).max() > 0.1


def test_2d_axes_are_alike() -> None:
    encoding = SinusoidalEncoding2d(12)
    tall = encoding(6, 3)[0]
    wide = encoding(3, 6)[0]
    assert torch.equal(tall[:6].transpose(1, 2), wide[6:])


def test_2d_samples_the_same_waves_on_any_grid() -> None:
    encoding = SinusoidalEncoding2d(16)
    # The middle third of a cell cut in three lies at the cell's own centre.
    torch.testing.assert_close(encoding(12, 15)[:, :, 1::3, 1::3], encoding(4, 5), atol=1e-5, rtol=0)


def test_2d_tells_every_cell_apart() -> None:
    flat = SinusoidalEncoding2d(32)(16, 16)[0].flatten(1).T
    assert (torch.cdist(flat, flat) + torch.eye(256)).min() > 0.1


def test_2d_amplitude_can_be_changed_and_switched_off() -> None:
    encoding = SinusoidalEncoding2d(8)
    half = encoding(3, 4)
    assert half.abs().max() <= 0.5
    encoding.amplitude = 1.0
    torch.testing.assert_close(encoding(3, 4), 2 * half)
    encoding.amplitude = 0.0
    assert encoding(3, 4).count_nonzero() == 0


def test_2d_stores_nothing() -> None:
    assert SinusoidalEncoding2d(8).state_dict() == {}


@pytest.mark.parametrize("channels", [0, 2, 6])
def test_2d_refuses_channels(channels: int) -> None:
    with pytest.raises(ValueError, match=rf"multiple of 4, got {channels}"):
        SinusoidalEncoding2d(channels)


def test_2d_refuses_an_empty_grid() -> None:
    with pytest.raises(ValueError, match="at least 1 × 1, got 0 × 4"):
        SinusoidalEncoding2d(8)(0, 4)
