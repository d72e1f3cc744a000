"""The first screen before Gradio's page is there."""

import base64
import re
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gradio.media import get_image

from attn.texts import text
from attn.ui.ahead import LONGEST_MS
from tests.conftest import BAR, PATIENCE_S, quiet

pytestmark = pytest.mark.browser

GRADIO = re.compile(r"/assets/index-[^/]*\.js$")
MAP = "#attn-ahead .attn-explorer[data-state=ready]"
WHOLE = "#explorer .attn-explorer[data-state=ready]"
LANE = ".attn-channel-lane[data-state=ready]"
BAR_AHEAD = "#attn-ahead [data-ahead=attn-upload]:not(:empty)"
# Where everything of the map, the head and the bar is, and the other half's picture. What is said at the pointer comes
# with its next movement.
BOXES = """() => {
  const roots = [...document.querySelectorAll('.attn-explorer, .attn-page-head, .attn-page, .lane-stage')];
  const parts = (root) => [root, ...root.querySelectorAll(':not(.attn-tip, .lane-stage *)')];
  return Object.fromEntries(roots.flatMap((root) => parts(root).map((node, i) => {
    const { x, y, width, height } = node.getBoundingClientRect();
    return [`${root.className} ${i} ${node.tagName}`, [x, y, width, height].map(Math.round).join()];
  })));
}"""
# Where the map's query is, drawn.
LOOK = "(({ row, col }) => `${row} ${col}`)(document.querySelector('.attn-explorer').dataset)"

DROP = """(photograph) => {
  const bytes = Uint8Array.from(atob(photograph), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], 'cheetah.jpg', { type: 'image/jpeg' }));
  document.querySelector('.ax-stage').dispatchEvent(
    new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer: transfer }),
  );
}"""

# Gradio's script is not begun because it has waited long enough.
NEVER = f"""const later = window.setTimeout;
window.setTimeout = (call, ms, ...values) => (ms === {LONGEST_MS} ? 0 : later(call, ms, ...values));"""


def hold(page: Any, address: re.Pattern[str] | str) -> Callable[[], None]:
    """Holds back what `page` asks for at ``address`` until the returned function is called."""
    held: list[Any] = []
    released = False

    def meet(route: Any) -> None:
        if released:
            route.continue_()
        else:
            held.append(route)

    def release() -> None:
        nonlocal released
        released = True
        for route in held:
            route.continue_()

    page.route(address, meet)
    return release


@pytest.mark.parametrize(
    ("size", "context"),
    [
        ((1440, 900), {}),
        ((768, 1024), {"color_scheme": "dark", "locale": "zh-CN"}),
        ((390, 844), {}),
        ((800, 400), {}),
    ],
)
def test_the_map_is_there_and_answers_before_gradio_and_stays_where_it_is(
    app_url: str, open_page: Callable[..., Any], size: tuple[int, int], context: dict[str, Any]
) -> None:
    page = open_page("about:blank", hand=False, viewport={"width": size[0], "height": size[1]}, **context)
    release = hold(page, GRADIO)
    page.goto(app_url, wait_until="commit")
    page.wait_for_selector(MAP)
    language = "zh" if context else "en"
    assert page.locator("h1").inner_text() == text(language, "window.headline")
    page.locator(".lane-notice").filter(has_text=text(language, "window.lane.waiting")).wait_for()
    upload = page.locator(BAR_AHEAD)
    assert upload.inner_text() == text(language, "window.photograph")
    assert page.evaluate("document.body.classList.contains('dark')") is bool(context)
    assert page.locator("gradio-app *").count() == 0
    before = page.evaluate(LOOK)
    box = page.locator(f"{MAP} .ax-stage canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 4)
    page.wait_for_function(f"(before) => ({LOOK}) !== before", arg=before)
    page.wait_for_function("document.querySelector('.ax-sentence').textContent.includes('1,600')")
    pointed = page.evaluate(LOOK)
    page.evaluate("window.canvas = document.querySelector('.ax-stage canvas')")
    boxes = page.evaluate(BOXES)
    button = upload.bounding_box()
    release()
    page.wait_for_selector(WHOLE)
    page.wait_for_selector("#attn-ahead", state="detached")
    page.wait_for_function(BAR)
    assert page.evaluate("window.canvas === document.querySelector('#explorer .ax-stage canvas')")
    after = page.evaluate(BOXES)
    moved = {name: (box, after.get(name)) for name, box in boxes.items() if box != after.get(name)}
    assert moved == {}
    assert page.locator("#attn-upload").bounding_box() == pytest.approx(button, abs=0.5)
    assert page.evaluate(LOOK) == pointed
    # What it told meanwhile has reached the program behind the page.
    page.wait_for_selector(f"{WHOLE}[data-whole]")
    page.wait_for_selector(LANE)


@pytest.mark.parametrize("fails", [True, False])
def test_without_its_script_the_page_comes_as_gradio_makes_it(
    app_url: str, open_page: Callable[..., Any], fails: bool
) -> None:
    page = open_page("about:blank")
    if fails:
        page.add_init_script(NEVER)
        page.route("**/ui/web/ahead.js", lambda route: route.abort())
    else:  # nor does it ever come
        hold(page, "**/ui/web/ahead.js")
    page.goto(app_url, wait_until="commit")
    page.wait_for_selector(f"{WHOLE}[data-whole]")
    page.wait_for_selector(LANE)
    page.wait_for_function(BAR)


def test_a_panel_that_cannot_be_drawn_before_is_drawn_by_gradio(app_url: str, chromium: Any) -> None:
    context = chromium.new_context()
    context.set_default_timeout(1000 * PATIENCE_S)
    page = context.new_page()
    page.add_init_script(NEVER)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    failed = "Error in explorer, ahead of Gradio"
    release = hold(page, GRADIO)
    page.route(
        "**/explorer/pins.js",
        lambda route: route.continue_() if any(failed in text for text in said) else route.abort(),
    )
    with page.expect_console_message(lambda message: failed in message.text):
        page.goto(app_url, wait_until="commit")
    release()
    page.wait_for_selector(WHOLE)
    page.wait_for_selector(LANE)
    assert page.locator("#attn-ahead").count() == 0
    context.close()


def test_nothing_of_gradios_lies_over_it(app_url: str, open_page: Callable[..., Any]) -> None:
    page = open_page("about:blank")
    release = hold(page, re.compile(r"/assets/Blocks-[^/]*\.js$"))
    page.goto(app_url, wait_until="commit")
    page.wait_for_selector(MAP)
    page.wait_for_selector("gradio-app [data-testid=status-tracker]", state="attached")
    assert page.evaluate("document.querySelector('gradio-app').innerText.trim()") == ""
    release()
    page.wait_for_selector(WHOLE)
    page.locator("gradio-app footer").wait_for()


@pytest.mark.parametrize(("panel", "key"), [("explorer", "window.where"), ("lane", "window.which")])
def test_a_panel_whose_script_is_late_says_what_it_is(
    app_url: str, open_page: Callable[..., Any], panel: str, key: str
) -> None:
    page = open_page("about:blank")
    release = hold(page, f"**/panels/{panel}/index.js")
    page.goto(app_url, wait_until="commit")
    page.locator(f"#{panel} h2").filter(has_text=text("en", key)).wait_for()
    page.wait_for_selector("#attn-ahead", state="detached")
    assert page.locator(f"#{panel} h2").inner_text() == text("en", key)
    release()
    page.wait_for_selector(LANE)
    page.wait_for_selector(f"{WHOLE}[data-whole]")


def test_a_link_to_another_map_does_not_wait(app_url: str, open_page: Callable[..., Any]) -> None:
    page = open_page("about:blank")
    page.add_init_script(NEVER)
    release = hold(page, "**/ui/web/ahead.js")
    page.goto(f"{app_url}?example=cheetah", wait_until="commit")
    page.wait_for_selector("gradio-app .attn-explorer", state="attached")
    release()
    page.wait_for_selector(f"{WHOLE}[data-rows='27'][data-cols='40']")
    assert page.locator(".attn-explorer").count() == 1


@pytest.mark.parametrize("moves", [True, False])
def test_what_is_done_before_gradio_is_there_is_kept(app_url: str, open_page: Callable[..., Any], moves: bool) -> None:
    page = open_page("about:blank")
    if not moves:  # as in browsers that cannot move a node as it is
        page.add_init_script("delete Element.prototype.moveBefore")
    release = hold(page, GRADIO)
    page.goto(app_url, wait_until="commit")
    page.wait_for_selector(MAP)
    page.locator(".attn-languages button").click()
    page.locator(".ax-view").filter(has_text=text("zh", "window.view")).click()
    page.locator(f"{MAP} .ax-stage canvas").click(position={"x": 40, "y": 40})
    page.locator(f"{MAP}[data-pins='1']").wait_for()
    page.keyboard.press("?")
    page.locator(".attn-explorer dialog:modal").wait_for()
    release()
    page.wait_for_selector(f"{WHOLE}[data-view][data-pins='1']")
    page.wait_for_selector("#attn-ahead", state="detached")
    page.keyboard.press("Escape")
    page.wait_for_selector("#explorer dialog", state="hidden")
    page.locator("#attn-upload").filter(has_text=text("zh", "window.photograph")).wait_for()
    page.wait_for_function("new URLSearchParams(location.search).get('view')?.includes('p')")
    page.wait_for_function("new URLSearchParams(location.search).get('lang') === 'zh'")


def before_gradio(page: Any, address: str) -> Callable[[], None]:
    """Opens the page as far as its bar; the returned function lets Gradio come."""
    release = hold(page, GRADIO)
    page.goto(address, wait_until="commit")
    page.wait_for_selector(BAR_AHEAD)
    return release


def test_an_example_chosen_before_is_shown(app_url: str, open_page: Callable[..., Any]) -> None:
    page = open_page("about:blank")
    release = before_gradio(page, app_url)
    page.locator("[data-example=cheetah]").click()
    page.wait_for_selector("[data-awaited]")  # the map says that another one is on its way
    page.locator(BAR_AHEAD).focus()
    release()
    page.locator("#attn-upload:focus").wait_for()
    page.wait_for_selector(f"{WHOLE}[data-rows='27'][data-cols='40']")
    page.wait_for_selector("[data-awaited]", state="detached")
    page.wait_for_function("new URLSearchParams(location.search).get('example') === 'cheetah'")
    page.go_back()
    page.wait_for_selector(f"{WHOLE}[data-rows='40'][data-cols='40']")


def test_the_example_shown_chosen_before_is_not_waited_for(app_url: str, open_page: Callable[..., Any]) -> None:
    page = open_page("about:blank")
    release = before_gradio(page, app_url)
    page.locator("[data-example=lion]").click()
    release()
    page.wait_for_function(BAR)
    page.wait_for_selector("[data-awaited]", state="detached")
    page.wait_for_selector(f"{WHOLE}[data-whole][data-rows='40']")


@pytest.mark.parametrize("way", ["chosen", "dropped", "dropped after an example was chosen"])
def test_a_photograph_brought_before_is_shown(app_url: str, open_page: Callable[..., Any], way: str) -> None:
    page = open_page("about:blank")
    release = before_gradio(page, app_url)
    if way == "chosen":
        with page.expect_file_chooser() as chooser:
            page.locator(BAR_AHEAD).click()
        chooser.value.set_files(get_image("cheetah.jpg"))
    else:
        if way != "dropped":
            page.locator("[data-example=tower]").click()
        page.evaluate(DROP, base64.b64encode(Path(get_image("cheetah.jpg")).read_bytes()).decode())
    page.locator(".ap-said").filter(has_text=text("en", "page.photograph.sending")).wait_for()
    release()
    page.wait_for_selector(f"{WHOLE}[data-rows='27'][data-cols='40']")
    page.locator(".ap-own[aria-pressed=true]").wait_for()
    page.wait_for_function("document.querySelector('.ap-said').textContent === ''")
    quiet(page)
    page.wait_for_selector(f"{WHOLE}[data-rows='27'][data-cols='40']")
    assert page.locator("[data-awaited]").count() == 0


def test_the_settings_asked_for_before_open(app_url: str, open_page: Callable[..., Any]) -> None:
    page = open_page("about:blank")
    release = before_gradio(page, app_url)
    page.locator(".ap-settings").click()
    release()
    page.locator("#attn-settings").get_by_text(text("en", "page.weights.random"), exact=True).first.wait_for()
    page.locator("#attn-settings").get_by_text(text("en", "page.weights.random"), exact=True).first.click()
    page.wait_for_function("new URLSearchParams(location.search).get('weights') === 'random'")
    page.keyboard.press("Escape")
    page.locator("#attn-settings").wait_for(state="hidden")


def test_the_settings_asked_for_before_can_be_called_off(app_url: str, open_page: Callable[..., Any]) -> None:
    page = open_page("about:blank")
    release = before_gradio(page, app_url)
    page.locator(".ap-settings").click()
    page.wait_for_selector(".ap-settings[aria-expanded=true]")
    page.keyboard.press("Escape")
    page.wait_for_selector(".ap-settings[aria-expanded=false]")
    release()
    page.wait_for_function(BAR)
    assert page.locator("#attn-settings").is_hidden()


def test_the_language_asked_for_names_the_document(app_url: str, open_page: Callable[..., Any]) -> None:
    page = open_page("about:blank", locale="en-GB")
    release = before_gradio(page, f"{app_url}?lang=zh")
    release()
    page.wait_for_function(BAR)
    assert page.locator("html").get_attribute("lang") == "zh-CN"


def test_the_story_asked_for_before_it_is_there_begins(app_url: str, open_page: Callable[..., Any]) -> None:
    page = open_page("about:blank", hand=False)
    release = hold(page, GRADIO)
    page.goto(app_url, wait_until="commit")
    page.wait_for_selector(MAP)
    page.locator(".attn-story-start").click()
    page.wait_for_selector(".attn-story-start[aria-busy=true]")
    release()
    page.wait_for_function("new URLSearchParams(location.search).get('step') === 'where'")
    page.wait_for_selector(".attn-story-start[aria-busy=false]")
    page.wait_for_function(
        """() => { const step = document.querySelector('#story-where')?.getBoundingClientRect();
          return step && step.top >= -1 && step.bottom > 0 && step.top < innerHeight / 2; }"""
    )


def test_a_place_that_is_opened_before_stays_open(app_url: str, open_page: Callable[..., Any]) -> None:
    page = open_page("about:blank")
    release = hold(page, GRADIO)
    page.goto(app_url, wait_until="commit")
    page.wait_for_selector(MAP)
    page.locator("nav [data-place=reference]").click()
    page.wait_for_selector(MAP, state="hidden")
    release()
    page.locator("#attn-statements").get_by_role("heading").first.wait_for()
    page.locator("#attn-formulas .katex").first.wait_for()  # filled when somebody goes there


def test_what_is_fetched_first_is_there(app_url: str) -> None:
    with urllib.request.urlopen(f"{app_url}?lang=zh", timeout=PATIENCE_S) as answer:
        page = answer.read().decode()
    assert page.index('charset="utf-8"') < 1024
    addresses = re.findall(r'<link rel="(?:modulepreload|preload)"[^>]* href="(http[^"]+)"', page)
    assert any("texts/zh/explorer.json" in address for address in addresses)
    assert sum(".js" in address for address in addresses) > 20
    for address in addresses:
        with urllib.request.urlopen(address, timeout=PATIENCE_S) as answer:
            assert answer.status == 200
