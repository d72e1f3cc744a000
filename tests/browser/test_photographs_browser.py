"""A camera's photograph on its way: what the browser sends of it, what becomes of its map, and what is sent whole."""

import base64
import io
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from attn import Inspector
from attn.images import open_image
from attn.texts import text
from benchmarks.page import camera
from tests import corpus
from tests.conftest import BAR, quiet
from tests.test_photographs import unpacked

pytestmark = pytest.mark.browser

READY = "#explorer [data-state=ready]"
NOTICE = ".attn-banner"
SENT = "**/gradio_api/attn/photograph"
JOIN = "**/gradio_api/queue/join*"


@pytest.fixture
def page(app_url: str, open_page: Callable[..., Any]) -> Any:
    page = open_page(app_url)
    page.wait_for_selector(READY)
    page.wait_for_selector(".attn-channel-lane[data-state=ready]")
    page.wait_for_function(BAR)
    quiet(page)
    return page


@cache
def photograph() -> Image.Image:
    """3 megapixels, as a camera's."""
    return camera().resize((2016, 1512), Image.Resampling.BOX)


def jpeg(image: Image.Image, quality: int = 92, **options: Any) -> bytes:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=quality, **options)
    return data.getvalue()


def on_its_side() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def choose(page: Any, data: bytes, name: str = "holiday.jpg") -> Path:
    """Chooses a file; where the server stored what came of it."""
    with page.expect_response(SENT) as answered:
        file = {"name": name, "mimeType": "image/jpeg", "buffer": data}
        page.locator("input[type=file]").first.set_input_files(file)
    return stored(answered)


def stored(answered: Any) -> Path:
    return Path(unpacked(answered.value.body())[0]["photograph"]["path"])


def wait_for_grid(page: Any, rows: int, columns: int) -> None:
    page.wait_for_selector(f"{READY}[data-rows='{rows}'][data-cols='{columns}']")


def moved(map_: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """The share of their weight that rows have elsewhere, on average."""
    return float(np.abs(map_ - other).sum(axis=1).mean() / 2)


def test_a_cameras_photograph_travels_small_and_its_map_moves_less_than_by_a_jpeg(page: Any) -> None:
    inspector = Inspector(weights="tuned")
    upright = camera()
    data = jpeg(upright.transpose(Image.Transpose.ROTATE_90), exif=on_its_side())
    assert len(data) > 2_000_000
    path = choose(page, data)
    wait_for_grid(page, 30, 40)
    assert path.name == "holiday.jpg"
    assert path.stat().st_size < 200_000
    with Image.open(path) as sent:
        assert sent.size == (320, 240)
    true = inspector.encode(data).attention
    again = jpeg(open_image(Image.open(io.BytesIO(data)).transpose(Image.Transpose.ROTATE_270)), 95)
    assert moved(inspector.encode(path).attention, true) < moved(inspector.encode(again).attention, true)


def test_one_request_from_the_file_to_its_map(page: Any) -> None:
    """Every other answer keeps the page waiting; an aborted queue would have Gradio load the page anew."""
    quiet(page)
    held = re.compile("/gradio_api/(upload|run|queue|file=)")
    page.route(held, lambda route: None)
    choose(page, jpeg(photograph()))
    wait_for_grid(page, 30, 40)


def test_other_settings_get_the_pixels_they_need(page: Any) -> None:
    data = jpeg(photograph())
    choose(page, data)
    wait_for_grid(page, 30, 40)
    length = page.evaluate("history.length")
    with page.expect_response("**/gradio_api/upload") as uploaded:
        page.evaluate("window.attn.page.set({ side: 480, detail: 'coarse' })")
    wait_for_grid(page, 22, 30)
    with Image.open(uploaded.value.json()[0]) as sent:
        assert sent.size == (480, 352)
    assert page.evaluate("history.length") == length  # the same photograph: no step


@pytest.mark.parametrize("kind", ["png", "wide colours", "see-through"])
def test_the_browser_scales_as_the_server_does(page: Any, kind: str) -> None:
    image = photograph().resize((1000, 750), Image.Resampling.BOX)
    data = io.BytesIO()
    if kind == "wide colours":
        image.save(data, "JPEG", quality=95, icc_profile=corpus.rgb_profile("Display P3"))
    else:
        if kind == "see-through":
            image.putalpha(Image.linear_gradient("L").resize(image.size))
        image.save(data, "PNG")
    path = choose(page, data.getvalue(), "holiday.png")
    sent = np.asarray(open_image(path)).astype(int)
    expected = open_image(data.getvalue()).resize((320, 240), Image.Resampling.BILINEAR)
    difference = np.abs(sent - np.asarray(expected).astype(int))
    assert difference.max() <= 2
    assert difference.mean() < 0.35


def whole_files() -> dict[str, bytes]:
    tiff, deep = io.BytesIO(), io.BytesIO()
    photograph().resize((1000, 750)).save(tiff, "TIFF")
    Image.fromarray(np.asarray(photograph().convert("L")).astype(np.uint16) * 257).save(deep, "PNG")
    data = jpeg(photograph())
    return {"tiff": tiff.getvalue(), "16 bits": deep.getvalue(), "cut short": data[: int(0.97 * len(data))]}


@pytest.mark.parametrize("kind", ["tiff", "16 bits", "cut short"])
def test_what_the_browser_may_read_otherwise_goes_as_it_is(page: Any, kind: str) -> None:
    data = whole_files()[kind]
    path = choose(page, data)
    wait_for_grid(page, 30, 40)
    assert path.read_bytes() == data
    if kind == "cut short":
        assert text("en", "reasons.image.mended") in page.locator(NOTICE).first.inner_text()


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_dropped_or_pasted_it_goes_the_same_way(page: Any, way: str) -> None:
    with page.expect_response(SENT) as answered:
        page.evaluate(
            """async ([way, data]) => {
              const transfer = new DataTransfer();
              const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
              transfer.items.add(new File([bytes], 'brought.jpg', { type: 'image/jpeg' }));
              const options = { bubbles: true, cancelable: true };
              const event = way === 'drop' ? new DragEvent('drop', { ...options, dataTransfer: transfer })
                : new ClipboardEvent('paste', { ...options, clipboardData: transfer });
              const place = way === 'drop' ? '#explorer .ax-stage canvas' : 'body';
              document.querySelector(place).dispatchEvent(event);
            }""",
            [way, base64.b64encode(jpeg(photograph())).decode()],
        )
    wait_for_grid(page, 30, 40)
    path = stored(answered)
    assert path.name == "brought.jpg"
    with Image.open(path) as sent:
        assert sent.size == (320, 240)


def test_what_is_asked_while_it_is_on_its_way_is_asked_of_it(page: Any) -> None:
    """A setting waits for the photograph; another photograph takes its place."""
    hold(page)
    page.locator("input[type=file]").first.set_input_files(
        {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": jpeg(photograph())}
    )
    page.evaluate("window.attn.page.set({ weights: 'random' })")
    page.wait_for_timeout(500)
    release(page)
    page.wait_for_selector(f"{READY}[data-rows='30']")
    page.wait_for_selector(".ax-badge[data-source=random]")
    wait_for_grid(page, 30, 40)
    hold(page)
    page.locator("input[type=file]").first.set_input_files(
        {"name": "b.jpg", "mimeType": "image/jpeg", "buffer": jpeg(photograph().rotate(90, expand=True))}
    )
    page.locator("[data-example=cheetah]").click()
    page.wait_for_timeout(500)
    release(page)
    wait_for_grid(page, 27, 40)
    quiet(page)
    wait_for_grid(page, 27, 40)
    page.wait_for_function("() => new URLSearchParams(location.search).get('example') === 'cheetah'")


def test_an_older_questions_answer_does_not_take_its_place(page: Any) -> None:
    """A setting was asked of the photograph before, and its answer comes after the new one's map."""
    held: list[Any] = []
    page.route(JOIN, lambda route: route.continue_() if held else held.append(route))
    with page.expect_request(JOIN):
        page.evaluate("window.attn.page.set({ weights: 'random' })")
    choose(page, jpeg(photograph()))
    wait_for_grid(page, 30, 40)
    held[0].continue_()
    page.wait_for_selector(".ax-badge[data-source=random]")
    wait_for_grid(page, 30, 40)
    quiet(page)
    wait_for_grid(page, 30, 40)
    page.wait_for_function("() => !new URLSearchParams(location.search).has('example')")


def test_back_leads_to_ones_own_photograph(page: Any) -> None:
    """No address holds it, the page does."""
    choose(page, jpeg(photograph()))
    wait_for_grid(page, 30, 40)
    for place in ("bench", "reference"):
        page.locator(f"nav [data-place={place}]").click()
    page.go_back()
    page.locator("#attn-bench").wait_for()
    page.go_back()
    quiet(page)
    wait_for_grid(page, 30, 40)
    page.locator("[data-example=tower]").click()
    wait_for_grid(page, 40, 25)
    page.wait_for_function("() => new URLSearchParams(location.search).get('example') === 'tower'")
    page.go_back()
    wait_for_grid(page, 30, 40)
    page.locator(".ap-own[aria-pressed=true]").wait_for()
    quiet(page)
    page.go_back()
    wait_for_grid(page, 40, 40)
    quiet(page)
    for rows, cols in ((30, 40), (40, 25)):
        page.go_forward()
        wait_for_grid(page, rows, cols)
        quiet(page)
    assert "example=tower" in page.url


def hold(page: Any) -> None:
    """Keeps photographs from leaving the page until `release`."""
    page.evaluate(
        """() => {
          const fetch = window.fetch;
          const gate = new Promise((open) => { window.open_gate = open; });
          window.fetch = async (address, ...options) => {
            if (String(address).endsWith('/attn/photograph')) { window.fetch = fetch; await gate; }
            return fetch(address, ...options);
          };
        }"""
    )


def release(page: Any) -> None:
    page.evaluate("window.open_gate()")


def test_without_a_connection_it_is_said_and_nothing_is_lost(page: Any) -> None:
    page.route(SENT, lambda route: route.abort())
    page.locator("input[type=file]").first.set_input_files(
        {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": jpeg(photograph())}
    )
    page.locator(NOTICE, has_text=text("en", "page.photograph.failed")).first.wait_for()
    assert page.locator(f"{READY}[data-rows='40'][data-cols='40']").count() == 1
    page.unroute(SENT)
    choose(page, jpeg(photograph()))
    wait_for_grid(page, 30, 40)
