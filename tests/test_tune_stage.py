"""Tuning a stage with its attention: on drawn features, and the command into a file that the inspector takes."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from attn import bundled
from attn.bundled import load_bundled
from attn.mechanisms.spatial import AttnBlock
from attn.training import tune_stage
from attn.training.grouping_auc import TRAINED, affinity, build, load
from attn.training.train_grouping import Example, set_form
from tests.test_bundled_weights import drawn_scene
from tests.test_train_grouping import CHANNELS, _photograph


def toy_stage() -> nn.Module:
    torch.manual_seed(0)
    stage = nn.Conv2d(CHANNELS, CHANNELS, 1)
    nn.init.dirac_(stage.weight)
    return stage


@pytest.mark.parametrize("mechanism", ["attn_position", "xca"])
def test_stage_and_scores_learn_together(mechanism: str) -> None:
    torch.manual_seed(0)
    photographs = [[_photograph(seed)] for seed in range(16)]
    unseen = [[_photograph(seed)] for seed in range(100, 104)]
    stage, module = toy_stage(), build(mechanism, CHANNELS)
    scores = tune_stage.BlockScores(module) if isinstance(module, AttnBlock) else tune_stage.CosineScores(module)
    before, start = tune_stage.judge(stage, scores, unseen).mean(), copy.deepcopy(stage.state_dict())
    tune_stage.tune(stage, scores, photographs, steps=40, seed=0, rate=1e-2)
    assert tune_stage.judge(stage, scores, unseen).mean() > before + 0.1
    assert not torch.equal(stage.weight, start["weight"])
    assert not any(parameter.requires_grad for parameter in stage.parameters())


def test_scores_learn_the_teachers_attention_without_segments() -> None:
    torch.manual_seed(0)
    stage, rng = toy_stage(), np.random.default_rng(0)
    scores, teacher = (tune_stage.BlockScores(build("attn_position", CHANNELS)) for _ in range(2))
    lessons = []
    with torch.no_grad():
        teacher.query *= 3  # at the start both are all but flat
        for _ in range(8):
            x, queries = torch.randn(CHANNELS, 4, 5), torch.arange(0, 20, 2)
            both = torch.stack([x, x.flip(-1)]).half()
            lessons.append(tune_stage.Lesson(both, queries, teacher(x[None], queries).half()))

    @torch.no_grad()
    def mean_divergence() -> float:
        return float(np.mean([float(tune_stage.divergence(stage, scores, each, rng)) for each in lessons]))

    start = mean_divergence()
    # A photograph whose annotator calls everything one thing ranks nothing: the lessons alone teach.
    alike = [[Example(lessons[0].before[0], torch.zeros(1, 20, dtype=torch.int64))]]
    tune_stage.tune(stage, scores, alike, steps=60, seed=0, rate=1e-2, taught=lessons)
    assert mean_divergence() < start / 2


def test_a_lesson_is_the_same_mirrored() -> None:
    """Without position, a mirrored photograph has the mirrored attention."""
    torch.manual_seed(0)
    stage, x = toy_stage(), torch.randn(CHANNELS, 4, 5)
    scores = tune_stage.CosineScores(nn.Identity())
    finer = x.repeat_interleave(2, 1).repeat_interleave(2, 2)
    queries = torch.tensor([0, 3, 13])
    with torch.no_grad():
        lesson = tune_stage.Lesson(torch.stack([finer, finer.flip(-1)]), queries, scores(x[None], queries))
        stage = nn.Sequential(nn.AvgPool2d(2), stage)
        found = [float(tune_stage.divergence(stage, scores, lesson, np.random.default_rng(s))) for s in range(6)]
    assert max(found) < 0.05


def test_only_the_last_stages_can_learn() -> None:
    layers = tune_stage.dilated_layers({})
    frozen, learning = tune_stage.split(layers, ["layer2", "layer3"])
    assert [name for name, _ in learning.named_children()] == ["layer2", "layer3"]
    x = torch.randn(1, 3, 32, 48)
    assert torch.equal(learning(frozen(x)), layers(x))
    with pytest.raises(ValueError, match="expected the last stages to learn, got layer2"):
        tune_stage.split(layers, ["layer2"])


def test_the_layers_to_go_on_from_are_those_given() -> None:
    changed = {"stem.layer3.0.bn1.bias": torch.full((256,), 2.0), "attn.q.weight": torch.zeros(1)}
    layers, plain = tune_stage.dilated_layers(changed), tune_stage.dilated_layers({})
    different = [n for n, t in layers.state_dict().items() if not torch.equal(t, plain.state_dict()[n])]
    assert different == ["layer3.0.bn1.bias"]


def test_scores_become_a_block_that_ranks_the_same() -> None:
    torch.manual_seed(1)
    scores = tune_stage.BlockScores(build("attn_position", CHANNELS))
    block = build("attn_position", CHANNELS)
    with torch.no_grad():
        tune_stage.hear_position(block)
        set_form(block, scores.query.T @ scores.key, scores.key.T @ scores.bias, scores.size)
        features = torch.randn(1, CHANNELS, 4, 5)
        logits, expected = affinity(block, features)[0], scores(features, torch.arange(20))
    # Up to what is the same for every key of a query, which neither softmax nor ranking sees.
    centred, wanted = (t - t.mean(1, keepdim=True) for t in (logits, expected))
    torch.testing.assert_close(centred, wanted, rtol=1e-3, atol=1e-3)


def test_the_mean_of_scores_does_not_depend_on_how_q_and_k_are_turned() -> None:
    torch.manual_seed(2)
    first, second = (tune_stage.BlockScores(build("attn_position", CHANNELS)) for _ in range(2))
    turned = copy.deepcopy(second)
    rotation = torch.linalg.qr(torch.randn(CHANNELS, CHANNELS)).Q
    features, queries = torch.randn(1, CHANNELS, 4, 5), torch.arange(20)
    with torch.no_grad():
        for parameter in (turned.query, turned.key):
            parameter.copy_(rotation @ parameter)
        turned.bias.copy_(rotation @ turned.bias)
        expected = (first(features, queries) + second(features, queries)) / 2
        mean = copy.deepcopy(first)
        mean.take_mean([first, turned])
        torch.testing.assert_close(mean(features, queries), expected, rtol=1e-3, atol=1e-3)


def test_mean_weights_by_hand() -> None:
    layers = [nn.Linear(1, 1), nn.Linear(1, 1)]
    for layer, value in zip(layers, (1.0, 4.0), strict=True):
        nn.init.constant_(layer.weight, value)
        nn.init.constant_(layer.bias, -value)
    mean = tune_stage.mean_weights(layers)
    assert (mean["weight"].item(), mean["bias"].item()) == (2.5, -2.5)


def test_a_look_keeps_features_and_segments_together() -> None:
    segments = torch.arange(48).repeat(2, 1)
    features = segments[0].view(1, 6, 8).float().repeat(3, 1, 1)
    rng = np.random.default_rng(0)
    sizes = set()
    for _ in range(20):
        before, seen = tune_stage.look(Example(features.half(), segments), rng)
        sizes.add(tuple(before.shape))
        assert seen.shape == (2, before.shape[1] * before.shape[2])
        # Noise scales a whole channel: where a channel is twice another, it is so at every position.
        ratio = before.flatten(1)[:, 1:] / seen[0, 1:]
        torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio))
    assert len(sizes) > 3


def test_a_look_at_finer_features_cuts_whole_positions() -> None:
    segments = torch.arange(48)[None]
    features = segments[0].view(1, 6, 8).repeat_interleave(2, 1).repeat_interleave(2, 2).float()
    for seed in range(10):
        before, seen = tune_stage.look(Example(features.half(), segments), np.random.default_rng(seed))
        coarse = before[0, ::2, ::2].flatten()
        torch.testing.assert_close(coarse * seen[0, -1] / coarse[-1], seen[0].float())


def test_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    scene = tmp_path / "scene"
    scene.mkdir()
    for seed in range(3):
        picture, owner = drawn_scene(seed)
        picture.save(scene / f"{seed}.jpg", quality=95)
        np.savez(scene / f"{seed}.npz", owner, owner)
    output = tmp_path / "weights"
    flags = ["--images", str(scene), "--output", str(output), "--quick", "--sides", "64"]
    tune_stage.main([*flags, "--learn", "layer3"])
    first = load_file(output / "tuned_layer3.safetensors")
    tune_stage.main([*flags, "--start", str(output / "tuned_layer3.safetensors"), "--photographs", str(scene)])
    tune_stage.main([*flags, "--alone", "se", "--validation", str(scene)])
    figures = json.loads((output / "figures.json").read_text())["layer3"]
    assert figures["alone"]["se"]["rows"][0]["photographs"] == 3
    assert "mean of" not in capsys.readouterr().out  # nothing was held out
    stem = load_bundled("stem.safetensors")
    monkeypatch.setattr(bundled, "WEIGHTS_DIR", output)
    stored = load_bundled("tuned_layer3.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}
    tuned = {name.removeprefix("stem."): t for name, t in stored.items() if name.startswith("stem.")}
    assert set(tuned) == {name for name in stem if name.startswith(("layer2.", "layer3."))}
    assert {name.split(".")[1] for name in first if name.startswith("stem.")} == {"layer3"}
    assert all(tensor.shape == stem[name].shape for name, tensor in tuned.items())
    for mechanism in TRAINED:
        load(mechanism, 256, stored)
    assert set(load_file(output / "tuned_layer3.safetensors")) == set(stored)
