import base64
import gzip
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load

from attn.figures.compact import LARGEST_ERROR, compact_logits, decode_compact
from attn.texts import load_texts
from attn.ui.component import HERE, component_files
from attn.ui.panels.explorer import panel
from attn.ui.panels.explorer.panel import (
    Explorer,
    ExplorerNotice,
    ExplorerView,
    encode_row,
    logits_file,
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


def decoded_row(row: dict[str, Any]) -> np.ndarray:
    return -row["scale"] * np.frombuffer(base64.b64decode(row["steps"]), "<u2")


@pytest.mark.parametrize("temperature", [0.25, 1, 4])
def test_the_first_row_gives_the_true_map_at_any_temperature(temperature: float) -> None:
    shown = view((20, 15), 32)
    row, error = encode_row(shown)
    assert row["cell"] == [10, 7]
    logits = (shown.queries @ shown.keys.T)[[10 * 15 + 7]]
    true, found = softmax(logits / temperature), softmax(decoded_row(row)[None] / temperature)
    assert np.abs(found - true).max() < 0.004 / temperature * true.max()
    if temperature == 1:
        assert error == pytest.approx(np.abs(found - true).max() * 300, rel=1e-2, abs=1e-5)


@pytest.mark.parametrize("positions", [60, 300])
@pytest.mark.parametrize("temperature", [0.25, 1, 4])
def test_the_arrays_give_the_true_maps_as_near_as_is_said(positions: int, temperature: float, tmp_path: Path) -> None:
    queries, keys = factors(positions, 32)
    file, error = logits_file(queries, keys, "", str(tmp_path))
    there = decode_compact(load(gzip.decompress(Path(file.path).read_bytes())))
    true = softmax(queries @ keys.T / temperature)
    off = np.abs(softmax(there[0] @ there[1].T / temperature) - true)
    largest = (off / true.max(axis=1, keepdims=True)).max()
    assert largest < 1.02 * LARGEST_ERROR * max(1, 1 / temperature) * (1 if temperature == 1 else 2)
    if temperature == 1:
        assert off.max() * positions == pytest.approx(error, rel=2e-2)


@pytest.mark.parametrize(
    ("opening", "cell"),
    [("", [1, 2]), ("q2.3", [2, 3]), ("dlinear~q0.1~p2.2", [0, 1]), ("p2.2", [1, 2]), ("q9.9", [2, 3])],
)
def test_the_row_is_of_the_query_that_the_map_opens_with(opening: str, cell: list[int]) -> None:
    assert encode_row(view(view=opening))[0]["cell"] == cell


def test_a_row_of_equal_logits_stays_equal() -> None:
    row, error = encode_row(view(queries=np.zeros((12, 8), np.float32)))
    assert (decoded_row(row) == 0).all()
    assert error == 0


def test_what_is_not_whole_is_small_and_the_rest_the_same_map() -> None:
    first, whole = (Explorer().postprocess(view((20, 20), 64, whole=each, key="k")) for each in (False, True))
    assert first is not None
    assert whole is not None
    assert first.arrays is None
    assert whole.arrays is not None
    assert (first.row, first.key, first.image) == (whole.row, whole.key, whole.image)
    assert len(first.model_dump_json()) < 2000 + 400 * 2 * 4 / 3
    assert first.tolerance < whole.tolerance < LARGEST_ERROR * 400


def test_arrays_are_made_once_for_one_map(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made: list[int] = []

    def counted(*arguments: Any) -> Any:
        made.append(1)
        return compact_logits(*arguments)

    monkeypatch.setattr(panel, "compact_logits", counted)
    queries, keys = factors(30, 8)
    several = [logits_file(queries, keys, key, str(tmp_path)) for key in ("once", "once", "", "")]
    assert len(made) == 3
    assert len({file.path for file, _ in several}) == 1
    for i in range(panel.KEPT):
        logits_file(queries, keys, f"later {i}", str(tmp_path))
    logits_file(queries, keys, "once", str(tmp_path))
    assert len(made) == 3 + panel.KEPT + 1


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
    assert {name: array.shape for name, array in arrays.items()} == {
        "query_planes": (3, 8, 12), "query_scale": (12,), "key_planes": (3, 8, 12), "key_scale": (12,),
        "column_scale": (8,),
    }  # fmt: skip
    assert 0 < data.tolerance < 0.01
    assert data.checked == 12
    first = Explorer().postprocess(view(whole=False))
    assert first is not None
    assert first.checked == 1


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
