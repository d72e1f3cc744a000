"""What the page says beside the map."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from attn.ui.answers import show_map, show_rest
from attn.ui.controls import Controls
from attn.ui.modules import module_routes
from attn.ui.panels.explorer.panel import encode_query
from attn.ui.rows import row_routes


def test_a_picture_whose_numbers_were_guessed_says_so_in_the_visitors_language(tmp_path: Path) -> None:
    deep, plain = tmp_path / "deep.png", tmp_path / "plain.png"
    Image.fromarray(np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)).save(deep)
    Image.new("RGB", (64, 64), "teal").save(plain)
    said = {
        (path.stem, language): show_map(Controls(language, str(path), longest_side=64))[1]
        for path in (deep, plain)
        for language in ("en", "zh")
    }
    assert said["deep", "en"] == (
        "The numbers of this picture go from 0 to 4095: 0 is shown as black and 4095 as white."
    )
    assert said["deep", "zh"] == "这张图片的数值从 0 到 4095：0 显示为黑，4095 显示为白。"
    assert said["plain", "en"] == said["plain", "zh"] == ""


def test_the_rest_is_of_the_map_that_was_shown_whatever_the_controls_say_by_now(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.png" for name in ("one", "other")]
    for path, colour in zip(paths, ("teal", "plum"), strict=True):
        Image.linear_gradient("L").convert("RGB").rotate(30, fillcolor=colour).save(path)
    one, other = (Controls("en", str(path), longest_side=64) for path in paths)
    shown = show_map(one)[0]
    assert not shown.whole
    for controls in (one, other, Controls("en", None)):
        rest = show_rest({"key": shown.key}, controls)
        assert rest.key == shown.key
        assert np.array_equal(rest.keys, shown.keys)
        assert 0 < rest.overlap < 1
    assert show_rest({"key": "another server's"}, other).key == show_map(other)[0].key


def test_one_query_can_be_had_by_itself_of_a_map_that_is_kept(tmp_path: Path) -> None:
    Image.linear_gradient("L").convert("RGB").resize((96, 64)).save(tmp_path / "one.png")
    shown = show_map(Controls("en", str(tmp_path / "one.png"), longest_side=64))[0]
    client = TestClient(Starlette(routes=[*row_routes(), *module_routes()]))
    rows, columns = shown.grid
    row, tolerance = encode_query(shown.queries, shown.keys, shown.grid, [1, 2])
    answer = client.get(f"/gradio_api/attn/rows/{shown.key}/1.2").json()
    assert answer == {"row": row, "tolerance": pytest.approx(tolerance)}
    for elsewhere in (f"{shown.key}/{rows}.0", f"{shown.key}/0.{columns}", f"{shown.key}/-1.0", "nobodys/0.0"):
        assert client.get(f"/gradio_api/attn/rows/{elsewhere}").status_code == 404


def test_the_first_query_is_at_the_place_where_the_reader_points(tmp_path: Path) -> None:
    path = tmp_path / "plain.png"
    Image.new("RGB", (64, 64), "teal").save(path)
    controls = Controls("en", str(path), longest_side=64, detail="coarse")
    assert show_map(controls)[0].query is None
    for query, place in [
        ({"row": 9, "col": 2, "rows": 16, "cols": 16}, (2, 0)),
        ({"row": 3, "col": 3, "rows": 4, "cols": 4}, (3, 3)),
        ({"row": 99, "col": 0, "rows": 4, "cols": 4}, None),
        ({"row": "a", "col": 0, "rows": 4, "cols": 4}, None),
        ({"row": 1, "col": 1, "rows": 0, "cols": 4}, None),
        ({"row": 1}, None),
    ]:
        assert show_map(controls, query)[0].query == place
