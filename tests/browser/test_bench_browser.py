"""The bench as a stranger uses it: its link, two photographs, a file's blocks, a network's own gates."""

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from diffusers import AutoencoderKL
from gradio.media import get_image
from PIL import Image
from safetensors.torch import save_file

from attn import Inspector
from attn.measures.attention import query_metrics
from attn.pairs import cross_attention_rows, encode_pair
from attn.stems.own_gates import GatedNetwork
from attn.texts import text
from tests.browser.saving import saved_files
from tests.conftest import BAR, quiet, running_app

pytestmark = pytest.mark.browser

LION, CHEETAH, TOWER = (get_image(f"{name}.jpg") for name in ("lion", "cheetah", "tower"))
SETTINGS = "stage=layer2&side=96&detail=coarse&weights=trained"  # small: a few hundred positions
BENCH = ".attn-channels[data-state=ready]"
PAIR = ".attn-pair[data-state=ready]"
GATES = ".attn-own-gates"
BLOCKS = ".attn-blocks"


@pytest.fixture(scope="module")
def torch_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """torchvision's folder of downloads, in which MobileNetV3 is: with random weights, as torchvision builds it."""
    folder = tmp_path_factory.mktemp("torch")
    checkpoints = folder / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    torch.manual_seed(0)
    network = torchvision.models.mobilenet_v3_large()
    address = torchvision.models.get_model_weights("mobilenet_v3_large")["IMAGENET1K_V1"].url
    torch.save(network.state_dict(), checkpoints / Path(address).name)
    return folder


@pytest.fixture(scope="module")
def url(chromium: Any, torch_home: Path) -> Iterator[str]:
    """An app that reaches no network, whatever the machine."""
    offline = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    with running_app(TORCH_HOME=str(torch_home), **offline) as address:
        yield address


def bench(open_page: Callable[..., Any], address: str, **context: Any) -> Any:
    page = open_page(address, **context)
    # The link's, however late: where the server takes long, the page opens as it does without one.
    page.wait_for_selector("#explorer .attn-explorer[data-state=ready]:not([data-rows='40'])", state="attached")
    page.wait_for_selector(f"{BENCH}:not([data-stale])")
    page.wait_for_function(BAR)
    return page


@pytest.fixture
def page(url: str, open_page: Callable[..., Any]) -> Any:
    return bench(open_page, f"{url}?place=bench&{SETTINGS}")


def settle(page: Any) -> None:
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def rows_shown(page: Any) -> list[str]:
    rows = page.locator(f"{BENCH} .scroll tbody tr[data-channel]").all_text_contents()  # folded on a phone, too
    return [str(row) for row in rows[:6]]


def test_a_link_restores_the_columns_the_channel_and_the_sorting(
    page: Any, url: str, open_page: Callable[..., Any]
) -> None:
    assert not re.search("columns|subject|sort|channel", page.url)  # as the page opens
    page.select_option(f"{BENCH} .lane[data-column='1'] select", "xca")
    page.locator(f"{BENCH} .add").click()
    page.select_option(f"{BENCH} .lane[data-column='2'] select", "cam")
    page.locator(f"{BENCH} .choice input[value='column:2']").first.check()
    sorting = page.locator(f"{BENCH} th[data-key=std_after] button")
    sorting.click()
    sorting.click()
    stepper = page.locator(f"{BENCH} .stepper input").first
    stepper.fill("77")
    stepper.press("Enter")
    settle(page)
    shown = rows_shown(page)
    for side in ({}, {"viewport": {"width": 390, "height": 844}}):
        context = bench(open_page, page.url, **side)
        context.wait_for_selector(f"{BENCH}[data-columns='spatial xca cam'][data-channel='77']")
        assert context.locator(f"{BENCH} .choice input[value='column:2']").first.is_checked()
        assert context.locator(f"{BENCH} th[data-key=std_after]").get_attribute("aria-sort") == "ascending"
        assert rows_shown(context) == shown


def test_back_shows_the_columns_of_the_step_before(page: Any) -> None:
    page.select_option(f"{BENCH} .lane[data-column='1'] select", "xca")
    page.get_by_role("button", name=text("en", "window.place.reference")).click()
    page.evaluate("attn.emit('attn:mechanism', { source: 'test', name: 'cam' })")
    page.wait_for_selector(f"{BENCH}[data-columns='spatial cam']", state="attached")
    page.go_back()
    page.wait_for_selector(f"{BENCH}[data-columns='spatial xca']")


def test_what_the_window_shows_stands_beside_the_attnblock_in_a_fresh_page(
    url: str, open_page: Callable[..., Any]
) -> None:
    page = bench(open_page, f"{url}?place=bench&mechanism=eca&columns=nothing&sort=nonsense&{SETTINGS}")
    assert page.locator(BENCH).get_attribute("data-columns") == "spatial eca"
    assert page.locator(f"{BENCH} th[data-key=change_norm]").get_attribute("aria-sort") == "descending"


# --- two photographs


def jpeg(path: str) -> dict[str, Any]:
    picture = io.BytesIO()
    Image.open(path).convert("RGB").save(picture, "JPEG")
    return {"name": "second.jpg", "mimeType": "image/jpeg", "buffer": picture.getvalue()}


def pair(page: Any) -> Any:
    page.locator(".attn-pair").scroll_into_view_if_needed()
    page.wait_for_selector(PAIR)
    return page.locator(PAIR)


def bring_second(page: Any, file: dict[str, Any]) -> None:
    with page.expect_file_chooser() as chooser:
        page.locator(PAIR).get_by_role("button", name=text("en", "bench.pair.upload")).click()
    chooser.value.set_files(file)


def found(panel: Any) -> str:
    return str(panel.locator(".two figure").nth(1).locator(".note").inner_text())


def position_named(sentence: str) -> tuple[int, int]:
    """The row and column of the best match that the panel names."""
    match = re.search(r"★\): row (\d+), column (\d+)", sentence)
    assert match, sentence
    return int(match[1]), int(match[2])


def test_asking_one_photograph_and_looking_in_another(page: Any) -> None:
    panel = pair(page)
    names = [text("en", f"bench.pair.example.{name}") for name in ("lion", "cheetah")]
    panel.get_by_role("button", name=" → ".join(names)).click()
    page.wait_for_selector(f"{PAIR} .controls button[aria-pressed=true]:has-text('→')")
    first, second = encode_pair(LION, CHEETAH, longest_side=96, stage="layer2", detail="coarse", weights="trained")
    rows, cols = first.grid
    quiet(page)
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    canvas = panel.locator(".two figure canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    for row, col in ((1, 1), (rows // 2, cols // 2), (rows - 2, cols - 1)):
        page.mouse.move(box["x"] + (col + 0.5) / cols * box["width"], box["y"] + (row + 0.5) / rows * box["height"])
        settle(page)
        weights = cross_attention_rows(first, second, [row * cols + col])[0]
        best = position_named(found(panel))
        assert weights[best[0] * second.grid[1] + best[1]] == pytest.approx(weights.max(), rel=0.01)
        page.mouse.down()
        page.mouse.up()
    settle(page)
    assert panel.locator(".matches li b").count() == 3
    panel.get_by_role("button", name=text("en", "bench.pair.unpin", number=2)).click()
    settle(page)
    assert panel.locator(".matches li b").count() == 2
    canvas.focus()
    before = found(panel)
    page.keyboard.press("Home")
    settle(page)
    assert found(panel) != before
    page.keyboard.press("Enter")
    settle(page)
    assert panel.locator(".matches li b").count() == 3
    panel.locator("input[value=both]").check()
    settle(page)
    share = cross_attention_rows(first, second, [0], over="both")[0][len(first.keys) :].sum()
    said = re.search(r"([\d.]+)\s?% of the attention", found(panel))
    assert said
    assert float(said[1]) == pytest.approx(100 * share, abs=0.6)
    assert requests == []
    for title, files in saved_files(page, PAIR).items():
        assert set(files) == {"PNG", "SVG", "CSV"}, title
        assert len(files["CSV"].splitlines()) > 2, title
    panel.get_by_label(text("en", "bench.pair.position")).check()
    panel.get_by_text(text("en", "bench.pair.why.with")).wait_for()


def test_a_second_photograph_of_ones_own(page: Any) -> None:
    panel = pair(page)
    bring_second(page, jpeg(TOWER))
    page.wait_for_selector(f"{PAIR} button[aria-pressed=true]:has-text('{text('en', 'bench.pair.upload')}')")
    width, height = Image.open(TOWER).size
    shown = panel.locator(".two figure canvas").nth(1).bounding_box()
    assert shown["width"] / shown["height"] == pytest.approx(width / height, rel=0.1)
    # Another first photograph: the second stays.
    page.evaluate("attn.page.set({ example: 'hopper' })")
    page.wait_for_function("() => new URLSearchParams(location.search).get('example') === 'hopper'")
    page.wait_for_selector(f"{PAIR} button[aria-pressed=true]:has-text('{text('en', 'bench.pair.upload')}')")


def test_a_second_photograph_that_is_refused_is_a_sentence_and_the_pair_stays(page: Any) -> None:
    panel = pair(page)
    said = found(panel)
    bring_second(page, {"name": "holiday.jpg", "mimeType": "image/jpeg", "buffer": b"\xff\xd8\xff\xe0 no photograph"})
    panel.get_by_role("status").filter(has_text="not a picture that can be read").wait_for()
    assert text("en", "bench.pair.loading") not in panel.inner_text()
    assert page.locator(PAIR).count() == 1
    assert found(panel) == said
    assert page.locator(".toast-body").count() == 0
    panel.get_by_role("button", name=text("en", "bench.pair.example.tower"), exact=True).click()
    page.wait_for_selector(f"{PAIR} button[aria-pressed=true]:has-text('tower')")
    assert panel.get_by_role("status").inner_text() == ""


# --- a network's own gates


def test_a_networks_own_gates_by_depth(page: Any, torch_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = page.locator(GATES)
    panel.scroll_into_view_if_needed()
    network = text("en", "bench.own.network.mobilenet_v3_large")
    panel.get_by_role("button", name=network).click()
    page.wait_for_selector(f"{GATES}[data-state=ready]")
    assert panel.get_by_role("button", name=network).get_attribute("aria-pressed") == "true"
    monkeypatch.setenv("TORCH_HOME", str(torch_home))
    blocks = GatedNetwork("mobilenet_v3_large").gates(LION, 96)
    depths = panel.locator("figure").first
    assert f"{len(blocks)} SE blocks" in depths.locator(".title").inner_text()
    depths.locator("canvas").focus()
    page.keyboard.press("Home")
    for block in blocks:
        tip = depths.locator("> .attn-tip").text_content()
        assert block.name in tip
        mean = re.search(r"mean gate ([\d.]+)", tip)
        assert mean
        assert float(mean[1]) == pytest.approx(float(np.mean(block.gates)), rel=0.02)
        page.keyboard.press("ArrowRight")
    assert "ours" in depths.locator("> .attn-tip").text_content()  # beyond them, the page's own
    page.keyboard.press("Enter")
    settle(page)
    assert text("en", "bench.own.ours.note") in panel.inner_text()
    for title, files in saved_files(page, GATES).items():
        assert set(files) == {"PNG", "SVG", "CSV"}, title
        assert len(files["CSV"].splitlines()) > 2, title
    # One that is not here and cannot be had: why, and what was shown stays.
    panel.get_by_role("button", name=text("en", "bench.own.network.efficientnet_b0")).click()
    panel.get_by_role("status").filter(has_text="could not be downloaded").wait_for()
    assert depths.locator("canvas").is_visible()
    assert panel.get_by_role("button", name=network).get_attribute("aria-pressed") == "true"


# --- a file's blocks


@pytest.fixture(scope="module")
def autoencoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An autoencoder as diffusers builds and names it: an attention block of 128 channels on either side."""
    torch.manual_seed(0)
    model = AutoencoderKL(
        block_out_channels=(32, 128),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
    )
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if name.endswith(("to_q.weight", "to_k.weight")):
                weights *= 4  # peaked enough that the blocks' maps differ
    path = tmp_path_factory.mktemp("file") / "autoencoder.safetensors"
    save_file(model.state_dict(), path)
    return str(path)


def test_the_chooser_uses_a_block_of_a_file_and_switches_the_network(
    url: str, open_page: Callable[..., Any], autoencoder: str
) -> None:
    page = bench(open_page, f"{url}?place=bench&side=96&detail=coarse")  # layer3: 256 channels
    panel = page.locator(BLOCKS)
    panel.scroll_into_view_if_needed()
    with page.expect_file_chooser() as chooser:
        panel.get_by_role("button", name=text("en", "bench.file.choose")).click()
    chooser.value.set_files(autoencoder)
    page.wait_for_selector(f"{BLOCKS}[data-state=ready]")
    rows = panel.locator("tbody tr")
    assert rows.count() == 2
    assert "256 channels" in panel.get_by_role("status").inner_text()
    assert [row.get_attribute("data-state") for row in rows.all()] == ["switch", "switch"]
    switch = text("en", "bench.file.switch", stem=text("en", "bench.file.bundled"), stage="layer2")
    labels = rows.locator("th").all_inner_texts()
    rows.nth(0).get_by_role("button", name=switch).click()
    expected = Inspector("bundled", "layer2", detail="coarse", weights="file", file=autoencoder, file_block=labels[0])
    page.wait_for_selector(f"{BLOCKS} tr.chosen:has-text('{labels[0]}')")
    expect_map(page, expected)
    rows.nth(1).get_by_role("button", name=text("en", "bench.file.use")).click()
    page.wait_for_selector(f"{BLOCKS} tr.chosen:has-text('{labels[1]}')")
    other = Inspector("bundled", "layer2", detail="coarse", weights="file", file=autoencoder, file_block=labels[1])
    expect_map(page, other)


def expect_map(page: Any, inspector: Inspector) -> None:
    """The explorer shows this inspector's map: its own perplexity at the query, from a file."""
    page.evaluate("attn.page.set({ place: 'see' })")
    encoding = inspector.encode(LION, 96)
    perplexity = query_metrics(encoding.attention, encoding.grid, encoding.stride_px).perplexity
    page.wait_for_function(
        """([values, cols]) => {
          const explorer = document.querySelector('.attn-explorer[data-state=ready]');
          const cell = explorer?.querySelector('[data-number=perplexity] td');
          const at = Number(explorer?.dataset.row) * cols + Number(explorer?.dataset.col);
          return document.querySelector('.ax-badge')?.dataset.source === 'file'
            && Math.abs(Number(cell?.dataset.value) / values[at] - 1) < 0.02;
        }""",
        arg=[perplexity.tolist(), encoding.grid[1]],
    )
    page.evaluate("attn.page.set({ place: 'bench' })")


def test_a_file_without_any_block_is_a_sentence(page: Any, tmp_path: Path) -> None:
    panel = page.locator(BLOCKS)
    panel.scroll_into_view_if_needed()
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    with page.expect_file_chooser() as chooser:
        panel.get_by_role("button", name=text("en", "bench.file.choose")).click()
    chooser.value.set_files(path)
    page.wait_for_selector(f"{BLOCKS}[data-state=error]")
    assert panel.get_by_role("status").inner_text()
    assert page.locator(BENCH).count() == 1
