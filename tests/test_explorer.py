import gzip
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load

from attn.texts import load_texts
from attn.ui.component import HERE, component_files
from attn.ui.panels.explorer.panel import (
    CHECKED_ROWS,
    Explorer,
    ExplorerNotice,
    ExplorerView,
    decode_logits,
    encode_logits,
    encoding_error,
)

PANEL = HERE / "panels" / "explorer"


def factors(positions: int, channels: int, sharpness: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    queries = generator.normal(size=(positions, channels)).astype(np.float32)
    keys = generator.normal(size=(positions, channels)).astype(np.float32) + 2  # a mean the encoding may drop
    return queries * np.float32(sharpness / channels**0.5), keys


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def view(grid: tuple[int, int] = (3, 4), channels: int = 8, **changes: Any) -> ExplorerView:
    queries, keys = factors(grid[0] * grid[1], channels)
    image = np.random.default_rng(1).integers(0, 256, (grid[0] * 16, grid[1] * 16, 3), dtype=np.uint8)
    values = {"image": image, "grid": grid, "stride_px": 16, "queries": queries, "keys": keys} | changes
    return ExplorerView(**values)


@pytest.mark.parametrize(("positions", "channels", "form"), [(60, 32, "logits"), (300, 32, "queries")])
@pytest.mark.parametrize("temperature", [0.25, 1, 4])
def test_encoded_logits_give_the_true_maps_at_any_temperature(
    positions: int, channels: int, form: str, temperature: float
) -> None:
    queries, keys = factors(positions, channels)
    arrays = encode_logits(queries, keys)
    assert form in arrays
    true = softmax(queries @ keys.T / temperature)
    decoded = softmax(decode_logits(arrays, np.arange(positions)) / temperature)
    assert np.abs(decoded - true).max() * positions < 0.004 / temperature * (true.max() * positions)
    assert encoding_error(queries, keys, arrays, temperature) == pytest.approx(
        np.abs(decoded - true).max() * positions, abs=2e-4 * positions
    )


def test_a_row_of_equal_logits_stays_equal() -> None:
    arrays = encode_logits(np.zeros((6, 4), np.float32), np.ones((6, 4), np.float32))
    assert np.array_equal(decode_logits(arrays, np.arange(6)), np.zeros((6, 6)))


def test_the_smaller_form_travels() -> None:
    for positions, channels in ((64, 32), (65, 32)):
        arrays = encode_logits(*factors(positions, channels))
        assert (
            sum(array.nbytes for array in arrays.values())
            <= 2 * min(positions**2, 2 * positions * channels) + 8 * positions
        )


def test_value_travels_as_files_and_small_json() -> None:
    data = Explorer().postprocess(view(weights={"source": "random", "seed": 3}, view="q1.2"))
    assert data is not None
    assert data.image is not None
    assert data.arrays is not None
    assert len(data.model_dump_json()) < 2000
    assert (data.state, data.grid, data.size, data.view) == ("ready", [3, 4], [64, 48], "q1.2")
    with Image.open(data.image.path) as photograph:
        assert photograph.size == (64, 48)
    arrays = load(gzip.decompress(Path(data.arrays.path).read_bytes()))
    assert {name: array.shape for name, array in arrays.items()} == {"logits": (12, 12), "logit_scale": (12,)}
    assert 0 < data.tolerance < 0.01
    assert data.checked == 12
    larger = Explorer().postprocess(view(grid=(9, 8)))
    assert larger is not None
    assert larger.checked == CHECKED_ROWS == 64


def test_same_view_gives_the_same_files_and_another_gives_others() -> None:
    first, again, other = (Explorer().postprocess(v) for v in (view(), view(), view(channels=16)))
    assert first == again
    assert first is not None
    assert other is not None
    assert first.arrays is not None
    assert other.arrays is not None
    assert first.arrays.path != other.arrays.path


def test_notice_and_nothing() -> None:
    data = Explorer().postprocess(ExplorerNotice("Too large."))
    assert data is not None
    assert (data.state, data.message, data.image) == ("error", "Too large.", None)
    assert Explorer().postprocess(None) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": np.zeros((4, 4), np.uint8)}, r"expected image \(H, W, 3\) uint8, got \(4, 4\)"),
        ({"queries": np.zeros((5, 8), np.float32)}, r"expected queries \(12, C\).*got \(5, 8\)"),
        ({"keys": np.zeros((12, 9), np.float32)}, r"expected keys \(12, 8\) like queries, got \(12, 9\)"),
    ],
)
def test_wrong_shapes_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        view(**changes)


def test_api_describes_the_value() -> None:
    assert Explorer().api_info()["properties"]["tolerance"]["type"] == "number"


def test_templates_hold_nothing_gradio_would_evaluate() -> None:
    files = component_files("explorer")
    for name in ("html_template", "css_template"):
        assert not re.search(r"\$\{|\{\{|`|\\", files[name])


def test_every_text_is_used_and_every_used_text_exists() -> None:
    sources = "".join(path.read_text() for kind in ("js", "html") for path in sorted(PANEL.glob(f"*.{kind}")))
    english, chinese = load_texts("en", "explorer"), load_texts("zh", "explorer")
    assert english.keys() == chinese.keys()
    for key, text in english.items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", chinese[key])), key
    literal = set(re.findall(r"explorer(?:\.[\w-]+)+(?=['\"`])", sources))
    assert literal <= english.keys()
    # `explorer.number.${name}.title` and the like: the fixed parts must match
    built = [
        re.compile(re.sub(r"\\\$\\\{.*?\\\}", r"[\\w-]+", re.escape(template)))
        for template in re.findall(r"`(explorer\.[^`]*\$\{[^`]*)`", sources)
    ]
    unused = [key for key in english if key not in literal and not any(p.fullmatch(key) for p in built)]
    assert unused == []
    assert all(any(pattern.fullmatch(key) for key in english) for pattern in built)
