"""The first screen: two questions asked of one photograph, and the address that holds what is seen."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from gradio.media import get_image
from PIL import Image

from attn.texts import text
from tests.conftest import BAR, quiet

pytestmark = pytest.mark.browser

MAP = "#explorer .attn-explorer[data-state=ready]"
LANE = ".attn-channel-lane[data-state=ready]"
# What a person can use, in sight and above the fold.
COUNTS = """() => {
  const seen = (node) => {
    const box = node.getBoundingClientRect();
    return box.width > 0 && box.height > 0 && box.top < innerHeight && box.bottom > 0 && node.checkVisibility({
      visibilityProperty: true, opacityProperty: true });
  };
  const walker = document.createTreeWalker(document.querySelector('.gradio-container'), NodeFilter.SHOW_TEXT);
  let words = 0;
  const segments = new Intl.Segmenter(document.documentElement.lang, { granularity: 'word' });
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement;
    if (!walker.currentNode.nodeValue.trim() || parent.closest('script, style, option') || !seen(parent)) continue;
    const range = document.createRange();
    range.selectNodeContents(walker.currentNode);
    const box = range.getBoundingClientRect();
    const clipped = getComputedStyle(parent).clipPath !== 'none';
    if (box.top >= innerHeight || !box.width || clipped) continue;
    for (const { isWordLike } of segments.segment(walker.currentNode.nodeValue)) if (isWordLike) words += 1;
  }
  const usable = 'button, a[href], input, select, textarea, summary, canvas[tabindex="0"]';
  const controls = [...document.querySelectorAll(usable)].filter((node) => seen(node) && node.type !== 'hidden' &&
    !node.matches('.attn-skip') && !node.closest('.attn-pane-strip')).length;
  return { words, controls };
}"""
SHIFTS = """() => {
  window.shifted = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
  }).observe({ type: 'layout-shift', buffered: true });
}"""
PIXELS = """(selector) => {
  const canvas = document.querySelector(selector);
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let sum = 0;
  for (let i = 0; i < data.length; i++) sum = (sum * 31 + data[i]) % 1e9;
  return sum;
}"""


def ready(page: Any) -> Any:
    page.wait_for_selector(f"{MAP}[data-whole]")
    page.wait_for_selector(LANE)
    page.wait_for_function(BAR)
    return page


@pytest.fixture
def page(app_url: str, open_page: Callable[..., Any]) -> Any:
    return ready(open_page(f"{app_url}?lang=en"))


def hover(page: Any, row: int, col: int) -> None:
    canvas = page.locator("#explorer .ax-stage canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    rows, cols = (int(page.locator(MAP).get_attribute(f"data-{side}")) for side in ("rows", "cols"))
    page.mouse.move(box["x"] + (col + 0.5) / cols * box["width"], box["y"] + (row + 0.5) / rows * box["height"])
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def test_pointing_changes_where_and_leaves_which_channels(page: Any) -> None:
    strips = [f"{side} .attn-pane-strip canvas" for side in ("#explorer", "#lane")]
    hover(page, 6, 18)
    quiet(page)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    left, right = [page.evaluate(PIXELS, strip) for strip in strips]
    seen = {left}
    for row, col in [(30, 5), (14, 19), (2, 38)]:
        hover(page, row, col)
        seen.add(page.evaluate(PIXELS, strips[0]))
        assert page.evaluate(PIXELS, strips[1]) == right
        lane = page.locator(LANE)
        assert (lane.get_attribute("data-row"), lane.get_attribute("data-col")) == (str(row), str(col))
    assert len(seen) == 4
    assert requests == []


def test_both_sentences_say_it_in_numbers(page: Any) -> None:
    hover(page, 14, 19)
    left, right = page.locator(".ax-sentence"), page.locator(".lane-sentence")
    page.wait_for_function("() => /share \\d+ %/.test(document.querySelector('.ax-sentence').textContent)")
    assert re.search(r"as if evenly over about [\d,.]+ of 1,600 positions", left.inner_text())
    assert "256 gates" in right.inner_text()
    assert "100 %" in right.inner_text()


def test_the_wall_stands_still_and_keeps_no_trace_of_the_pointer(page: Any) -> None:
    wall = "#lane .lane-stage canvas"
    page.mouse.move(2, 2)
    quiet(page)
    before = page.evaluate(PIXELS, wall)
    for row, col in [(0, 5), (30, 20)]:
        hover(page, row, col)
        assert page.evaluate(PIXELS, wall) == before
    page.locator(wall).hover(position={"x": 30, "y": 60})
    page.wait_for_function("() => / here and everywhere/.test(document.querySelector('.lane-sentence').textContent)")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.evaluate(PIXELS, wall) != before
    hover(page, 0, 5)
    assert page.evaluate(PIXELS, wall) == before


def test_the_lane_says_nothing_while_the_map_beside_is_another(page: Any) -> None:
    page.wait_for_selector("#lane .lane-stage canvas[data-mode=wall]")  # the sentence says how many channels it shows
    lane, sentence = page.locator(LANE), page.locator(".lane-sentence")
    key = page.locator(MAP).get_attribute("data-key")
    assert lane.get_attribute("data-key") == key
    said = sentence.inner_text()
    tell = "(key) => window.attn.emit('attn:map', { ...window.attn.latest('attn:map'), key })"
    page.evaluate(tell, "another")
    assert lane.get_attribute("data-waiting") == ""
    assert page.locator(".lane-notice").inner_text() == text("en", "window.lane.waiting")
    assert (sentence.inner_text(), page.locator(".lane-weights").inner_text()) == ("", "")
    assert not page.locator("#lane .attn-pane-badge").is_visible()
    page.evaluate(tell, key)
    assert lane.get_attribute("data-waiting") is None
    assert (sentence.inner_text(), page.locator(".lane-notice").inner_text()) == (said, "")


def test_every_mechanism_that_is_sent_can_be_chosen(page: Any) -> None:
    select = page.locator(".lane-mechanism")
    names = select.locator("option").evaluate_all("(options) => options.map((option) => option.value)")
    assert {"se", "eca", "cbam", "cam", "xca"} <= set(names)
    for name in names:
        select.select_option(name)
        page.wait_for_selector(f"{LANE}[data-mechanism='{name}']")
        kind = page.locator(LANE).get_attribute("data-kind")
        weights = {"gate": "256", "channel_map": "65536", "spatial_gate": "1600"}[kind]
        assert page.locator(LANE).get_attribute("data-weights") == weights
        assert parse_qs(urlsplit(page.url).query)["mechanism"] == [name]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("size", [(1280, 720), (1440, 900)])
def test_the_first_screen_says_it_in_few_words(
    app_url: str, open_page: Callable[..., Any], size: tuple[int, int], language: str
) -> None:
    page = ready(open_page(f"{app_url}?lang={language}", viewport={"width": size[0], "height": size[1]}))
    counts = page.evaluate(COUNTS)
    assert counts["words"] <= 130
    assert counts["controls"] <= 16
    for selector in (".attn-page-head h1", MAP + " .ax-stage", LANE + " .lane-stage", ".ax-sentence", ".lane-sentence"):
        box = page.locator(selector).bounding_box()
        assert box["y"] >= 0
        assert box["y"] + min(box["height"], 20) <= size[1]
    assert page.locator("h1").inner_text() == text(language, "window.headline")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_before_its_modules_have_come_the_window_says_what_it_is(
    app_url: str, open_page: Callable[..., Any], language: str
) -> None:
    page = open_page("about:blank", locale={"en": "en-GB", "zh": "zh-CN"}[language])
    waiting: list[Any] | None = []
    page.route("**/gradio_api/attn/**", lambda route: route.continue_() if waiting is None else waiting.append(route))
    page.goto(app_url)
    for selector, key in [
        ("h1", "window.headline"),
        (".attn-story-start", "window.story"),
        ("#explorer h2", "window.where"),
        (".ax-notice", "explorer.loading"),
        (".lane-notice", "window.lane.waiting"),
    ]:
        page.locator(selector).filter(has_text=text(language, key)).wait_for()
    held, waiting = waiting, None
    for route in held:
        route.continue_()
    ready(page)


@pytest.mark.parametrize(
    ("asked", "size"),
    [("", (1440, 900)), ("", (768, 1024)), ("", (390, 844)), ("?embed=window", (900, 560)), ("?present", (1440, 900))],
)
def test_nothing_jumps_while_it_opens(
    app_url: str, open_page: Callable[..., Any], asked: str, size: tuple[int, int]
) -> None:
    page = open_page("about:blank", viewport={"width": size[0], "height": size[1]})
    page.add_init_script(f"({SHIFTS})()")
    page.goto(f"{app_url}{asked}")
    ready(page)
    quiet(page)
    assert page.evaluate("window.shifted") <= 0.05


@pytest.mark.parametrize("language", ["en", "zh"])
def test_in_a_lecture_room_it_is_large_and_whole(app_url: str, open_page: Callable[..., Any], language: str) -> None:
    page = ready(open_page(f"{app_url}?present&lang={language}", viewport={"width": 1440, "height": 900}))
    size = "(node) => parseFloat(getComputedStyle(node).fontSize)"
    for pane in (".attn-explorer", ".attn-channel-lane"):
        assert page.locator(f"{pane} .attn-pane-sentence").evaluate(size) >= 22
        assert page.locator(f"{pane} .attn-pane-head h2").evaluate(size) >= 30
    assert page.evaluate("document.documentElement.scrollHeight") <= 900


def test_places_have_addresses_and_back_leads_back(page: Any) -> None:
    for place in ("bench", "reference", "see"):
        page.locator(f"[data-place={place}]").last.click()
        page.locator(f"#attn-{place}").wait_for(state="visible")
        assert parse_qs(urlsplit(page.url).query).get("place") == ([place] if place != "see" else None)
    page.go_back()
    page.locator("#attn-reference").wait_for(state="visible")
    page.go_back()
    page.locator("#attn-bench").wait_for(state="visible")
    page.go_forward()
    page.locator("#attn-reference").wait_for(state="visible")


def test_the_storys_lead_leads_to_the_ten_statements(page: Any) -> None:
    page.wait_for_selector(".attn-story[data-state=ready]", state="attached")
    page.locator(".st-lead a[href='#attn-statements']").click()
    page.locator("#attn-statements").wait_for(state="visible")
    assert page.evaluate("document.querySelector('#attn-statements').getBoundingClientRect().top < innerHeight")
    assert parse_qs(urlsplit(page.url).query)["place"] == ["reference"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_place_has_an_accessibility_issue(app_url: str, open_page: Callable[..., Any], scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = ready(open_page(f"{app_url}?lang=en", color_scheme=scheme))
    shown = {"see": ".attn-story", "bench": ".attn-channels", "reference": None}
    for place, panel in shown.items():
        page.locator(f"nav [data-place={place}]").click()
        if panel:
            page.wait_for_selector(f"{panel}[data-state=ready]", state="attached")
        found = axe.Axe().run(page).response["violations"]
        assert [(v["id"], v["nodes"][0]["html"]) for v in found] == [], place


def test_another_photograph_takes_the_last_ones_parts_out_of_the_address(page: Any) -> None:
    page.locator("#lane canvas").first.click(position={"x": 30, "y": 30})
    page.wait_for_function("() => new URLSearchParams(location.search).has('channel')")
    hover(page, 3, 4)
    page.wait_for_function("() => new URLSearchParams(location.search).get('view') === 'q3.4'")
    page.locator("[data-example=tower]").click()
    page.wait_for_selector(f"{MAP}[data-rows='40'][data-cols='25']")
    page.wait_for_function("() => new URLSearchParams(location.search).get('example') === 'tower'")
    assert not {"channel", "view"} & set(parse_qs(urlsplit(page.url).query))
    page.go_back()
    page.wait_for_selector(f"{MAP}[data-rows='40'][data-cols='40'][data-row='3'][data-col='4']")


def test_quick_steps_back_leave_the_way_forward(page: Any) -> None:
    """What the first step back asked for comes after the second was taken: it is no step of its own."""
    sides = {"cheetah": (27, 40), "tower": (40, 25)}
    for example, (rows, cols) in sides.items():
        page.locator(f"[data-example={example}]").click()
        page.wait_for_selector(f"{MAP}[data-rows='{rows}'][data-cols='{cols}']")
        page.wait_for_function("(name) => location.search.includes(`example=${name}`)", arg=example)
    page.evaluate("async () => { history.back(); await new Promise((done) => setTimeout(done, 50)); history.back(); }")
    page.wait_for_selector(f"{MAP}[data-rows='40'][data-cols='40']")
    quiet(page)
    for example, (rows, cols) in sides.items():
        page.go_forward()
        page.wait_for_selector(f"{MAP}[data-rows='{rows}'][data-cols='{cols}']")
        assert f"example={example}" in page.url


FIRST_STEP = '"event_data":{"example":"cheetah"'  # what it asks for


def test_of_two_steps_back_the_last_holds_however_late_the_first_is_answered(page: Any) -> None:
    for example, (rows, cols) in {"cheetah": (27, 40), "tower": (40, 25)}.items():
        page.locator(f"[data-example={example}]").click()
        page.wait_for_selector(f"{MAP}[data-rows='{rows}'][data-cols='{cols}']")
        page.wait_for_function("(name) => location.search.includes(`example=${name}`)", arg=example)
    late: list[Any] = []

    def hold(route: Any) -> None:
        """The first answer waits."""
        if not late and FIRST_STEP in (route.request.post_data or ""):
            late.append(route)
        else:
            route.continue_()

    page.route("**/gradio_api/run/predict*", hold)
    with page.expect_request(lambda request: FIRST_STEP in (request.post_data or "")):
        page.go_back()
    page.go_back()
    page.wait_for_timeout(3000)  # in which the second was answered, had it been asked
    late.pop().continue_()
    page.wait_for_selector(f"{MAP}[data-rows='40'][data-cols='40']")
    quiet(page)
    assert page.locator(f"{MAP}[data-rows='40'][data-cols='40']").count() == 1
    assert "example=lion" in page.url


def test_embedded_it_is_the_window_alone(app_url: str, open_page: Callable[..., Any]) -> None:
    page = ready(open_page(f"{app_url}?embed=window", viewport={"width": 900, "height": 560}))
    address = page.url
    assert not page.locator(".attn-page-head").is_visible()
    assert not page.locator(".attn-bar").is_visible()
    hover(page, 3, 4)
    page.wait_for_timeout(500)
    assert page.url == address
    assert page.evaluate("document.documentElement.scrollHeight") <= 620


def test_a_pasted_photograph_is_taken(page: Any) -> None:
    page.evaluate(
        """async (path) => {
          const blob = await (await fetch(path)).blob();
          const transfer = new DataTransfer();
          transfer.items.add(new File([blob], 'pasted.jpg', { type: 'image/jpeg' }));
          document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData: transfer, bubbles: true }));
        }""",
        page.evaluate("() => document.querySelector('[data-example=tower] img').src"),
    )
    page.wait_for_function("() => !new URLSearchParams(location.search).has('example')")


def test_only_what_the_network_has_is_offered(page: Any) -> None:
    page.locator(".ap-settings").click()
    assert page.get_by_label("layer3", exact=True).is_visible()
    assert page.get_by_label("layer4", exact=True).count() == 0
    width, content = page.locator("#attn-settings").evaluate("(panel) => [panel.clientWidth, panel.scrollWidth]")
    assert content <= width  # one column that scrolls down: nothing lies beside it


def test_on_a_phone_a_tap_asks_and_a_swipe_scrolls(app_url: str, open_page: Callable[..., Any]) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    page = ready(open_page(f"{app_url}?lang=en", **phone))
    canvas = page.locator("#explorer .ax-stage canvas")
    box = canvas.bounding_box()
    assert box["width"] >= 388
    assert page.locator("#attn-upload").bounding_box()["y"] < 844
    canvas.tap(position={"x": box["width"] * 0.25, "y": box["height"] * 0.75})
    page.wait_for_selector(f"{MAP}[data-row='30'][data-col='10']")
    assert page.locator(MAP).get_attribute("data-pins") == "0"
    finger = page.context.new_cdp_session(page)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.8
    for step in range(12):  # as fast as a finger goes, however slow the machine: its time is told with it
        kind, time = ("touchStart" if step == 0 else "touchMove"), 1000 + step / 60
        points = [{"x": x, "y": y - 25 * step}]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points, "timestamp": time})
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": [], "timestamp": 1001})
    page.wait_for_function("() => scrollY > 100")
    page.evaluate("scrollTo(0, 0)")
    assert "pan-y" in canvas.evaluate("(node) => getComputedStyle(node).touchAction")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("document.documentElement.scrollHeight") <= 8000
    page.locator("nav [data-place=bench]").click()
    page.wait_for_selector(".attn-channels[data-state=ready]")
    assert page.evaluate("document.documentElement.scrollHeight") <= 8000
    page.get_by_role("button", name=text("en", "channels.costs")).click()
    page.wait_for_function("() => document.querySelector('.costs canvas').checkVisibility()")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator("nav [data-place=reference]").click()
    page.wait_for_selector("#attn-shapes table")
    page.locator("#attn-glossary .attn-fold").wait_for()
    assert page.evaluate("document.documentElement.scrollHeight") <= 8000
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert not page.locator("#attn-glossary li").first.is_visible()
    page.locator("#attn-reference a[href='#attn-glossary']").first.click()
    assert page.locator("#attn-glossary li").first.is_visible()
    below, above = page.evaluate(  # at once: the page may be on its way to the glossary
        "['h1', '.attn-page-head nav'].map((part) => document.querySelector(part).getBoundingClientRect())"
    )
    assert below["top"] >= above["bottom"]
    for button in page.locator("nav [data-place]").all():
        side = button.bounding_box()
        assert side["x"] >= 0
        assert side["x"] + side["width"] <= 390


def test_where_colours_are_forced_buttons_keep_an_edge(app_url: str, open_page: Callable[..., Any]) -> None:
    """What is a background elsewhere is taken away there."""
    page = ready(open_page(f"{app_url}?lang=en", forced_colors="active"))
    for selector in (".attn-story-start", "#attn-upload", ".ap-settings", ".ap-share", ".ax-view"):
        edge = page.locator(selector).evaluate(
            "(node) => { const style = getComputedStyle(node); return [style.borderTopStyle, style.borderTopWidth]; }"
        )
        assert edge == ["solid", "1px"], selector


def test_an_upload_without_a_word(page: Any) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name=text("en", "window.photograph")).click()
    chooser.value.set_files(get_image("cheetah.jpg"))
    page.wait_for_selector(f"{MAP}[data-rows='27'][data-cols='40']")


def test_a_step_back_says_that_its_map_is_being_worked_out(page: Any) -> None:
    page.locator("[data-example=cheetah]").click()
    page.wait_for_selector(f"{MAP}[data-rows='27'][data-cols='40'][data-whole]")
    page.wait_for_function("() => location.search.includes('example=cheetah')")
    quiet(page)
    awaited = page.locator(".ax-awaited")
    held: list[Any] = []
    holding = True
    page.route("**/gradio_api/**", lambda route: held.append(route) if holding else route.continue_())
    page.go_back()
    page.wait_for_selector("[data-awaited]")
    assert awaited.inner_text() == text("en", "explorer.loading")
    assert page.locator(MAP).get_attribute("data-rows") == "27"
    page.wait_for_function(
        "() => Number(getComputedStyle(document.querySelector('#explorer .ax-stage canvas')).opacity) < 0.5"
    )
    holding = False
    while held:
        held.pop().continue_()
    page.wait_for_selector(f"{MAP}[data-rows='40'][data-cols='40']")
    page.wait_for_selector("[data-awaited]", state="detached")
    assert awaited.inner_text() == ""


def test_an_example_is_asked_from_where_it_was_first(page: Any) -> None:
    begun = page.evaluate("attn.latest('attn:query')")
    hover(page, 3, 3)
    page.locator("[data-example=cheetah]").click()
    page.wait_for_selector(f"{MAP}[data-rows='27'][data-cols='40']")
    page.wait_for_function("() => attn.latest('attn:query').rows === 27")
    page.mouse.move(2, 2)
    page.locator("[data-example=lion]").click()
    page.wait_for_selector(f"{MAP}[data-rows='40'][data-cols='40']")
    page.wait_for_function("() => attn.latest('attn:query').rows === 40")
    now = page.evaluate("attn.latest('attn:query')")
    assert [now[side] for side in ("row", "col")] == [begun[side] for side in ("row", "col")] == [13, 19]


def test_the_keys_are_listed_wherever_the_focus_is(page: Any) -> None:
    for place in ("#lane .lane-stage canvas", ".ap-share"):
        page.locator(place).focus()
        page.keyboard.press("?")
        page.locator("dialog.ax-help").wait_for(state="visible")
        page.keyboard.press("Escape")
        page.locator("dialog.ax-help").wait_for(state="hidden")


def test_what_is_dropped_and_is_no_picture_is_said(page: Any) -> None:
    page.evaluate(
        """() => {
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File(['words'], 'words.txt', { type: 'text/plain' }));
          const drop = new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer });
          document.querySelector('#explorer .ax-stage canvas').dispatchEvent(drop);
        }"""
    )
    assert page.locator(".ap-said").inner_text() == text("en", "page.photograph.no_picture")


def test_a_photograph_once_brought_is_one_click_away(page: Any, tmp_path: Any) -> None:
    own = page.locator(".ap-own")
    assert not own.is_visible()
    Image.new("RGB", (320, 160), "teal").save(tmp_path / "teal.png")
    page.set_input_files("#attn-upload ~ input[type=file], .attn-bar input[type=file]", tmp_path / "teal.png")
    page.wait_for_selector(f"{MAP}[data-rows='20'][data-cols='40'][data-whole]")
    assert own.get_attribute("aria-pressed") == "true"
    page.locator("[data-example=lion]").click()
    page.wait_for_selector(f"{MAP}[data-rows='40'][data-cols='40'][data-whole]")
    assert own.get_attribute("aria-pressed") == "false"
    own.click()
    page.wait_for_selector(f"{MAP}[data-rows='20'][data-cols='40'][data-whole]")
    assert own.get_attribute("aria-pressed") == "true"
    page.wait_for_function("() => !new URLSearchParams(location.search).has('example')")


def test_on_a_phone_both_halves_weights_are_in_sight_at_once(app_url: str, open_page: Callable[..., Any]) -> None:
    page = ready(
        open_page(f"{app_url}?lang=en", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    )
    own, other = "#explorer .attn-pane-strip canvas", "#explorer .ax-other canvas"
    bottom = page.locator(other).bounding_box()
    assert bottom["y"] + bottom["height"] <= 844
    assert "256 gates" in page.locator(".ax-other span").inner_text()
    before = [page.evaluate(PIXELS, strip) for strip in (own, other)]
    box = page.locator("#explorer .ax-stage canvas").bounding_box()
    page.touchscreen.tap(box["x"] + 0.1 * box["width"], box["y"] + 0.9 * box["height"])
    page.wait_for_function("() => attn.latest('attn:query').col < 10")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    after = [page.evaluate(PIXELS, strip) for strip in (own, other)]
    assert (after[0] == before[0], after[1] == before[1]) == (False, True)
    page.locator(".lane-mechanism").select_option("xca")
    page.wait_for_function("() => document.querySelector('.ax-other span').textContent.startsWith('XCA')")
    assert page.evaluate(PIXELS, other) != before[1]


@pytest.mark.parametrize("size", [(720, 450), (844, 390)])
def test_enlarged_twice_or_lying_the_first_screen_has_thesis_and_both_maps_whole(
    app_url: str, open_page: Callable[..., Any], size: tuple[int, int]
) -> None:
    page = ready(open_page(f"{app_url}?lang=en", viewport={"width": size[0], "height": size[1]}))
    for shown in (".attn-page-head h1", "#explorer .attn-pane-box", "#lane .attn-pane-box"):
        box = page.locator(shown).bounding_box()
        assert box["x"] >= 0
        assert box["y"] >= 0
        assert box["x"] + box["width"] <= size[0]
        assert box["y"] + box["height"] <= size[1]
    page.wait_for_selector(".attn-story[data-state=ready]", state="attached")
    page.evaluate("attn.emit('attn:goto', { step: 'elsewhere' })")
    picture, text_box = (page.locator(node).bounding_box() for node in (".attn-story canvas", "#story-elsewhere h3"))
    assert picture["x"] > text_box["x"] + 200
    assert picture["width"] > 0.45 * size[0]


def test_what_is_under_view_is_within_the_window(app_url: str, open_page: Callable[..., Any]) -> None:
    for size in ((1440, 900), (1280, 720)):
        page = ready(open_page(f"{app_url}?lang=en", viewport={"width": size[0], "height": size[1]}))
        page.locator(".ax-view").click()
        box = page.locator(".ax-help-open").bounding_box()
        assert box["y"] + box["height"] <= size[1]
        side = page.locator(".ax-side").bounding_box()
        assert side["y"] + side["height"] <= size[1]


def test_the_story_leads_back_to_the_photograph(page: Any) -> None:
    page.wait_for_selector(".attn-story[data-state=ready]", state="attached")
    page.locator(".attn-story-start").click()
    page.wait_for_function("() => new URLSearchParams(location.search).get('step') === 'where'")
    page.locator(".st-leave").click()
    page.wait_for_function("() => scrollY < 20")
    page.wait_for_function("() => !new URLSearchParams(location.search).has('step')")
    assert page.locator(".attn-page-head nav").is_visible()


def test_what_is_said_of_a_position_stays_within_the_picture(app_url: str, open_page: Callable[..., Any]) -> None:
    page = ready(open_page(f"{app_url}?lang=en", viewport={"width": 768, "height": 1024}))
    picture = page.locator(".ax-stage canvas").bounding_box()
    for column in (0, 12, 19, 24, 39):
        hover(page, 20, column)
        page.locator(".ax-stage .attn-tip", has_text=f"column {column}:").wait_for()
        said = page.locator(".ax-stage .attn-tip").bounding_box()
        assert picture["x"] - 1 <= said["x"]
        assert said["x"] + said["width"] <= picture["x"] + picture["width"] + 1
