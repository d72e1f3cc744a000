"""The page as a stranger uses it: open it, point, click, upload, share."""

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio.media import get_image
from PIL import Image

from attn import Inspector
from attn.measures.attention import query_metrics
from attn.mechanisms import MECHANISMS
from attn.texts import latex, text
from attn.ui.modules import base_expression
from tests.conftest import BAR, PATIENCE_S, quiet

pytestmark = pytest.mark.browser

LION, CHEETAH = get_image("lion.jpg"), get_image("cheetah.jpg")
NOTICE = ".attn-banner"
READY = "#explorer .attn-explorer[data-state=ready]"


@pytest.fixture
def page(app_url: str, open_page: Callable[..., Any]) -> Any:
    return ready(open_page(app_url))


def ready(page: Any) -> Any:
    page.wait_for_selector(f"{READY}[data-whole]")
    page.wait_for_selector(".attn-channel-lane[data-state=ready]")
    page.wait_for_function(BAR)
    return page


def settle(page: Any) -> None:
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def hover(page: Any, row: int, col: int) -> None:
    canvas = page.locator("#explorer .ax-stage canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    rows, cols = (int(page.locator(READY).get_attribute(f"data-{side}")) for side in ("rows", "cols"))
    page.mouse.move(box["x"] + (col + 0.5) / cols * box["width"], box["y"] + (row + 0.5) / rows * box["height"])
    settle(page)


def number(page: Any, name: str) -> float:
    return float(page.locator(f"#explorer [data-number={name}] td").first.get_attribute("data-value"))


def badge(page: Any) -> str:
    return str(page.locator(".ax-badge").get_attribute("data-source"))


def choose_weights(page: Any, source: str, language: str = "en") -> None:
    """Opens the settings and chooses where the block's weights come from."""
    page.locator(".ap-settings").click()
    page.get_by_label(text(language, f"page.weights.{source}")).check()


def wait_for_weights(page: Any, source: str) -> None:
    page.wait_for_selector(f".ax-badge[data-source={source}]")
    page.wait_for_selector(f"{READY}[data-whole]")


def test_pointing_shows_pythons_numbers_without_a_request(page: Any) -> None:
    encoding = Inspector().encode(LION)
    expected = query_metrics(encoding.attention, encoding.grid, encoding.stride_px)
    quiet(page)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    for row, col in [(2, 3), (10, 10), (17, 5), (0, 0), (19, 19)]:
        hover(page, row, col)
        explorer = page.locator(READY)
        assert (explorer.get_attribute("data-row"), explorer.get_attribute("data-col")) == (str(row), str(col))
        index = row * encoding.grid[1] + col
        assert number(page, "perplexity") == pytest.approx(expected.perplexity[index], rel=0.02)
        assert number(page, "distance") == pytest.approx(expected.distance[index], rel=0.02)
        assert number(page, "entropy") == pytest.approx(expected.entropy[index], abs=0.005)
    assert requests == []


def test_all_queries_wait_for_a_hand_and_the_one_pointed_at_does_not_wait_for_them(
    app_url: str, open_page: Callable[..., Any]
) -> None:
    encoding = Inspector().encode(LION)
    page = open_page("about:blank", hand=False)
    held: list[Any] = []
    page.route("**/logits.safetensors.gz", lambda route: held.append(route))
    page.goto(app_url)
    page.wait_for_selector(READY)
    page.wait_for_selector(".attn-channel-lane[data-state=ready]")
    said = page.locator("#explorer .ax-sentence", has_text=f"share {100 * encoding.overlap:.0f}")
    said.wait_for()  # what two queries have in common is known without them
    quiet(page)
    assert held == []
    with page.expect_request("**/logits.safetensors.gz"):
        hover(page, 2, 3)
    page.wait_for_selector(f"{READY}[data-row='2'][data-col='3']:not([data-whole])")
    expected = query_metrics(encoding.attention, encoding.grid, encoding.stride_px)
    assert number(page, "perplexity") == pytest.approx(expected.perplexity[2 * encoding.grid[1] + 3], rel=0.02)
    held.pop().continue_()
    page.wait_for_selector(f"{READY}[data-whole]")
    said.wait_for()


def test_nothing_is_fetched_from_elsewhere(app_url: str, open_page: Callable[..., Any]) -> None:
    page = open_page("about:blank")
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]) if "//" in request.url else None)
    page.goto(app_url)
    ready(page)
    assert hosts == {app_url.split("/")[2]}


def test_the_random_block_is_one_click_and_looks_it(page: Any) -> None:
    hover(page, 6, 9)
    trained = number(page, "perplexity")
    choose_weights(page, "random")
    wait_for_weights(page, "random")
    hover(page, 6, 10)
    positions = 40 * 40
    assert number(page, "perplexity") > 0.9 * positions
    assert trained < 0.5 * positions
    badge = page.locator(".ax-badge")
    assert "random weights" in badge.inner_text().lower()
    assert badge.get_attribute("title") == text("en", "explorer.badge.random.note", seed=0)


def test_a_broken_file_is_a_sentence_and_nothing_is_lost(page: Any) -> None:
    hover(page, 4, 4)
    before = number(page, "perplexity")
    broken = {"name": "holiday.jpg", "mimeType": "image/jpeg", "buffer": b"\xff\xd8\xff\xe0 not really a photograph"}
    page.locator("input[type=file]").first.set_input_files(broken)
    page.locator(NOTICE, has_text="picture").first.wait_for()
    assert "Traceback" not in page.locator(NOTICE).first.inner_text()
    assert page.locator(".toast-body").count() == 0
    assert page.locator(READY).count() == 1
    hover(page, 4, 5)
    hover(page, 4, 4)
    assert number(page, "perplexity") == before


def test_what_is_not_chosen_yet_is_a_notice_and_no_error(page: Any) -> None:
    choose_weights(page, "file")
    page.locator(NOTICE, has_text="choose a .safetensors file").first.wait_for()
    page.locator("#attn-file-note", has_text="still shows “Tuned with the network”").wait_for()
    page.get_by_label(text("en", "page.weights.trained"), exact=True).check()
    page.locator(NOTICE, has_text="choose a .safetensors file").first.wait_for(state="hidden")
    page.locator("button[aria-label='Remove Image']").first.click()
    page.locator(NOTICE, has_text="No photograph is chosen").first.wait_for()
    assert page.locator(READY).count() == 1
    assert page.locator(".toast-body").count() == 0


def test_no_photograph_is_lost_behind_one_that_cannot_be_read(page: Any) -> None:
    broken = {"name": "bad.jpg", "mimeType": "image/jpeg", "buffer": b"\xff\xd8\xff\xe0 not really a photograph"}
    for number, size in enumerate([(320, 160), (160, 320)] * 3):
        picture = io.BytesIO()
        Image.new("RGB", size, (40 * number, 90, 90)).save(picture, "PNG")
        good = {"name": f"{number}.png", "mimeType": "image/png", "buffer": picture.getvalue()}
        page.locator("input[type=file]").first.set_input_files(broken)
        page.locator("input[type=file]").first.set_input_files(good)
        rows = size[1] // 8
        page.wait_for_selector(f"{READY}[data-rows='{rows}'][data-cols='{60 - rows}']")


def test_a_picture_that_browsers_do_not_show_is_shown_as_the_server_read_it(page: Any) -> None:
    picture = io.BytesIO()
    Image.effect_noise((320, 160), 60).convert("RGB").save(picture, "TIFF")
    page.locator("input[type=file]").first.set_input_files(
        {"name": "scan.tif", "mimeType": "image/tiff", "buffer": picture.getvalue()}
    )
    page.wait_for_selector(f"{READY}[data-rows='20'][data-cols='40']")
    page.wait_for_function("() => document.querySelector('#photograph img')?.naturalWidth === 320")


def test_a_photograph_dropped_anywhere_is_taken(page: Any) -> None:
    handled = page.evaluate(
        """async () => {
          const canvas = Object.assign(document.createElement('canvas'), { width: 320, height: 160 });
          const blob = await new Promise((done) => canvas.toBlob(done, 'image/png'));
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([blob], 'dropped.png', { type: 'image/png' }));
          const drop = new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer });
          document.querySelector('#explorer .ax-stage canvas').dispatchEvent(drop);
          return drop.defaultPrevented;
        }"""
    )
    assert handled
    page.wait_for_selector(f"{READY}[data-rows='20'][data-cols='40']")


def test_what_is_chosen_shows_under_forced_colours(app_url: str, open_page: Callable[..., Any]) -> None:
    page = ready(open_page(app_url, forced_colors="active"))
    # Drawn by the browser itself: Gradio's background, its only mark of what is chosen, is taken away there.
    for mark in ("input[type=radio][value=trained]", "input[type=radio][value=random]", "input[type=checkbox]"):
        assert page.locator(mark).first.evaluate("(input) => getComputedStyle(input).appearance") == "auto"


def test_on_plain_http_only_sources_that_work_are_offered(app_url: str, chromium: Any) -> None:
    port = app_url.rsplit(":", 1)[1]
    context = chromium.new_context()
    context.set_default_timeout(1000 * PATIENCE_S)
    page = context.new_page()
    # Not a secure context: the address is no loopback's name, though it is one.
    page.add_init_script("Object.defineProperty(window, 'isSecureContext', { value: false })")
    page.goto(f"http://127.0.0.1:{port}")
    page.wait_for_selector(READY)
    page.wait_for_function(BAR)
    for source in ("Paste from clipboard", "Capture from camera"):
        button = page.locator(f"#photograph button[aria-label='{source}']").first
        assert button.evaluate("(button) => getComputedStyle(button).display") == "none"
    context.close()


def test_your_own_photograph(page: Any) -> None:
    picture = io.BytesIO()
    image = Image.open(CHEETAH)
    exif = image.getexif()
    exif[0x0112] = 6  # lying on its side: shown upright, 27 × 40 becomes 40 × 27
    image.save(picture, "JPEG", exif=exif)
    upload = {"name": "cheetah.jpg", "mimeType": "image/jpeg", "buffer": picture.getvalue()}
    page.locator("input[type=file]").first.set_input_files(upload)
    page.wait_for_selector(f"{READY}[data-rows='40'][data-cols='27']")
    settle(page)
    page.wait_for_function("() => !new URLSearchParams(location.search).has('example')")
    page.get_by_role("button", name=text("en", "page.share")).click()
    page.wait_for_function("() => document.querySelector('.ap-said').textContent !== ''")


def test_an_example_is_one_click(page: Any) -> None:
    page.locator("[data-example=cheetah]").click()
    page.wait_for_selector(f"{READY}[data-rows='27'][data-cols='40']")
    page.wait_for_function("() => new URLSearchParams(location.search).get('example') === 'cheetah'")


def test_a_link_restores_the_view(app_url: str, open_page: Callable[..., Any]) -> None:
    first = ready(open_page(f"{app_url}?example=cheetah&stage=layer2&side=160&weights=random&seed=7"))
    first.wait_for_selector(f"{READY}[data-rows='14'][data-cols='20']")
    assert badge(first) == "random"
    hover(first, 3, 4)
    first.keyboard.press("Enter") if first.locator(".ax-stage canvas").focus() else first.mouse.down()
    first.mouse.up()
    first.wait_for_function("() => new URLSearchParams(location.search).get('view')?.includes('p3.4')")
    second = ready(open_page(first.url))
    second.wait_for_selector(f"{READY}[data-rows='14'][data-cols='20'][data-pins='1']")
    assert badge(second) == "random"
    assert "7" in second.locator(".ax-badge").inner_text()


def test_what_opens_later_begins_at_the_same_query(app_url: str, open_page: Callable[..., Any]) -> None:
    page = ready(open_page(f"{app_url}?example=lion&view=q3.4"))
    page.wait_for_selector(".attn-channel-lane[data-row='3'][data-col='4']")
    hover(page, 12, 7)
    page.evaluate("attn.page.set({ place: 'bench' })")
    page.wait_for_selector(".attn-channels[data-row='12'][data-col='7']")
    page.locator(".attn-lab").scroll_into_view_if_needed()  # what is far below is fetched when one comes near
    page.wait_for_selector(".attn-lab[data-state=ready][data-row='12'][data-col='7']")


def test_a_link_with_nonsense_is_a_sentence(app_url: str, open_page: Callable[..., Any]) -> None:
    page = open_page(f"{app_url}?stem=%3Cb%3Ex&seed=NaN&view=%24%7Balert(1)%7D")
    notice = page.locator(".attn-banner").first
    notice.wait_for()
    assert "Network must be one of" in notice.inner_text()
    ready(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_chinese_follows_the_browser_and_can_be_switched(
    app_url: str, open_page: Callable[..., Any], scheme: str
) -> None:
    page = ready(open_page(app_url, locale="zh-CN", color_scheme=scheme))
    page.get_by_role("heading", name=text("zh", "window.headline")).wait_for()
    page.get_by_role("button", name=text("zh", "window.photograph")).wait_for()
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    words = page.locator(".gradio-container").inner_text()
    assert len(re.findall(r"[\u4e00-\u9fff]", words)) > 100
    page.get_by_role("button", name="English").click()
    page.get_by_role("heading", name=text("en", "window.headline")).wait_for()
    page.get_by_role("button", name=text("en", "window.photograph")).wait_for()
    page.wait_for_function("() => !/[\\u4e00-\\u9fff]/.test(document.querySelector('#explorer').innerText)")


@pytest.mark.parametrize("width", [1440, 768, 390])
def test_nothing_sticks_out(app_url: str, open_page: Callable[..., Any], width: int) -> None:
    page = ready(open_page(app_url, viewport={"width": width, "height": 900}))
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(
    ("kind", "start"),
    [("figure-png", b"\x89PNG"), ("figure-svg", b"<?xml"), ("figure-pdf", b"%PDF"), ("arrays", b"PK")],
)
def test_exports_arrive(page: Any, tmp_path: Path, kind: str, start: bytes) -> None:
    hover(page, 5, 5)
    with page.expect_download() as download:
        page.locator(".ax-view").click()
        page.locator(f"[data-export={kind}]").click()
    target = tmp_path / "export"
    download.value.save_as(target)
    assert target.read_bytes().startswith(start)
    if kind == "arrays":
        with np.load(target) as arrays:
            assert arrays["attention"].shape == (1600, 1600)


def test_values_are_never_templates(page: Any) -> None:
    """A file name that looks like a template is shown, never evaluated."""
    name = "${window.hacked=1}.safetensors"
    broken = {"name": name, "mimeType": "application/octet-stream", "buffer": json.dumps({}).encode()}
    with page.expect_file_chooser() as chooser:
        choose_weights(page, "file")
    assert page.locator(".toast-body, [data-testid=toast-body]").count() == 0  # choosing is no error
    chooser.value.set_files(broken)
    page.locator(NOTICE, has_text="safetensors").first.wait_for()
    assert page.evaluate("window.hacked") is None


def test_bench_and_reference_draw_the_same_formulas(app_url: str, open_page: Callable[..., Any]) -> None:
    """KaTeX, in the reference, keeps the LaTeX it drew: the bench's MathML of that has the same symbols, in order."""
    page = open_page(f"{app_url}/?place=reference&lang=en")
    lines = [line for name in (*MECHANISMS, "position") for line in latex(name)]
    page.wait_for_function(
        "count => document.querySelectorAll('#attn-formulas .katex-display math').length === count", arg=len(lines)
    )
    base = page.evaluate(f"() => String({base_expression()})")
    drawn = page.evaluate(
        """async (base) => {
            const { mathml } = await import(new URL('ui/web/latex.js', base).href);
            const symbols = (node) => [...node.querySelectorAll('mi, mn, mo')]
                .map((one) => one.textContent.normalize('NFKD').replace(/[\\u2061\\s\\u0304\\u0302^¯ˉ]/g, '')).join('');
            return [...document.querySelectorAll('#attn-formulas .katex-display math')].map((katex) => {
                const latex = katex.querySelector('annotation').textContent;
                const ours = new DOMParser().parseFromString(mathml(latex), 'text/html');
                return [latex, symbols(katex), symbols(ours.body)];
            });
        }""",
        base,
    )
    assert [shown for shown, _, _ in drawn] == lines
    assert [ours for _, _, ours in drawn] == [katex for _, katex, _ in drawn]
