"""The bench's smaller panels: two photographs, a file's blocks, a network's own gates, and what was measured."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

from attn import measured
from attn.checkpoints import list_blocks
from attn.mechanisms import MECHANISMS
from attn.pairs import cross_attention_rows
from attn.stems import StemUnavailable
from attn.stems.own_gates import OwnGate
from attn.ui import answers
from attn.ui.controls import ControlError, Controls
from attn.ui.examples import EXAMPLES
from attn.ui.panels.blocks.panel import Blocks, block_taken
from attn.ui.panels.own_gates.panel import OwnGates
from attn.ui.panels.pair.panel import Pair, PairRefused, pair_arrays

SMALL = Controls(photograph=EXAMPLES["lion"], longest_side=96, stage="layer2")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two AttnBlocks of 128 channels and one of 64."""
    weights = {}
    for name, mechanism, channels in (
        ("encoder.mid.attn_1", "spatial", 128),
        ("decoder.mid.attn_1", "spatial", 128),
        ("small", "spatial", 64),
    ):
        for key, value in MECHANISMS[mechanism].build(channels).state_dict().items():
            weights[f"{name}.{key}"] = value.clone()
    path = tmp_path_factory.mktemp("file") / "two.safetensors"
    save_file(weights, path)
    return str(path)


def test_two_photographs_travel_as_their_cross_attention() -> None:
    view = answers.show_pair({"second": "cheetah", "key": "k"}, SMALL)
    assert (view.first_name, view.second_name, view.key, view.position) == ("", "cheetah", "k", False)
    arrays = pair_arrays(view.first, view.second)
    scaled = {
        name: arrays[name] * arrays[f"{name}_scale"][:, None] for name in ("queries", "keys_first", "keys_second")
    }
    keys = np.concatenate([scaled["keys_first"], scaled["keys_second"]])
    logits = scaled["queries"] @ keys.T
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected = cross_attention_rows(view.first, view.second, range(len(logits)), over="both")
    np.testing.assert_allclose(weights / weights.sum(axis=1, keepdims=True), expected, atol=0.01 / len(keys))


def test_the_second_photograph_may_be_brought_and_position_asked_for(tmp_path: Path) -> None:
    brought = answers.show_pair({"first": "cheetah"}, replace(SMALL, second=EXAMPLES["tower"]))
    np.testing.assert_array_equal(
        brought.second.image, answers.encoding_of(replace(SMALL, photograph=EXAMPLES["tower"])).image
    )
    assert answers.show_pair({"second": "lion", "position": True}, SMALL).position is True
    assert (
        answers.show_pair({"second": "lion", "position": True}, replace(SMALL, weights="similarity")).position is None
    )
    with pytest.raises(ControlError, match="lion, cheetah"):
        answers.show_pair({"second": "/etc/passwd"}, SMALL)
    with pytest.raises(ControlError):
        answers.show_pair({}, SMALL)  # no second
    component = Pair()
    component.GRADIO_CACHE = str(tmp_path)
    value = component.postprocess(brought)
    assert value is not None
    assert value.facts["grids"] == [list(brought.first.grid), list(brought.second.grid)]


def test_a_refused_photograph_is_said_by_the_panel_itself() -> None:
    with pytest.raises(ControlError) as refused:
        answers.show_pair({"second": "nobody"}, SMALL)
    value = Pair().postprocess(PairRefused(refused.value))
    assert value is not None
    assert value.arrays is None
    assert value.facts["error"] == {language: refused.value.sentence(language) for language in ("en", "zh")}


def test_the_first_block_that_fits_is_used_until_another_is_chosen(file: str) -> None:
    weights, block, view = answers.take_file(replace(SMALL, file=file))
    assert (weights, block, view.used) == ("file", "decoder.mid.attn_1", "decoder.mid.attn_1")
    assert answers.inspector_of(replace(SMALL, weights="file", file=file, file_block=block)).sources["spatial"]
    stem, stage, weights, block = answers.choose_block({"block": "encoder.mid.attn_1"}, replace(SMALL, file=file))
    assert (stem, stage["value"], weights, block) == ("bundled", "layer2", "file", "encoder.mid.attn_1")
    stem, stage, *_ = answers.choose_block(
        {"block": "small", "stem": "bundled", "stage": "layer1"}, replace(SMALL, file=file)
    )
    assert (stem, stage["value"]) == ("bundled", "layer1")
    with pytest.raises(ControlError):
        answers.choose_block({"block": "small", "stem": "vgg"}, replace(SMALL, file=file))


def test_the_chooser_says_where_each_block_fits(file: str) -> None:
    blocks = list_blocks(file)
    assert block_taken(blocks, 64) == "small"
    assert block_taken(blocks, 128, "encoder.mid.attn_1") == "encoder.mid.attn_1"
    assert block_taken(blocks, 32) == ""
    value = Blocks().postprocess(answers.show_blocks(replace(SMALL, weights="file", file=file)))
    json.dumps(value)
    small = next(block for block in value["blocks"] if block["label"] == "small")
    assert not small["fits"]
    assert [place for place in small["places"] if place[0] == "bundled"] == [["bundled", "stem"], ["bundled", "layer1"]]
    assert answers.show_blocks(SMALL) is None


def test_a_file_that_cannot_be_read_is_a_sentence_in_both_languages(tmp_path: Path) -> None:
    path = tmp_path / "not.safetensors"
    path.write_bytes(b"nothing")
    value = Blocks().postprocess(answers.show_blocks(replace(SMALL, file=str(path))))
    assert set(value["error"]) == {"en", "zh"}
    assert value["blocks"] == []


def test_gates_of_a_network_stand_beside_ours_or_say_why_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def unavailable(name: str) -> None:
        raise StemUnavailable("reasons.stem.gates", name=name, reason="offline", file="f", folder="d")

    component = OwnGates()
    component.GRADIO_CACHE = str(tmp_path)
    monkeypatch.setattr(answers, "_gated", unavailable)
    value = component.postprocess(answers.show_own_gates({"network": "efficientnet_b0"}, SMALL))
    assert value is not None
    assert "efficientnet_b0" in value.facts["error"]["zh"]
    assert value.arrays is None

    class Gated:
        def gates(self, image: str, longest_side: int) -> list[OwnGate]:
            return [OwnGate(0, 1, "features.1", "features.1", np.full(8, 0.25, np.float32), 2, (48, 48))]

    monkeypatch.setattr(answers, "_gated", lambda name: Gated())
    view = answers.show_own_gates({"network": "efficientnet_b0"}, SMALL)
    assert set(view.ours) == {name for name, record in MECHANISMS.items() if record.kind == "gate"}
    value = component.postprocess(view)
    assert value is not None
    assert value.facts["blocks"] == [{"name": "features.1", "stage": "features.1", "stride_px": 2, "grid": [48, 48]}]
    with pytest.raises(ControlError):
        answers.show_own_gates({"network": "resnet18"}, SMALL)


def test_measured_records_read_both_forms_of_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    row = {
        "mechanism": "se",
        "auc": 0.8,
        "low": 0.7,
        "high": 0.9,
        "photographs": 3,
        "parameters": 1,
        "multiply_adds": 2,
    }
    pair = {"mechanism": "se", "difference": 0.05, "low": 0.01, "high": 0.09, "photographs": 3}
    path = tmp_path / "figures.json"
    monkeypatch.setattr(measured, "FIGURES", path)
    assert measured.measured_records() == []
    path.write_text(
        json.dumps(
            {
                "layer2": {"longest_side": 320, "rows": [row]},
                "layer3": {"longest_side": 320, "fine": {"rows": [row], "paired": [pair], "tuned": {"rows": [row]}}},
            }
        )
    )
    records = measured.measured_records()
    assert [(each["stage"], each["detail"], each["weights"]) for each in records] == [
        ("layer3", "fine", "trained"),
        ("layer3", "fine", "tuned"),
        ("layer2", "", "trained"),
    ]
    assert records[0]["paired"] == [pair]
    assert records[1]["paired"] == records[2]["paired"] == []
    assert records[2]["rows"] == [row]
