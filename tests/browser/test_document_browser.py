"""The one file in a real Chromium, from the disk, with the network off."""

import html
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio.media import get_image
from PIL import Image

from attn import Inspection, Inspector
from attn.figures.document import document, frame
from tests.conftest import ROOT

pytestmark = pytest.mark.browser

READY = ".attn-explorer[data-state=ready]"


@pytest.fixture(scope="module")
def inspection() -> Inspection:
    return Inspector(detail="coarse").inspect(get_image("lion.jpg"))


@pytest.fixture(scope="module")
def path(inspection: Inspection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return inspection.save_html(tmp_path_factory.mktemp("file") / "lion.html", language="en")


@pytest.fixture
def page(path: Path, open_page: Callable[..., Any]) -> Any:
    return opened(open_page(f"file://{path}", offline=True))


def opened(page: Any) -> Any:
    page.wait_for_selector(READY)
    page.wait_for_selector(".attn-channel-lane[data-state=ready]")
    return page


def hover(page: Any, row: int, column: int, grid: tuple[int, int]) -> None:
    box = page.locator(".ax-stage canvas").bounding_box()
    page.mouse.move(
        box["x"] + box["width"] * (column + 0.5) / grid[1], box["y"] + box["height"] * (row + 0.5) / grid[0]
    )
    page.wait_for_selector(f'.attn-explorer[data-row="{row}"][data-col="{column}"]')


def pointing_in_the_first_moves_only_it(page: Any) -> None:
    """Of a page's two windows. By its element: a frame has no address yet where its process has not reported."""
    frames = page.locator("iframe")
    assert frames.count() == 2
    first, second = (frames.nth(i).content_frame for i in range(2))
    for each in (first, second):
        each.locator(READY).wait_for()
    before = second.locator(".attn-explorer").get_attribute("data-row")
    first.locator(".ax-stage canvas").hover(position={"x": 5, "y": 5})
    first.locator('.attn-explorer[data-row="0"]').wait_for()
    assert second.locator(".attn-explorer").get_attribute("data-row") == before != "0"


def numbers(page: Any) -> list[float]:
    """The column "this query" of the table, as numbers; nan for "–"."""
    texts = page.locator(".ax-numbers tbody td:nth-child(2)").all_inner_texts()
    found = [re.search(r"[\d.]+", said.replace(",", "")) for said in texts]
    return [float(match[0]) if match else np.nan for match in found]


def test_pointing_gives_pythons_numbers_and_asks_for_nothing(page: Any, inspection: Inspection) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    metrics, (rows, columns) = inspection.query_metrics, inspection.grid
    for row, column in [(6, 9), (0, 0), (19, 3), (12, 17)]:
        hover(page, row, column, inspection.grid)
        i = row * columns + column
        positions, area, distance, entropy, peak, *_ = numbers(page)
        assert positions == pytest.approx(metrics.perplexity[i], abs=0.6)
        assert area / 100 == pytest.approx(metrics.mass_area[i], abs=1.5 / (rows * columns))
        assert distance == pytest.approx(metrics.distance[i], abs=0.1)
        assert entropy == pytest.approx(metrics.entropy[i], abs=1.5e-3)
        assert peak == pytest.approx(inspection.attention[i].max() * rows * columns, rel=2e-3, abs=0.1)
    assert asked == []


def test_nothing_is_fetched_from_the_first(path: Path, open_page: Callable[..., Any]) -> None:
    page = open_page("about:blank", offline=True)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"file://{path}")
    opened(page)
    page.wait_for_timeout(500)
    assert asked == [f"file://{path}"]


def test_it_opens_with_the_mechanism_and_the_channel_it_was_saved_with(
    inspection: Inspection, open_page: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "eca.html").write_text(document(inspection, lane={"mechanism": "eca", "channel": "12"}), "utf-8")
    lane = opened(open_page(f"file://{tmp_path / 'eca.html'}", offline=True)).locator(".attn-channel-lane")
    assert [lane.get_attribute(f"data-{name}") for name in ("mechanism", "channel", "large")] == ["eca", "12", "true"]


def test_pins_language_and_colours_work(page: Any, inspection: Inspection) -> None:
    hover(page, 6, 9, inspection.grid)
    page.mouse.down()
    page.mouse.up()
    assert page.locator(".ax-pins [data-pin]").count() == 1
    page.get_by_role("button", name="简体中文").click()
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    assert page.get_by_role("button", name="简体中文").get_attribute("aria-pressed") == "true"
    before = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="深色").click()
    assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") != before


def test_the_map_and_its_numbers_can_be_saved(page: Any, inspection: Inspection) -> None:
    hover(page, 6, 9, inspection.grid)
    with page.expect_download() as saved:
        page.locator("[data-export=figure-png]").dispatch_event("click")
    assert Image.open(saved.value.path()).size[0] > 200
    with page.expect_download() as saved:
        page.locator("[data-export=metrics]").dispatch_event("click")
    lines = Path(saved.value.path()).read_text().splitlines()
    assert lines[0] == "row,column,times_uniform"
    values = np.array([float(line.split(",")[2]) for line in lines[1:]])
    i = 6 * inspection.grid[1] + 9
    np.testing.assert_allclose(values, inspection.attention[i] * len(values), atol=len(values) / 5000 + 0.01)
    assert [
        button for button in page.locator("[data-export]:visible").all() if "pdf" in (button.inner_text() or "")
    ] == []


def test_two_in_one_page_do_not_disturb_each_other(
    inspection: Inspection, open_page: Callable[..., Any], tmp_path: Path
) -> None:
    other = Inspector(weights="similarity", detail="coarse").inspect(get_image("cheetah.jpg"))
    both = "".join(frame(document(one, language="en")) for one in (inspection, other))
    (tmp_path / "course.html").write_text(f"<!DOCTYPE html><p>A course.</p>{both}", "utf-8")
    page = open_page(f"file://{tmp_path / 'course.html'}", offline=True)
    pointing_in_the_first_moves_only_it(page)
    assert page.locator("html").get_attribute("class") is None
    assert page.evaluate("() => window.attn") is None


def test_a_notebook_shows_windows_that_do_not_disturb_each_other(open_page: Callable[..., Any], tmp_path: Path) -> None:
    nbconvert, nbformat = pytest.importorskip("nbconvert"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(ROOT / "examples/attention_window.ipynb", as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(f"import sys; sys.path.insert(0, {str(ROOT)!r})"))
    execute = nbconvert.preprocessors.ExecutePreprocessor(timeout=300, startup_timeout=300)
    execute.preprocess(notebook, {"metadata": {"path": str(tmp_path)}})
    assert (tmp_path / "hopper.html").stat().st_size > 1e5
    (said,) = (each for cell in notebook.cells for each in cell.get("outputs", []) if each.output_type == "stream")
    assert said.text.startswith("Inspection(photograph ")
    exported, _ = nbconvert.HTMLExporter().from_notebook_node(notebook)
    (tmp_path / "notebook.html").write_text(exported, "utf-8")
    page = open_page(f"file://{tmp_path / 'notebook.html'}", offline=True)
    pointing_in_the_first_moves_only_it(page)


def test_it_is_accessible(page: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    for press in (None, "Dark"):
        if press:
            page.get_by_role("button", name=press).click()
        found = axe.Axe().run(page).response["violations"]
        grave = [each for each in found if each["impact"] in ("serious", "critical", "moderate")]
        assert [(each["id"], [node["html"] for node in each["nodes"]][:3]) for each in grave] == []


def test_a_name_is_never_markup(inspection: Inspection, open_page: Callable[..., Any], tmp_path: Path) -> None:
    evil = '</script><img src=x onerror="document.title=1">'
    (tmp_path / "evil.html").write_text(document(inspection, title=evil, view=evil), "utf-8")
    page = opened(open_page(f"file://{tmp_path / 'evil.html'}", offline=True))
    assert page.title() == evil
    assert page.locator("h1").inner_text() == evil
    assert page.locator("img").count() == 0
    assert html.escape(evil) in (tmp_path / "evil.html").read_text("utf-8")
