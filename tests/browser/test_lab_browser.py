"""The position lab and the text lane in a real Chromium, their numbers beside Python's."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gradio.media import get_image

from attn import Inspection, Inspector
from attn.measures.attention import entropy, mean_attention_distance
from attn.sentence import shuffle_sentence, tokenize
from attn.texts import text
from attn.ui.panels.lab.panel import LabView, lab_view
from tests.conftest import BAR, quiet

pytestmark = pytest.mark.browser

SIDE = 160
LAB = ".attn-lab[data-state=ready]"
TEXT = ".attn-text[data-state=ready]"


@pytest.fixture(scope="module")
def inspector() -> Inspector:
    return Inspector()


@pytest.fixture(scope="module")
def inspection(inspector: Inspector) -> Inspection:
    return inspector.inspect(get_image("lion.jpg"), SIDE)


@pytest.fixture(scope="module")
def view(inspection: Inspection, inspector: Inspector) -> LabView:
    return lab_view(inspection, inspector)


@pytest.fixture
def lab(app_url: str, open_page: Callable[..., Any]) -> Any:
    page = open_page(f"{app_url}?lang=en&example=lion&side={SIDE}")
    open_lab(page)
    quiet(page)
    return page


def open_lab(page: Any) -> None:
    page.wait_for_selector(f"#explorer [data-state=ready][data-rows='{SIDE // 8}']")  # the link's, however late
    page.wait_for_function(BAR)
    page.evaluate("attn.page.set({ place: 'bench' })")
    page.wait_for_selector(".attn-channels[data-state=ready]")  # above the lab: it moves it down
    page.locator(".attn-lab").scroll_into_view_if_needed()  # what it shows is fetched when it is near the screen
    page.wait_for_selector(f"{LAB}:not([data-stale])")
    page.wait_for_selector(TEXT)


def settle(page: Any) -> None:
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def point(page: Any, lane: str, picture: str, row: int, col: int, grid: tuple[int, int]) -> None:
    canvas = page.locator(f"[data-lane={lane}] canvas[data-view={picture}]")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + (col + 0.5) / grid[1] * box["width"], box["y"] + (row + 0.5) / grid[0] * box["height"])
    settle(page)


def data(page: Any, selector: str, name: str) -> float:
    return float(page.locator(selector).first.get_attribute(f"data-{name}"))


def slide(page: Any, strength: float) -> None:
    page.locator(".al-strength input").evaluate(
        "(input, value) => { input.value = value; input.dispatchEvent(new Event('input', { bubbles: true })); }",
        strength,
    )
    settle(page)


def test_pointing_and_sliding_show_pythons_numbers_without_a_request(
    lab: Any, view: LabView, inspection: Inspection
) -> None:
    requests: list[str] = []
    lab.on("request", lambda request: requests.append(request.url))
    for (row, col), strength in [((2, 3), 1.0), ((7, 5), 0.4), ((9, 9), 2.0), ((0, 0), 0.0)]:
        slide(lab, strength)
        point(lab, "with", "before", row, col, view.grid)
        query = row * view.grid[1] + col
        map_ = view.parts.rows(strength, [query])
        assert data(lab, LAB, "entropy") == pytest.approx(entropy(map_)[0], abs=2e-3)
        distance = mean_attention_distance(map_, view.grid, view.stride_px, [query])[0]
        assert data(lab, LAB, "distance") == pytest.approx(distance, rel=5e-3)
        at = round(strength * 10)
        assert data(lab, "[data-chart=entropy]", "value") == view.entropy[at]
        assert data(lab, "[data-chart=distance]", "value") == view.distance_px[at]
    assert requests == []


def test_the_query_is_the_same_in_every_picture(lab: Any, view: LabView) -> None:
    order = view.shuffles["spatial"].permutation
    point(lab, "without", "after", 3, 4, view.grid)
    content = divmod(int(order[3 * view.grid[1] + 4]), view.grid[1])
    assert (data(lab, LAB, "row"), data(lab, LAB, "col")) == content
    explorer = lab.locator(".attn-explorer")
    assert (int(explorer.get_attribute("data-row")), int(explorer.get_attribute("data-col"))) == content
    lab.locator("[data-lane=without] canvas[data-view=before]").focus()
    lab.keyboard.press("ArrowDown" if content[0] < view.grid[0] - 1 else "ArrowUp")
    settle(lab)
    assert data(lab, LAB, "row") != content[0]
    assert str(int(data(lab, LAB, "row"))) in lab.locator(".al-live").inner_text()


def test_the_maps_error_is_pythons(lab: Any, view: LabView) -> None:
    result = view.shuffles["spatial_position"]
    row, col = divmod(int(result.queries[20]), view.grid[1])
    point(lab, "with", "before", row, col, view.grid)
    expected = np.linalg.norm(result.restored[20] - result.before[20]) / np.linalg.norm(result.before[20])
    assert expected > 0.01
    assert data(lab, "[data-lane=with]", "error") == pytest.approx(expected, rel=0.02)
    assert data(lab, "[data-lane=without]", "error") < 1e-5
    slide(lab, 0)
    assert data(lab, "[data-lane=with]", "error") < 1e-5


def test_each_press_is_a_new_permutation_with_the_same_verdicts(lab: Any) -> None:
    arrays: list[str] = []
    lab.on("request", lambda request: arrays.append(request.url) if "lab.safetensors" in request.url else None)
    pictures = set()
    for seed in (1, 2):
        lab.get_by_role("button", name=text("en", "lab.shuffle")).click()
        lab.wait_for_selector(f"{LAB}[data-seed='{seed}']")
        settle(lab)
        assert lab.locator(".al-seed").inner_text() == text("en", "lab.seed", seed=seed)
        rows = lab.locator(".al-errors tbody tr")
        noticed = rows.evaluate_all(
            "(rows) => rows.filter((r) => r.dataset.same === 'false').map((r) => r.dataset.mechanism)"
        )
        assert noticed == ["spatial_position"]
        pictures.add(lab.locator("[data-lane=without] [data-view=after]").evaluate("(c) => c.toDataURL()"))
    assert len(pictures) == 2
    assert arrays == []


def test_a_token_shows_pythons_row(lab: Any) -> None:
    sentence = text("en", "text_lane.try.1")
    tokens = tokenize(sentence)
    for place in (1, 6):
        lab.locator("[data-lane=without] [data-view=attention] .at-token").nth(place).hover()
        for lane, strength in (("without", 0.0), ("with", 1.0)):
            result = shuffle_sentence(tokens, int(data(lab, TEXT, "seed")), strength)
            for view_, map_, row in (
                ("attention", result.attention, place),
                ("shuffled", result.shuffled, result.order.tolist().index(place)),
            ):
                cells = lab.locator(f"[data-lane={lane}] [data-view={view_}] .at-token")
                shown = cells.evaluate_all("(cells) => cells.map((cell) => Number(cell.dataset.times))")
                np.testing.assert_allclose(shown, len(tokens) * map_[row], atol=1e-5)
            assert data(lab, f".attn-text [data-lane={lane}]", "error") == pytest.approx(result.output_error)


def test_tokens_by_keyboard_and_another_shuffle(lab: Any) -> None:
    before = lab.locator("[data-lane=with] [data-view=shuffled]").last.inner_text()
    lab.get_by_role("button", name=text("en", "text_lane.shuffle")).click()
    lab.wait_for_function("() => document.querySelector('.attn-text').dataset.seed === '2'")
    assert lab.locator("[data-lane=with] [data-view=shuffled]").last.inner_text() != before
    lab.locator(".at-token[tabindex='0']").focus()
    lab.keyboard.press("ArrowRight")
    lab.keyboard.press("ArrowRight")
    assert data(lab, TEXT, "token") == 2
    assert "bites" in lab.locator(".at-live").inner_text()
    assert lab.evaluate("document.activeElement.dataset.token") == "2"


def test_what_is_typed_is_data(lab: Any) -> None:
    typed = "<img src=x onerror=document.title='got'> ${1+1} 狗咬人"
    lab.locator(".attn-text input").fill(typed)
    lab.wait_for_function("(typed) => document.querySelector('.attn-text').dataset.sentence === typed", arg=typed)
    shown = lab.locator("[data-lane=without] [data-view=attention] .at-token b").all_inner_texts()
    assert shown == tokenize(typed)
    assert lab.locator(".attn-text img").count() == 0
    assert lab.title() != "got"
    lab.locator(".attn-text input").fill("  ")
    lab.wait_for_function(
        "(said) => document.querySelector('.at-status').textContent === said", arg=text("en", "text_lane.empty")
    )


@pytest.mark.parametrize("width", [390, 768])
def test_small_screens_need_no_sideways_scrolling(app_url: str, open_page: Callable[..., Any], width: int) -> None:
    page = open_page(f"{app_url}?lang=zh&side={SIDE}", viewport={"width": width, "height": 800}, has_touch=True)
    open_lab(page)
    quiet(page)  # what is above has come, too, and moves nothing any more
    for heading in page.locator(".attn-lab .attn-fold[aria-expanded=false]:visible").all():  # on a phone
        heading.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("[data-lane=without] canvas[data-view=before]").tap(position={"x": 3, "y": 3})
    settle(page)
    assert (data(page, LAB, "row"), data(page, LAB, "col")) == (0, 0)
