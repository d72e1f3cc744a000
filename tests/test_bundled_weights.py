"""The files in assets/weights: whole, the ones that were measured, and better than chance on a drawn scene."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from safetensors.torch import load_file

from attn.bundled import WEIGHTS_DIR, load_bundled
from attn.checkpoints import build_attention
from attn.images import open_image
from attn.inspector import Inspector
from attn.stems import DETAILS, ResNetStem, resnet
from attn.training.grouping_auc import affinity, cosine, grid_segments, grouping_auc, load_segments

SHARED = os.environ.get("ATTN_SHARED")
FILES = ("attention_layer2.safetensors", "attention_layer3.safetensors", "stem.safetensors", "tuned_layer3.safetensors")


def drawn_scene(seed: int = 0) -> tuple[Image.Image, np.ndarray]:
    """A picture of three things on a ground, each with its own colour and grain, and whose every pixel is."""
    rng = np.random.default_rng(seed)
    segments = Image.new("L", (320, 240), 0)
    draw = ImageDraw.Draw(segments)
    draw.ellipse((30, 40, 130, 170), fill=1)
    draw.rectangle((170, 20, 290, 110), fill=2)
    draw.polygon([(160, 230), (230, 130), (300, 230)], fill=3)
    owner = np.asarray(segments)
    colours = np.array([(110, 130, 90), (190, 90, 60), (70, 90, 180), (200, 190, 90)])
    grain = np.array([10, 35, 18, 50])
    pixels = colours[owner] + rng.normal(size=(*owner.shape, 1)) * grain[owner][..., None]
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), owner


def test_every_file_is_the_one_the_manifest_names() -> None:
    manifest = json.loads((WEIGHTS_DIR / "manifest.json").read_text())
    assert sorted(manifest) == sorted(path.name for path in WEIGHTS_DIR.glob("*.safetensors")) == sorted(FILES)
    card = (WEIGHTS_DIR / "README.md").read_text()
    for name in FILES:
        digest = hashlib.sha256((WEIGHTS_DIR / name).read_bytes()).hexdigest()
        assert digest == manifest[name]["sha256"]
        assert digest in card
    assets = WEIGHTS_DIR.parent
    assert sum(path.stat().st_size for path in assets.rglob("*") if path.is_file()) < 18e6


def test_features_of_a_test_card_are_those_recorded() -> None:
    card = Image.new("RGB", (160, 96), (120, 120, 120))
    draw = ImageDraw.Draw(card)
    for index, colour in enumerate(((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 255, 255))):
        draw.rectangle((index * 32, 0, index * 32 + 31, 47), fill=colour)
    features = Inspector(detail="coarse", weights="trained").encode(card, 160).features
    assert features.shape == (256, 6, 10)
    measured = [features.mean(), features.std(), features.max(), features[7].mean(), features[100].mean()]
    np.testing.assert_allclose(measured, [0.1301, 0.1849, 2.0666, 0.0416, 0.0169], rtol=2e-3)


def test_tuned_layers_are_the_two_that_the_texts_name_and_only_there() -> None:
    stored = load_bundled("tuned_layer3.safetensors")
    stages = {name.split(".")[1] for name in stored if name.startswith("stem.")}
    assert stages == {"layer2", "layer3"}
    assert not any(name.startswith("stem.") for name in load_bundled("attention_layer3.safetensors"))


@pytest.mark.parametrize(("stage", "source"), [("layer2", "trained"), ("layer3", "trained"), ("layer3", "tuned")])
@pytest.mark.parametrize("detail", DETAILS)
def test_blocks_beat_the_random_one_on_a_drawn_scene(stage: str, source: str, detail: str) -> None:
    picture, owner = drawn_scene()
    inspector = Inspector("bundled", stage, detail=detail, weights=source)
    encoding = inspector.encode(picture, 320)
    features = torch.from_numpy(encoding.features)[None]
    segments = grid_segments(owner, encoding.grid)[None]
    blocks = {
        name: build_attention(features.shape[1], weights, stem="bundled", stage=stage, position=position)[0]
        for name, weights, position in (
            ("with", source, True),
            ("without", source, False),
            ("random", "random", False),
        )
    }
    with torch.inference_mode():
        aucs = {name: grouping_auc(affinity(block, features)[0], segments) for name, block in blocks.items()}
        aucs["features"] = grouping_auc(cosine(features)[0], segments)
    assert abs(aucs["random"] - 0.5) < 0.15
    assert aucs["without"] > aucs["random"] + 0.15
    assert aucs["with"] > aucs["random"] + 0.15


@pytest.mark.skipif(not SHARED, reason="ATTN_SHARED does not name the folder with ImageNet weights and photographs")
def test_the_trained_block_fits_torchvisions_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """On ten photographs nobody learnt from: above ResNet-18's features alone, not far below the stem's averages."""
    teacher = load_file(Path(SHARED or "") / "weights" / "resnet18_imagenet1k_v1_to_layer3.safetensors")
    monkeypatch.setattr(resnet, "torchvision_weights", lambda name: teacher)
    block, _ = build_attention(256, "trained", stem="resnet18", stage="layer3")
    aucs: dict[str, list[float]] = {"bundled": [], "resnet18": []}
    alone = []
    for path in sorted((Path(SHARED or "") / "data" / "bsds500" / "val").glob("*.jpg"))[::10]:
        for name, each in aucs.items():
            stem = ResNetStem(name, "layer3")
            with torch.inference_mode():
                x = stem(stem.preprocess(open_image(path), 160))
                segments = load_segments(path.with_suffix(".npz"), (x.shape[2], x.shape[3]))
                each.append(grouping_auc(affinity(block, x)[0], segments))
                if name == "resnet18":
                    alone.append(grouping_auc(cosine(x)[0], segments))
    assert np.mean(aucs["bundled"]) > 0.85
    assert np.mean(aucs["resnet18"]) > max(np.mean(alone) + 0.03, np.mean(aucs["bundled"]) - 0.04)
