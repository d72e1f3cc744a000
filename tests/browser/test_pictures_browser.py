"""The network sees the picture that a browser shows: pixel by pixel, for every file of the corpus a browser opens."""

import base64
from typing import Any

import numpy as np
import pytest

from attn.images import open_image
from tests import corpus

# Draws the file on white paper and gives width, height and the bytes of its pixels.
DRAW = """async (file) => {
  const bytes = Uint8Array.from(atob(file), (c) => c.charCodeAt(0));
  const picture = new Image();
  picture.src = URL.createObjectURL(new Blob([bytes]));
  try { await picture.decode(); } catch { return null; }
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [picture.naturalWidth, picture.naturalHeight];
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.fillStyle = '#fff';
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(picture, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
  let text = '';
  for (let i = 0; i < pixels.length; i += 8192) text += String.fromCharCode(...pixels.subarray(i, i + 8192));
  return [canvas.width, canvas.height, btoa(text)];
}"""
FILES = {
    **corpus.colour_files(),
    **corpus.grey_files(),
    **corpus.wide_files(),
    **{name: data for name, (data, _) in corpus.see_through_files().items()},
    **{name: data for name, (data, _) in corpus.odd_files().items() if "million" not in name},
    **corpus.slightly_damaged_files(),
}
UNSEEN = {
    "tiff": "no TIFF in Chromium",
    "cut by": "what is missing is shown in other ways",
    "jpeg without its end": "Chromium leaves out the last rows",
    "webp orientation": "Chromium does not turn WebP",
    "animated avif": "another of the file's two first pictures",
}


@pytest.fixture(scope="module")
def blank_page(chromium: Any) -> Any:
    context = chromium.new_context()
    page = context.new_page()
    yield page
    context.close()


@pytest.mark.parametrize("name", [name for name in FILES if not any(part in name for part in UNSEEN)])
def test_the_network_sees_what_the_browser_shows(name: str, blank_page: Any) -> None:
    drawn = blank_page.evaluate(DRAW, base64.b64encode(FILES[name]).decode())
    assert drawn is not None
    width, height, pixels = drawn
    shown = np.frombuffer(base64.b64decode(pixels), np.uint8).reshape(height, width, 4)[..., :3].astype(int)
    seen = np.asarray(open_image(FILES[name])).astype(int)
    assert seen.shape == shown.shape
    assert np.abs(seen - shown).max() <= 2
