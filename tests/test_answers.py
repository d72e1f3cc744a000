"""What the page says beside the map."""

from pathlib import Path

import numpy as np
from PIL import Image

from attn.ui.answers import show_map
from attn.ui.controls import Controls


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
