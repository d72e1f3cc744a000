"""The story and the transposition in a real Chromium: asked first, shown then, and nothing of the window moved."""

from collections.abc import Callable
from typing import Any

import pytest

from attn.texts import text
from attn.ui.panels.story.panel import StoryView
from tests.browser.story_page import build_views

pytestmark = pytest.mark.browser
STORY = ".attn-story[data-state=ready]"
STEPS = 12
FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


@pytest.fixture(scope="module")
def address(serve: Callable[[str], str]) -> str:
    return serve("story_page.py")


@pytest.fixture(scope="module")
def view() -> StoryView:
    return build_views()[2]


@pytest.fixture
def page(address: str, open_page: Callable[..., Any]) -> Any:
    page = open_page(address, reduced_motion="reduce")
    page.wait_for_selector(STORY)
    return page


def active(page: Any) -> str:
    return str(page.locator(f"{STORY} article[data-active]").get_attribute("data-step"))


def test_a_step_asks_before_it_shows_and_quotes_its_own_numbers(page: Any, view: StoryView) -> None:
    page.evaluate("attn.emit('attn:goto', { step: 'shapes' })")
    step = page.locator("#story-shapes")
    assert step.locator(".st-reveal").inner_text() == ""
    step.locator(".st-options button").nth(1).click()
    rows, cols = view.facts["grid"]
    assert f"{rows * cols:,} × {rows * cols:,}" in step.locator(".st-reveal").inner_text().replace("\u202f", ",")
    assert text("en", "story.verdict.right") in step.locator(".st-reveal").inner_text()
    assert step.locator(".st-options button").nth(1).get_attribute("data-right") is not None


ASKED = ("where", "elsewhere", "shapes", "gates", "affine", "random", "shuffle", "sentence")


def test_a_picture_is_covered_until_its_question_is_answered(page: Any) -> None:
    """Neither eye nor ear has the answer before: the caption, the canvas's name, what the keyboard reads of it."""
    covered, canvas = text("en", "story.covered"), page.locator(f"{STORY} canvas")
    for name in ASKED:
        page.evaluate("(step) => attn.emit('attn:goto', { step })", name)
        page.wait_for_selector(f"#story-{name}[data-active]")
        spoken = page.locator(f"{STORY} .attn-spoken")
        canvas.focus()
        page.keyboard.press("Home")
        assert spoken.inner_text() == covered
        assert page.locator(f"{STORY} .st-caption").inner_text() == covered
        page.wait_for_function("(said) => document.querySelector('.attn-story canvas').ariaLabel === said", arg=covered)
        hidden = canvas.screenshot()
        page.locator(f"#story-{name} .st-options button").last.click()
        assert page.locator(f"{STORY} .st-caption").inner_text() != covered
        page.wait_for_function("(said) => document.querySelector('.attn-story canvas').ariaLabel !== said", arg=covered)
        assert canvas.screenshot() != hidden
        canvas.focus()
        page.keyboard.press("Home")
        assert spoken.inner_text() not in ("", covered)


def test_the_line_below_the_picture_names_the_position_that_is_marked(page: Any) -> None:
    page.evaluate("attn.emit('attn:goto', { step: 'where' })")
    page.locator("#story-where .st-options button").last.click()
    canvas, caption = page.locator(f"{STORY} canvas"), page.locator(f"{STORY} .st-caption")
    canvas.focus()
    for key in ("Home", "ArrowRight"):
        page.keyboard.press(key)
        spoken = page.locator(f"{STORY} .attn-spoken").inner_text()  # “row 0, column 1: attends to about …”
        marked = spoken.split(":")[0].removeprefix("row ")
        page.wait_for_function(
            "(marked) => document.querySelector('.attn-story .st-caption').textContent.includes(`Row ${marked}:`)",
            arg=marked,
        )
    assert marked == "0, column 1"
    assert caption.inner_text().startswith(text("en", "story.where.picture"))


def test_going_on_without_an_answer_uncovers_nothing(page: Any) -> None:
    page.locator("#story-where .primary").click()
    page.wait_for_selector("#story-elsewhere[data-active]")
    for name in ("elsewhere", "where"):
        assert page.locator(f"#story-{name} .st-reveal").inner_text() == ""
        assert page.locator(f"{STORY} .st-caption").inner_text() == text("en", "story.covered")
        page.evaluate("attn.emit('attn:goto', { step: 'where' })")


def test_answers_outlive_a_reload_and_no_more_is_shown(page: Any) -> None:
    page.locator("#story-where .st-options button").first.click()
    page.locator("#story-where .primary").click()
    page.wait_for_selector("#story-elsewhere[data-active]")
    page.locator("#story-elsewhere .st-options button").last.click()  # "show me"
    page.locator("#story-elsewhere .primary").click()
    page.locator("#story-pixel .primary").click()
    page.wait_for_selector("#story-shapes[data-active]")
    said = page.locator("#story-where .st-reveal").inner_text()
    assert said
    page.reload()
    page.wait_for_selector("#story-shapes[data-active]")
    assert page.locator(f"{STORY} .st-caption").inner_text() == text("en", "story.covered")
    assert page.locator("#story-where .st-reveal").inner_text() == said
    assert page.locator("#story-elsewhere .st-options [aria-pressed=true]").inner_text() == text("en", "story.unsure")
    page.go_back()
    page.go_back()
    page.wait_for_selector("#story-elsewhere[data-active]")
    page.wait_for_function(
        """() => { const { top, bottom } = document.querySelector('#story-elsewhere h3').getBoundingClientRect();
        return top >= 0 && bottom <= innerHeight; }"""
    )
    assert page.locator(f"{STORY} .st-caption").inner_text() == text("en", "story.elsewhere.picture")


def test_where_storage_is_denied_the_story_works(address: str, open_page: Callable[..., Any]) -> None:
    page = open_page("about:blank", reduced_motion="reduce")
    page.add_init_script(
        "Object.defineProperty(window, 'sessionStorage', { get() { throw new DOMException('', 'SecurityError'); } })"
    )
    page.goto(f"{address}?lang=en")
    page.wait_for_selector(STORY)
    page.locator("#story-where .st-options button").nth(1).click()
    assert text("en", "story.verdict.right") in page.locator("#story-where .st-reveal").inner_text()


def test_an_answer_by_keyboard_keeps_the_focus(page: Any) -> None:
    page.locator("#story-where .st-options button").first.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"


def test_every_step_draws_and_leaves_no_place_unfilled(page: Any) -> None:
    seen = set()
    for _ in range(STEPS):
        name = active(page)
        step = page.locator(f"#story-{name}")
        if step.locator(".st-options button").count():
            step.locator(".st-options button").last.click()
        page.wait_for_function(  # drawn, in more than two colours
            """() => { const c = document.querySelector('.attn-story canvas');
            const p = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
            const seen = Array.from({ length: 4000 }, (_, i) => p[4 * (i * 97 % (c.width * c.height))]);
            return new Set(seen).size > 2; }"""
        )
        assert "{" not in step.inner_text(), name
        assert "story." not in step.inner_text(), name
        seen.add(name)
        following = step.get_by_role("button", name=text("en", "story.next"), exact=True)
        if following.count():
            following.click()
    assert len(seen) == STEPS


def test_the_window_stays_as_it_was(page: Any) -> None:
    where = "() => [...['row', 'col', 'pins']].map((name) => document.querySelector('.attn-explorer').dataset[name])"
    before = page.evaluate(where)
    page.locator("#story-where .st-options button").first.click()
    box = page.locator(f"{STORY} canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 3)
    page.mouse.move(box["x"] + box["width"] / 2 + 30, box["y"] + box["height"] / 3)
    page.evaluate("attn.emit('attn:goto', { step: 'gates' })")
    assert page.evaluate(where) == before


def test_steps_are_in_the_address_and_back_leads_back(page: Any) -> None:
    page.locator("#story-where .primary").click()
    page.wait_for_function("location.search.includes('step=elsewhere')")
    page.locator("#story-elsewhere .primary").click()
    page.wait_for_function("location.search.includes('step=pixel')")
    page.go_back()
    page.wait_for_selector("#story-elsewhere[data-active]")


def test_a_link_opens_at_its_step(address: str, open_page: Callable[..., Any]) -> None:
    page = open_page(f"{address}?step=affine&lang=zh", reduced_motion="reduce")
    page.wait_for_selector("#story-affine[data-active]")
    assert text("zh", "story.affine.title") in page.locator("#story-affine").inner_text()


def test_pictures_answer_the_keyboard(page: Any) -> None:
    page.evaluate("attn.emit('attn:goto', { step: 'buys' })")
    page.wait_for_selector("#story-buys[data-active]")
    page.locator(f"{STORY} canvas").focus()
    page.keyboard.press("Home")
    said = page.locator(f"{STORY} .attn-spoken").inner_text()
    page.keyboard.press("ArrowDown")
    assert page.locator(f"{STORY} .attn-spoken").inner_text() not in ("", said)
    page.keyboard.press("End")
    assert "0.9" in page.locator(f"{STORY} .attn-spoken").inner_text()


def test_terms_explain_themselves(page: Any) -> None:
    term = page.locator("#story-where a[href='#term-position']")
    card = page.locator("#attn-term-card")
    card.wait_for(state="attached")  # with the glossary's words; until then nothing hears
    term.hover()
    card.wait_for(state="visible")
    assert text("en", "glossary.position.means") in card.inner_text()
    word, box = term.bounding_box(), card.bounding_box()
    assert abs(box["x"] - word["x"]) < 400  # beside its word, over the page
    assert -box["height"] - 12 <= box["y"] - word["y"] <= word["height"] + 12
    page.keyboard.press("Escape")
    assert card.is_hidden()
    term.focus()
    assert card.is_visible()


def test_the_product_is_turned(page: Any) -> None:
    panel = page.locator(".attn-transposition")
    panel.scroll_into_view_if_needed()
    canvas = panel.locator(".tp-product canvas")
    canvas.and_(page.locator("[aria-label*='100 × 100']")).wait_for()
    panel.get_by_text(text("en", "transposition.way.channels"), exact=True).click()
    page.wait_for_function(
        "document.querySelector('.tp-product canvas').getAttribute('aria-label').includes('256 × 256')"
    )
    row = page.evaluate("document.querySelector('.attn-explorer').dataset.row")
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + box["height"] * 0.9)
    panel.locator(".tp-product .attn-tip", has_text="channel").wait_for()
    assert page.evaluate("document.querySelector('.attn-explorer').dataset.row") == row  # no row is a position
    panel.get_by_text(text("en", "transposition.way.positions"), exact=True).click()
    page.wait_for_function(
        "document.querySelector('.tp-product canvas').getAttribute('aria-label').includes('100 × 100')"
    )
    page.mouse.move(box["x"] + box["width"] * 0.95, box["y"] + box["height"] * 0.97)
    page.wait_for_function("(row) => document.querySelector('.attn-explorer').dataset.row !== row", arg=row)


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_words_on_canvases_take_the_colours_of_another_theme(
    address: str, open_page: Callable[..., Any], motion: str
) -> None:
    pixels = """() => {
      const canvas = document.querySelector('.attn-story canvas');
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      return data.reduce((sum, value) => (sum * 31 + value) % 1e9, 0);
    }"""
    link = f"{address}?step=shuffle&lang=en"
    dark, light = (open_page(link, color_scheme=scheme, reduced_motion=motion) for scheme in ("dark", "light"))
    for page in (dark, light):
        page.wait_for_selector("#story-shuffle[data-active]")
        page.evaluate(FRAMES)
    assert light.evaluate(pixels) != dark.evaluate(pixels)
    light.emulate_media(color_scheme="dark", reduced_motion=motion)
    light.wait_for_function(f"(drawn) => ({pixels})() === drawn", arg=dark.evaluate(pixels))


def test_on_a_phone_a_step_stands_right_under_its_picture(address: str, open_page: Callable[..., Any]) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    page = open_page(f"{address}?lang=en", reduced_motion="reduce", **phone)
    page.wait_for_selector(STORY)
    for name in ("shapes", "affine"):
        page.evaluate("(step) => attn.emit('attn:goto', { step })", name)
        page.wait_for_selector(f"#story-{name}[data-active]")
        options = page.locator(f"#story-{name} .st-options button")
        options.last.click()
        assert options.filter(visible=True).count() == 2  # what was said and what is so
        page.evaluate(FRAMES)  # the picture has other words below it, and perhaps another height
        page.evaluate("(step) => attn.emit('attn:goto', { step })", name)
        stage, step = (page.locator(f"{STORY} {part}").bounding_box() for part in (".st-stage", f"#story-{name}"))
        assert 0 <= step["y"] - stage["y"] - stage["height"] + 1 <= 4  # nothing of the step before between them


@pytest.mark.parametrize("width", [390, 768])
def test_small_screens_need_no_sideways_scrolling(address: str, open_page: Callable[..., Any], width: int) -> None:
    page = open_page(f"{address}?lang=zh", viewport={"width": width, "height": 844})
    page.wait_for_selector(STORY)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
