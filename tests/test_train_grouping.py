"""train_grouping: what it aims at by hand, and that it gets there on features drawn from known segments."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from attn import bundled
from attn.bundled import load_bundled
from attn.mechanisms.spatial import AttnBlock
from attn.training import train_grouping as training
from attn.training.grouping_auc import affinity, build, grouping_auc, load
from attn.training.train_grouping import Example

CHANNELS = 64


def _photograph(seed: int, grid: tuple[int, int] = (6, 8)) -> Example:
    """Three vertical stripes; a few channels tell which, the others are louder and noise."""
    rng = torch.Generator().manual_seed(seed)
    stripe = (torch.arange(grid[1]) * 3 // grid[1]).expand(grid)
    features = 1 + torch.randn(CHANNELS, *grid, generator=rng)
    colours = torch.randn(3, 6, generator=rng)
    features[:6] = colours[stripe].permute(2, 0, 1) + 0.2 * torch.randn(6, *grid, generator=rng)
    return Example(features.half(), stripe.flatten()[None].repeat(2, 1))


def _auc(module: nn.Module, examples: list[Example]) -> float:
    with torch.no_grad():
        scores = [affinity(module, example.features[None].float())[0] for example in examples]
    return float(np.mean([grouping_auc(s, e.segments) for s, e in zip(scores, examples, strict=True)]))


@pytest.fixture(scope="module")
def photographs() -> list[list[Example]]:
    return [[_photograph(seed)] for seed in range(24)]


@pytest.fixture(scope="module")
def unseen() -> list[Example]:
    return [_photograph(seed) for seed in range(100, 106)]


def test_targets_by_hand() -> None:
    # Two annotators, A A A B and A A B B; query 3 is alone for the first, who has no say on it.
    own, other = training.targets(torch.tensor([[0, 0, 0, 1], [5, 5, 8, 8]]), torch.tensor([0, 3]))
    torch.testing.assert_close(own, torch.tensor([[0, 0.75, 0.25, 0], [0, 0, 1, 0]]))
    torch.testing.assert_close(other, torch.tensor([[0, 0, 0.25, 0.75], [0.5, 0.5, 0, 0]]))


def test_targets_are_empty_where_nobody_has_a_say() -> None:
    own, other = training.targets(torch.tensor([[3, 3, 3]]), torch.tensor([1]))
    assert own.sum() == other.sum() == 0


def test_segment_means_by_hand() -> None:
    tokens = torch.tensor([[1.0], [3.0], [8.0]])
    means = training.segment_means(tokens, torch.tensor([[4, 4, 9], [0, 1, 1]]))
    torch.testing.assert_close(means, torch.tensor([[1.5], [3.75], [6.75]]))


def test_segment_error_by_hand() -> None:
    x = torch.tensor([1.0, 3.0, 6.0, 6.0]).view(1, 1, 2, 2)
    segments = torch.tensor([[0, 0, 1, 1]])
    assert training.segment_error(x, x, segments) == 1
    assert training.segment_error(x, torch.tensor([2.0, 2.0, 6.0, 6.0]).view(1, 1, 2, 2), segments) == 0


def test_ranking_loss_by_hand() -> None:
    scores = torch.tensor([[0.0, 3.0, 1.0]])
    own, other = torch.tensor([[0.0, 1.0, 0.0]]), torch.tensor([[0.0, 0.0, 1.0]])
    loss = training.ranking_loss(scores, own, other)
    assert loss.item() == pytest.approx(2 * np.log1p(np.exp(-1)), abs=1e-6)
    # A query's level does not matter, only the order does.
    torch.testing.assert_close(training.ranking_loss(scores + 7, own, other), loss)
    assert training.ranking_loss(scores, other, own) > loss


def test_hear_position_silences_content_where_it_hears_position() -> None:
    block = build("attn_position", CHANNELS)
    assert isinstance(block, AttnBlock)
    size = training.hear_position(block)
    heard = size != training.LOUD
    assert (size[heard] == 0.5).all()
    assert heard[: CHANNELS // 2].sum() == heard[CHANNELS // 2 :].sum() == 2 * training.WAVES
    torch.testing.assert_close(block.norm.weight[heard], torch.full((int(heard.sum()),), training.QUIET))
    with pytest.raises(ValueError, match="expected a block with a SinusoidalEncoding2d"):
        training.hear_position(AttnBlock(CHANNELS))


@pytest.mark.parametrize("mechanism", ["attn", "attn_position"])
def test_a_block_learns_where_and_what(mechanism: str, photographs: list[list[Example]], unseen: list[Example]) -> None:
    torch.manual_seed(0)
    block = build(mechanism, CHANNELS)
    assert isinstance(block, AttnBlock)
    before = _auc(block, unseen)
    training.train_where(block, photographs, steps=40, members=2, batch=6, rate=1e-2, noise=0.1)
    assert _auc(block, unseen) > max(0.75, before + 0.2)
    training.fit_what(block, photographs)
    with torch.no_grad():
        inputs = [views[0].features[None].float() for views in photographs]
        errors = [
            training.segment_error(x, block(x), views[0].segments) for x, views in zip(inputs, photographs, strict=True)
        ]
    assert torch.stack(errors).mean() < 0.97


def test_fit_what_is_the_least_squares_solution(photographs: list[list[Example]]) -> None:
    torch.manual_seed(0)
    block = AttnBlock(CHANNELS)
    training.fit_what(block, photographs, ridge=0)

    def error() -> float:
        with torch.no_grad():
            errors = [
                (block(e.features[None].float())[0].flatten(1).T
                - training.segment_means(e.features.float().flatten(1).T, e.segments)).square().sum()
                for [e] in photographs
            ]  # fmt: skip
        return float(torch.stack(errors).sum())

    best = error()
    for layer in (block.v, block.proj_out):
        for parameter in layer.parameters():
            for step in (0.02, -0.02):
                with torch.no_grad():
                    parameter.add_(step)
                assert error() > best
                with torch.no_grad():
                    parameter.sub_(step)


@pytest.mark.parametrize("mechanism", ["se", "eca", "cbam", "cam", "xca"])
def test_a_channel_mechanism_learns(mechanism: str, photographs: list[list[Example]], unseen: list[Example]) -> None:
    torch.manual_seed(1)  # with 0 all of CBAM's hidden units start dead on these features
    module = build(mechanism, CHANNELS)
    training.train_channel(module, photographs, steps=40, batch=4, rate=1e-2)
    assert not module.training
    # Reweighting ten times louder noise away is possible for a gate; CAM's one number can do next to nothing.
    gain = _auc(module, unseen) - _auc(nn.Identity(), unseen)
    assert gain > (-0.005 if mechanism == "cam" else 0.01)


def test_train_is_reproducible_and_fits_half_precision(photographs: list[list[Example]]) -> None:
    first, second = (training.train("attn", CHANNELS, photographs, quick=True, seed=5).state_dict() for _ in range(2))
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name])
        assert torch.equal(tensor, tensor.half().float())


class ColourStem(nn.Module):
    """Colours of 8 px cells, repeated with noise that depends on the place: a stem small enough for a test."""

    name, stage = "bundled", "layer3"
    stride_px = 8
    std = (1.0, 1.0, 1.0)
    channels = CHANNELS

    def preprocess(self, image: Image.Image, longest_side: int) -> Tensor:
        return torch.from_numpy(np.array(image, np.float32) / 255).permute(2, 0, 1)[None]

    def forward(self, x: Tensor) -> Tensor:
        return torch.tile(nn.functional.avg_pool2d(x, 8), (1, 22, 1, 1))[:, :CHANNELS]


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for number in range(3):
        pixels = rng.integers(0, 60, (32, 48, 3), np.uint8)
        pixels[:, :16, 0] += 150
        halves = np.zeros((32, 48), np.uint16)
        halves[:, 16:] = 1
        Image.fromarray(pixels).save(tmp_path / f"{number}.jpg", quality=95)
        np.savez(tmp_path / f"{number}.npz", halves, halves)
    return tmp_path


def test_the_factor_makes_the_softmax_as_wide_as_the_segments(photographs: list[list[Example]]) -> None:
    torch.manual_seed(3)
    block = build("attn_position", CHANNELS)
    examples = [views[0] for views in photographs[:8]]
    training.fit_factor(block, examples)
    widths, sizes = [], []
    with torch.no_grad():
        for example in examples:
            attention = affinity(block, example.features[None].float())[0].softmax(-1)
            widths.append((-(attention * attention.log()).sum(-1)).exp())
            sizes.append((example.segments[0][:, None] == example.segments[0]).sum(-1))
    width, size = float(torch.cat(widths).median()), float(torch.cat(sizes).median())
    assert width == pytest.approx(size, rel=0.2)


def test_cache_mirrors_features_and_segments_together(scene: Path) -> None:
    photographs = training.cache(ColourStem(), scene, [48])  # type: ignore[arg-type]
    assert [len(views) for views in photographs] == [2, 2, 2]
    plain, mirrored = photographs[0]
    torch.testing.assert_close(mirrored.features, plain.features.flip(-1), atol=1e-2, rtol=0)
    assert plain.segments.tolist() == [[0, 0, 1, 1, 1, 1] * 4] * 2
    assert mirrored.segments.tolist() == [[1, 1, 1, 1, 0, 0] * 4] * 2


def test_cache_refuses_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="found none"):
        training.cache(ColourStem(), tmp_path, [48])  # type: ignore[arg-type]


def test_command_line(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(training, "ResNetStem", lambda name, stage, detail: ColourStem())
    output = tmp_path / "weights"
    folders = ["--images", str(scene), "--output", str(output)]
    training.main([*folders, "--quick", "--sides", "48"])
    monkeypatch.setattr(bundled, "WEIGHTS_DIR", output)
    # What was written passes the check at load and fills every module.
    weights = load_bundled("attention_layer3.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float16}
    for mechanism in training.TRAINED:
        load(mechanism, CHANNELS, weights)
    figures = json.loads((output / "figures.json").read_text())["layer3"]
    assert figures["sides_trained"] == [48]
    assert set(figures["seconds"]) == set(training.TRAINED)
    assert "attn_position" in capsys.readouterr().out
    # A second stage joins the first.
    training.main([*folders, "--quick", "--sides", "48", "--stage", "layer2", "--mechanism", "se"])
    assert set(json.loads((output / "figures.json").read_text())) == {"layer2", "layer3"}
    assert set(json.loads((output / "manifest.json").read_text())) == {
        "attention_layer2.safetensors",
        "attention_layer3.safetensors",
    }
    assert set(load_file(output / "attention_layer2.safetensors")) == {
        "se.fc1.weight", "se.fc1.bias", "se.fc2.weight", "se.fc2.bias"
    }  # fmt: skip
