"""The explorer in a real Chromium: real events, numbers compared with Python's."""

import json
import time
from collections.abc import Callable
from typing import Any

import matplotlib
import numpy as np
import pytest
from explorer_page import FIRST, GRID, STRIDE, VALUES

from attn.measures.attention import (
    entropy,
    mass_area,
    mean_attention_distance,
    perplexity,
    uniform_attention_distance,
)
from attn.texts import text
from attn.ui.panels.explorer.panel import ExplorerView
from tests.conftest import quiet

pytestmark = pytest.mark.browser


def attention(view: ExplorerView, temperature: float = 1, row: int | None = None) -> np.ndarray:
    """The (N, N) map, or one of its rows as (1, N)."""
    queries = view.queries if row is None else view.queries[row : row + 1]
    logits = queries.astype(np.float64) @ view.keys.T.astype(np.float64) / temperature
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def url(serve: Callable[[str], str]) -> str:
    return serve("explorer_page.py")


@pytest.fixture
def page(url: str, open_page: Callable[..., Any]) -> Any:
    return ready(open_page(f"{url}?lang=en"))


def ready(page: Any) -> Any:
    for name in ("first", "second"):
        page.wait_for_selector(f"#{name} .attn-explorer[data-state=ready][data-whole]")
    return page


def set_value(page: Any, name: str) -> None:
    rows, cols = VALUES[name].grid
    page.click(f"#set-{name}")
    page.wait_for_selector(f"#first [data-state=ready][data-whole][data-rows='{rows}'][data-cols='{cols}']")


def centre(page: Any, row: int, col: int, grid: tuple[int, int] = GRID, which: str = "first") -> tuple[float, float]:
    canvas = page.locator(f"#{which} .ax-stage canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    return box["x"] + (col + 0.5) / grid[1] * box["width"], box["y"] + (row + 0.5) / grid[0] * box["height"]


def settle(page: Any) -> None:
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def hover(page: Any, row: int, col: int, grid: tuple[int, int] = GRID) -> None:
    page.mouse.move(*centre(page, row, col, grid))
    settle(page)


def pin(page: Any, row: int, col: int) -> None:
    page.mouse.click(*centre(page, row, col))
    settle(page)


def number(page: Any, name: str, column: int = 0) -> float:
    cell = page.locator(f"#first [data-number={name}] td").nth(column)
    return float(cell.get_attribute("data-value"))


def where(page: Any, which: str = "first") -> tuple[int, int]:
    data = page.locator(f"#{which} .attn-explorer").evaluate("(root) => ({ ...root.dataset })")
    return int(data["row"]), int(data["col"])


def state(page: Any) -> dict[str, Any]:
    return page.locator("#first .attn-explorer").evaluate("(root) => root.explorer.getState()")


def set_control(page: Any, name: str, value: str) -> None:
    control = page.locator(f"#first [data-set={name}]")
    if control.evaluate("(node) => node.tagName") == "SELECT":
        control.select_option(value)
    else:
        control.fill(value)
    settle(page)


def swept(page: Any) -> None:
    """Waits for the pass over all queries, without which other directions have no map."""
    page.wait_for_function("document.querySelector('#first [data-number=received] td').dataset.value !== ''")


def known(page: Any) -> None:
    """Waits for what two queries have in common, the last that is worked out of a map."""
    page.wait_for_function("() => /share \\d+ %/.test(document.querySelector('#first .ax-sentence').textContent)")


def assert_numbers(page: Any, view: ExplorerView, row: int, col: int, temperature: float = 1) -> None:
    grid = view.grid
    at = row * grid[1] + col
    one = attention(view, temperature, at)
    assert number(page, "entropy") == pytest.approx(entropy(one)[0], abs=1e-4)
    assert number(page, "perplexity") == pytest.approx(perplexity(one)[0], rel=1e-3)
    assert number(page, "area") == pytest.approx(mass_area(one)[0], abs=1.01 / one.size)
    assert number(page, "peak") == pytest.approx(one.max() * one.size, rel=1e-3)
    distance = mean_attention_distance(one, grid, STRIDE, queries=[at])[0]
    assert number(page, "distance") == pytest.approx(distance, rel=1e-3)
    assert number(page, "distance", 1) == pytest.approx(uniform_attention_distance(grid, STRIDE)[at], rel=1e-6)
    assert number(page, "perplexity", 1) == one.size


@pytest.mark.parametrize("name", ["28", "64"])
def test_hovering_shows_pythons_numbers_and_requests_nothing(page: Any, name: str) -> None:
    view = VALUES[name]
    set_value(page, name)
    requests: list[str] = []
    quiet(page)
    page.on("request", lambda request: requests.append(request.url))
    rows, cols = view.grid
    for row, col in [(0, 0), (rows // 2, 3), (rows - 1, cols - 1), (2, cols // 3)]:
        hover(page, row, col, view.grid)
        assert where(page) == (row, col)
        assert_numbers(page, view, row, col)
    assert requests == []


def test_temperature_is_exact(page: Any) -> None:
    set_control(page, "temperature", "-1")
    hover(page, 3, 4)
    assert_numbers(page, FIRST, 3, 4, temperature=0.5)


def test_directions(page: Any) -> None:
    maps = attention(FIRST)
    n = len(maps)
    at = 3 * GRID[1] + 4
    hover(page, 3, 4)
    swept(page)
    hover(page, 3, 5)
    hover(page, 3, 4)
    assert number(page, "received") == pytest.approx(maps[:, at].sum(), rel=1e-3)
    assert number(page, "own") == pytest.approx(np.abs(maps[at] - maps.mean(0)).sum() / 2, rel=1e-3)
    set_control(page, "direction", "column")
    column = maps[:, at]
    assert number(page, "peak") == pytest.approx(column.max() / column.sum() * n, rel=1e-3)
    assert number(page, "perplexity") == pytest.approx(perplexity(column[None] / column.sum())[0], rel=1e-3)
    assert "is attended by" in page.inner_text("#first .ax-sentence")
    set_control(page, "direction", "average")
    assert number(page, "entropy") == pytest.approx(entropy(maps.mean(0, keepdims=True))[0], abs=1e-4)


def test_directions_of_a_large_grid_come_unasked(page: Any) -> None:
    view = VALUES["40"]  # the default's grid
    set_value(page, "40")
    set_control(page, "temperature", "1")
    hover(page, 20, 30, view.grid)
    swept(page)
    assert number(page, "received") == pytest.approx(attention(view, 2)[:, 20 * 40 + 30].sum(), rel=1e-3)


def test_all_queries_are_unpacked_in_the_background(page: Any) -> None:
    page.evaluate("""() => {
        window.unpacked = 0;
        window.DecompressionStream = class extends DecompressionStream {
            constructor(...format) { super(...format); window.unpacked += 1; }
        };
    }""")
    set_value(page, "64")
    hover(page, 40, 21, (64, 64))
    assert_numbers(page, VALUES["64"], 40, 21)
    assert page.evaluate("window.unpacked") == 0


def test_the_canvas_shows_the_map(page: Any) -> None:
    set_control(page, "colormap", "viridis")
    page.locator("#first [data-set=smooth]").uncheck()
    set_control(page, "opacity", "1")
    hover(page, 6, 8)
    values = attention(FIRST)[6 * GRID[1] + 8] * GRID[0] * GRID[1]
    pixels = page.locator("#first .ax-stage canvas").evaluate(
        """(canvas, [rows, cols]) => Array.from({ length: rows * cols }, (_, j) => {
            const x = (j % cols + 0.5) / cols * canvas.width, y = (Math.floor(j / cols) + 0.5) / rows * canvas.height;
            return [...canvas.getContext('2d').getImageData(x, y, 1, 1).data].slice(0, 3);
        })""",
        list(GRID),
    )
    expected = matplotlib.colormaps["viridis"](np.clip(values / 5, 0, 1))[:, :3] * 255
    assert np.abs(np.array(pixels) - expected).max() <= 6


def test_pins_compare_recall_move_and_go(page: Any) -> None:
    maps = attention(FIRST)
    cells = [(2, 3), (9, 12), (5, 5)]
    for cell in cells:
        pin(page, *cell)
    assert state(page)["pins"] == [list(cell) for cell in cells]
    assert page.locator("#first .ax-pins li").count() == 3
    assert not page.locator("#first .ax-hint").is_visible()

    page.hover("#first [data-pin='0']")
    settle(page)
    assert where(page) == cells[0]
    page.mouse.move(5, 5)
    settle(page)
    assert where(page) == cells[2], "the last pin is held"

    page.click("#first [data-compare='0']")
    page.click("#first [data-compare='1']")
    settle(page)
    one, other = (maps[row * GRID[1] + col] for row, col in cells[:2])
    middle = (one + other) / 2
    divergence = sum((p * np.log2(p / middle)).sum() / 2 for p in (one, other))
    cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    text = page.inner_text("#first .ax-overlap")
    assert f"{divergence:.2f}" in text
    assert f"{cosine:.2f}" in text
    hover(page, 2, 3)
    value = (one - other)[2 * GRID[1] + 3] * len(maps)
    assert f"{value:+.1f} × uniform" in page.inner_text("#first .ax-sentence")
    assert number(page, "entropy", 1) == pytest.approx(entropy(other[None])[0], abs=1e-4)

    page.keyboard.press("Escape")  # focus is on the compare button: nothing
    page.focus("#first .ax-stage canvas")
    page.keyboard.press("Escape")
    assert state(page)["compare"] == []
    page.mouse.move(*centre(page, *cells[2]))
    page.mouse.down()
    page.mouse.move(*centre(page, 7, 7), steps=4)
    page.mouse.up()
    settle(page)
    assert state(page)["pins"][2] == [7, 7]

    page.click("#first [data-remove='0']")
    assert state(page)["pins"] == [[9, 12], [7, 7]]
    page.click("#first [data-do=clear]")
    assert state(page)["pins"] == []


def test_no_more_than_six_pins(page: Any) -> None:
    known(page)  # what comes later has its own sentence
    for col in range(7):
        pin(page, 1, 2 * col)
    assert len(state(page)["pins"]) == 6
    assert "All 6 pins" in page.inner_text("#first .ax-sentence")


def test_keyboard(page: Any) -> None:
    hover(page, 0, 0)
    page.focus("#first .ax-stage canvas")
    for key in ("ArrowDown", "ArrowRight", "Shift+ArrowRight", "ArrowUp", "ArrowUp"):
        page.keyboard.press(key)
    settle(page)
    assert where(page) == (0, 5)
    page.keyboard.press("Enter")
    assert state(page)["pins"] == [[0, 5]]
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("1")
    settle(page)
    assert where(page) == (0, 5)
    page.keyboard.press("Escape")
    assert state(page)["pins"] == []
    page.wait_for_function("document.querySelector('#first .ax-live').textContent.startsWith('Row 0, column 5')")
    page.keyboard.press("?")
    assert page.locator("#first dialog").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#first dialog").is_visible()


def test_escape_takes_back_one_thing_at_a_time(page: Any) -> None:
    pins = [[1, 2], [3, 4], [5, 6]]
    for cell in pins:
        pin(page, *cell)
    for index in (0, 1):
        page.click(f"#first [data-compare='{index}']")
    view = page.locator("#first .ax-view")
    view.click()
    page.focus("#first .ax-stage canvas")
    page.keyboard.press("Escape")
    assert view.get_attribute("aria-expanded") == "false"
    assert (state(page)["pins"], state(page)["compare"]) == (pins, [0, 1])
    page.keyboard.press("Escape")
    assert (state(page)["pins"], state(page)["compare"]) == (pins, [])
    page.keyboard.press("Escape")
    assert state(page)["pins"] == pins[:2]
    page.keyboard.press("Enter")  # where the map went on pressing: what was let go is pinned again with one key
    assert state(page)["pins"] == pins


def test_touch_explores_a_tap_asks_and_a_long_press_pins(url: str, open_page: Callable[..., Any]) -> None:
    page = ready(open_page(f"{url}?lang=en", viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True))
    start, end = centre(page, 9, 2), centre(page, 2, 12)
    before = page.evaluate("scrollY")
    touch = page.context.new_cdp_session(page)

    def send(kind: str, *points: tuple[float, float], **told: float) -> None:
        fingers = [{"x": x, "y": y} for x, y in points]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers, **told})

    send("touchStart", start)
    for step in np.linspace(0, 1, 6)[1:]:
        send("touchMove", (start[0] + step * (end[0] - start[0]), start[1] + step * (end[1] - start[1])))
    settle(page)
    assert where(page) == (2, 12)
    send("touchEnd")
    settle(page)
    assert state(page)["pins"] == []
    assert page.evaluate("scrollY") == before
    page.touchscreen.tap(*centre(page, 4, 4))
    settle(page)
    assert where(page) == (4, 4)
    assert state(page)["pins"] == []
    for seconds in (0.1, 1):  # a tap whose end is heard of late is none the longer
        settle(page)
        assert state(page)["pins"] == []
        begin = time.time()
        send("touchStart", centre(page, 4, 4), timestamp=begin)
        page.wait_for_selector("#first .ax-stage canvas.held")
        send("touchEnd", timestamp=begin + seconds)
    settle(page)
    assert state(page)["pins"] == [[4, 4]]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_explorers_follow_each_other(page: Any) -> None:
    hover(page, 7, 11)
    settle(page)
    assert where(page, "second") == (7, 11)
    assert "seed 7" in page.inner_text("#second .ax-badge")
    assert "almost nothing" in page.get_attribute("#second .ax-badge", "title")


def test_a_link_restores_the_view_and_changes_are_told(page: Any) -> None:
    page.evaluate("document.addEventListener('attn:state', (event) => { window.told = event.detail; })")
    set_value(page, "restored")
    page.wait_for_function("document.querySelector('#first .attn-explorer').explorer.getState().pins.length === 2")
    now = state(page)
    assert (now["cell"], now["pins"], now["direction"], now["temperature"]) == ([2, 3], [[4, 5], [6, 7]], "column", 0.5)
    set_control(page, "colormap", "magma")
    page.wait_for_function("window.told?.state === 'q2.3~p4.5_6.7~dcolumn~cmagma~t0.5'")


def test_export_reaches_python(page: Any) -> None:
    hover(page, 3, 4)
    page.click("#first [data-export=figure-svg]")
    page.wait_for_function("document.querySelector('#told textarea').value !== ''")
    told = json.loads(page.input_value("#told textarea"))
    assert (told["kind"], told["cell"], told["lang"], told["direction"]) == ("figure-svg", [3, 4], "en", "row")


def test_an_error_keeps_the_map(page: Any) -> None:
    hover(page, 3, 4)
    page.click("#set-error")
    page.wait_for_selector("#first .attn-explorer[data-state=error]")
    assert page.inner_text("#first .ax-notice") == "The photograph is too large."
    hover(page, 5, 6)
    assert_numbers(page, FIRST, 5, 6)


def test_a_new_network_keeps_the_view_of_the_same_photograph(page: Any) -> None:
    pin(page, 4, 5)
    set_control(page, "scale", "log")
    set_value(page, "28")
    assert state(page)["pins"] == []
    assert state(page)["scale"] == "log"


def test_layout_is_still_while_exploring(page: Any) -> None:
    height = "document.querySelector('#first .attn-explorer').getBoundingClientRect().height"
    before = page.evaluate(height)
    for cell in [(0, 0), (11, 15), (5, 8)]:
        hover(page, *cell)
        assert page.evaluate(height) == before
    pin(page, 5, 8)
    pin(page, 2, 2)
    assert page.evaluate(height) == before
    page.click("#first [data-compare='0']")
    page.click("#first [data-compare='1']")
    settle(page)
    assert page.evaluate(height) == before


def test_chinese_and_switching(url: str, open_page: Callable[..., Any]) -> None:
    page = ready(open_page(f"{url}?lang=zh"))
    hover(page, 3, 4)
    assert "在此（查询）" in page.inner_text("#first .ax-sentence")
    assert page.get_attribute("#first .attn-explorer", "lang") == "zh-CN"
    page.evaluate("attn.setLang('en')")
    settle(page)
    said = page.inner_text("#first .ax-sentence")
    assert "From where you point (a query) attention spreads as if evenly over about" in said


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_accessibility_issue(url: str, open_page: Callable[..., Any], scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = ready(open_page(f"{url}?lang=en&__theme={scheme}"))
    pin(page, 5, 8)
    pin(page, 2, 2)
    page.click("#first [data-compare='0']")
    found = axe.Axe().run(page, context=".attn-explorer").response["violations"]
    assert [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")] == []


def test_a_refused_lane_says_why_until_the_next_map(page: Any) -> None:
    notice, again = page.locator(".lane-notice"), page.locator(".lane-again")
    said = {
        name: text("en", key) for name, key in (("waiting", "window.lane.waiting"), ("refused", "page.notice.no_image"))
    }
    notice.get_by_text(said["waiting"]).wait_for()
    for name in ("28", "40"):  # refused twice in the same words
        page.click("#refuse")
        notice.get_by_text(said["refused"]).wait_for()
        assert again.is_visible()
        page.click(f"#set-{name}")
        notice.get_by_text(said["waiting"]).wait_for()
        assert not again.is_visible()
    page.click("#refuse")
    again.click()
    notice.get_by_text(said["waiting"]).wait_for()
    page.wait_for_function("document.querySelector('#told textarea').value === 'again'")
    page.click("#refuse")
    page.evaluate("window.attn.setLang('zh')")
    notice.get_by_text(text("zh", "page.notice.no_image")).wait_for()


def held(page: Any, name: str) -> None:
    """Sets a value whose rest the server holds back; its first map is there."""
    rows, cols = VALUES[name].grid
    page.click("#hold")
    quiet(page)
    page.click(f"#set-{name}")
    page.wait_for_selector(f"#first .attn-explorer[data-state=ready][data-rows='{rows}'][data-cols='{cols}']")


def test_one_query_is_there_before_the_others_which_are_not_made_up(page: Any) -> None:
    view = VALUES["later"]
    held(page, "later")
    assert where(page) == (5, 7)
    assert_numbers(page, view, 5, 7)
    set_control(page, "temperature", "1")
    assert_numbers(page, view, 5, 7, temperature=2)
    page.mouse.move(*centre(page, 2, 3, view.grid))
    page.locator("#first .ax-sentence", has_text="on their way").wait_for()
    assert where(page) == (5, 7)  # whose map it still is
    assert page.locator("#first .attn-explorer").get_attribute("data-whole") is None
    page.click("#let-go")
    page.wait_for_selector("#first .attn-explorer[data-whole][data-row='2'][data-col='3']")
    page.wait_for_function(
        "perplexity => Math.abs(document.querySelector('#first [data-number=perplexity] td').dataset.value"
        " / perplexity - 1) < 1e-3",
        arg=float(perplexity(attention(view, 2, 2 * 14 + 3))[0]),
    )


def test_what_comes_late_for_one_map_is_not_mixed_into_the_next(page: Any) -> None:
    held(page, "later")
    page.click("#set-latest")  # with a pin: it cannot be shown without its rest
    page.locator("#first .attn-explorer[data-state=loading]").wait_for()
    page.click("#let-go")
    page.wait_for_selector("#first .attn-explorer[data-state=ready][data-whole][data-key=latest][data-pins='1']")
    assert where(page) == (2, 3)
    assert_numbers(page, VALUES["latest"], 2, 3)
    hover(page, 7, 8, VALUES["latest"].grid)
    assert_numbers(page, VALUES["latest"], 7, 8)


def test_a_rest_that_cannot_be_had_is_asked_for_once_more_and_then_said(page: Any) -> None:
    held(page, "never")
    page.mouse.move(*centre(page, 2, 3, VALUES["never"].grid))
    page.locator("#first .ax-sentence", has_text="could not be fetched").wait_for()
    page.click("#asked")
    page.wait_for_function("() => document.querySelector('#told textarea, #told input').value")
    assert json.loads(page.locator("#told textarea, #told input").input_value()).count("never") == 2
    assert where(page) == (4, 4)
    set_value(page, "first")  # and nothing is lost by it
    hover(page, 1, 1)
    assert_numbers(page, FIRST, 1, 1)
