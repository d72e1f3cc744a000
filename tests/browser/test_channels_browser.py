"""The channel panel in a real Chromium: real events, numbers compared with Python's."""

import csv
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attn.inspector import MechanismResult
from attn.measured import measured_records
from attn.measures.channels import feature_effective_rank
from attn.ui.panels.channels.panel import ChannelsView
from tests.browser.channels_page import VIEWS
from tests.browser.saving import saved_files
from tests.conftest import PATIENCE_S

pytestmark = pytest.mark.browser

FIRST = VIEWS["first"]
PANEL = "#channels .attn-channels"


def mechanism(name: str, view: ChannelsView = FIRST) -> MechanismResult:
    return next(m for m in view.mechanisms if m.name == name)


def numbers(text: str) -> list[float]:
    """Every number a person reads in a text: 1,234; −0.5; 1.2×10⁻³."""
    raised = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
    found = []
    for digits, power in re.findall(r"(−?\d[\d,]*\.?\d*)(?:×10([⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+))?", text):
        value = float(digits.replace("−", "-").replace(",", ""))
        found.append(value * 10.0 ** int(power.translate(raised)) if power else value)
    return found


def near(value: float) -> Any:
    """Three significant digits, as the panel shows them."""
    return pytest.approx(value, rel=6e-3, abs=1e-9)


@pytest.fixture(scope="module")
def url(serve: Callable[[str], str]) -> str:
    return serve("channels_page.py")


@pytest.fixture
def page(url: str, open_page: Callable[..., Any]) -> Any:
    page = open_page(f"{url}?lang=en")
    page.wait_for_selector(f"{PANEL}[data-state=ready]")
    page.wait_for_function("() => window.heard")
    return page


def settle(page: Any) -> None:
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def tell(page: Any, event: str, detail: dict[str, Any]) -> None:
    page.evaluate(
        "([event, detail]) => document.dispatchEvent(new CustomEvent(event, { detail }))",
        [event, {"source": "test", **detail}],
    )
    settle(page)


def heard(page: Any, event: str) -> list[dict[str, Any]]:
    return [detail for name, detail in page.evaluate("() => window.heard") if name == event]


def column(side: str) -> str:
    """The first column is the left one."""
    return f"{PANEL} .lane[data-column='{('left', 'right').index(side)}']"


def choose(page: Any, name: str, side: str = "right") -> None:
    page.select_option(f"{column(side)} select", name)
    settle(page)


def lane_number(page: Any, side: str, key: str) -> list[float]:
    return numbers(page.inner_text(f"{column(side)} dd[data-number={key}]"))


def note(page: Any, side: str, title: str) -> str:
    return page.inner_text(f"{column(side)} figure:has(.title:text('{title}')) .note")


def first_row(page: Any) -> dict[str, str]:
    cells = page.locator(f"{PANEL} .scroll tbody tr[data-channel]").first.locator("th, td").all_inner_texts()
    keys = [key for key, _ in columns("se")]
    return dict(zip(keys, cells, strict=True))


def columns(name: str) -> list[tuple[str, np.ndarray]]:
    shown = mechanism(name)
    stats, gates = shown.statistics, shown.weights if shown.kind == "gate" else None
    pairs = ["mean", "std", "min", "max", "sparsity", "energy_share"]
    fields = [f"{pair}_{when}" for pair in pairs for when in ("before", "after")]
    fields += ["importance_shift", *(f"{fit}_{part}" for fit in ("affine", "delta") for part in ("a", "b", "r2"))]
    empty = np.full(64, np.nan)
    return [
        ("channel", np.arange(64)),
        ("change_norm", stats.change_norm),
        ("gate", empty if gates is None else gates),
        *((field, getattr(stats, field)) for field in fields),
    ]


@pytest.mark.parametrize("name", ["se", "eca", "cbam", "cam", "xca"])
def test_lanes_show_pythons_numbers(page: Any, name: str) -> None:
    choose(page, name)
    for side, shown in (("left", mechanism("spatial")), ("right", mechanism(name))):
        assert lane_number(page, side, "relative_change") == [near(shown.change)]
        assert lane_number(page, side, "parameters") == [shown.cost.parameters]
        assert lane_number(page, side, "effective_rank") == [
            near(feature_effective_rank(FIRST.features)),
            near(feature_effective_rank(shown.output)),
            min(64, FIRST.grid[0] * FIRST.grid[1] - 1),
        ]
        r2 = lane_number(page, side, "r2")
        assert r2[0] == near(np.nanmedian(shown.statistics.affine_r2))
        assert r2[1] == near(np.nanmedian(shown.statistics.delta_r2))
        badge = page.inner_text(f"{column(side)} .badge")
        assert badge == "random, seed 7"
    assert lane_number(page, "left", "specificity")[0] == near(mechanism("spatial").specificity[0])
    assert lane_number(page, "right", "specificity") == [0]
    lead = page.inner_text(f"{PANEL} .lead")
    assert near(mechanism("spatial").specificity[0]) in numbers(lead)
    assert "54 positions" in lead


def test_pointing_at_a_position_moves_the_left_lane_alone(page: Any) -> None:
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    difference = np.abs(FIRST.attention - FIRST.attention.mean(axis=0)).sum(axis=1) / 2
    before = page.inner_text(f"{column('right')} figure:has(.title:text('Gates')) .note")
    for row, col in ((0, 0), (3, 8), (5, 4)):
        tell(page, "attn:query", {"row": row, "col": col})
        said = note(page, "left", "Point here:")
        assert f"row {row}, column {col}" in said
        assert numbers(said)[2] == near(100 * difference[row * 9 + col])
        said = note(page, "right", "Point here too")
        assert f"row {row}, column {col}: nothing" in said
        assert numbers(said)[-1] == 0
    assert page.inner_text(f"{column('right')} figure:has(.title:text('Gates')) .note") == before
    assert requests == []
    assert heard(page, "attn:query")[-1]["source"] == "test", "an event from elsewhere must not be sent on"


def test_pointing_here_tells_the_others(page: Any) -> None:
    canvas = page.locator(f"{column('left')} figure:has(.title:text('Point here:')) canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 2.5 / 9, box["y"] + box["height"] * 4.5 / 6)
    settle(page)
    assert heard(page, "attn:query")[-1] == {"source": "channels", "row": 4, "col": 2, "rows": 6, "cols": 9}
    canvas.focus()
    page.keyboard.press("ArrowUp")
    settle(page)
    assert heard(page, "attn:query")[-1]["row"] == 3
    assert page.get_attribute(PANEL, "data-row") == "3"
    canvas.and_(page.locator("[aria-label*='row 3, column 2']")).wait_for()  # as soon as it is drawn


def test_a_grid_of_another_size_is_met_at_the_same_place(page: Any) -> None:
    tell(page, "attn:query", {"row": 11, "col": 0, "rows": 12, "cols": 18})
    assert (page.get_attribute(PANEL, "data-row"), page.get_attribute(PANEL, "data-col")) == ("5", "0")


def test_somebodys_own_map_over_positions_answers_where_one_points(page: Any) -> None:
    """The whole N × N map and its rows, as the module gave them, beside the AttnBlock's."""
    page.click("#set-own")
    page.wait_for_selector(f"{column('right')} option[value=mine]", state="attached")
    choose(page, "mine")
    weights = mechanism("mine", VIEWS["own"]).weights
    assert weights is not None
    difference = np.abs(weights - weights.mean(axis=0)).sum(axis=1) / 2
    for row, col in ((0, 0), (4, 7)):
        tell(page, "attn:query", {"row": row, "col": col})
        query = row * 9 + col
        assert numbers(note(page, "right", "Point here:"))[2] == near(100 * difference[query])
        answer = page.locator(f"{column('right')} figure:has(.title:text('Point here:'))")
        answer.locator("> canvas").focus()
        page.keyboard.press("Escape")  # walk from the query, not from where the keyboard was last
        page.keyboard.press("ArrowRight")  # the next position: it becomes the query
        settle(page)
        tip = numbers(str(answer.locator("> .attn-tip").text_content()))
        asked = int(page.get_attribute(PANEL, "data-row")) * 9 + int(page.get_attribute(PANEL, "data-col"))
        assert asked == query + 1
        assert tip[-1] == pytest.approx(54 * weights[asked, asked], rel=0.02, abs=0.02)  # a byte a weight
    whole = page.locator(f"{column('right')} figure:has(.title:text('Attention map A, 54 × 54'))")
    whole.locator("> canvas").focus()
    page.keyboard.press("Home")
    assert numbers(str(whole.locator("> .attn-tip").text_content()))[-1] == pytest.approx(
        54 * weights[0, 0], rel=0.02, abs=0.02
    )
    badge = page.locator(f"{column('right')} .badge")
    assert badge.inner_text() == "your module"


def test_a_channel_chosen_in_the_table_is_chosen_everywhere(page: Any) -> None:
    page.click(f"{PANEL} .scroll tbody tr[data-channel] >> nth=3")
    settle(page)
    channel = int(page.get_attribute(PANEL, "data-channel"))
    assert heard(page, "attn:channel")[-1] == {"source": "channels", "channel": channel}
    assert page.input_value(f"{PANEL} .stepper input >> nth=0") == str(channel)
    assert page.inner_text(f"{PANEL} h2:has-text('What channel')") == f"What channel {channel} sees"
    for side, name in (("left", "spatial"), ("right", "se")):
        stats = mechanism(name).statistics
        norm, r2, *_ = numbers(note(page, side, "was moved"))
        assert norm == near(stats.change_norm[channel])
        assert r2 == near(stats.delta_r2[channel])
    gate, rank = numbers(note(page, "right", "Gates"))[1:3]
    gates = mechanism("se").weights
    assert gate == near(gates[channel])
    assert rank == (gates > gates[channel]).sum() + 1
    fit = numbers(page.inner_text(f"{PANEL} .chosen figure:has(.title:text('After against')) .note"))
    assert fit[0] == near(gates[channel])
    assert fit[1:3] == [0, 1]


@pytest.mark.parametrize("channel", [5, 40])
def test_spatial_attention_is_not_only_scale_and_shift(page: Any, channel: int) -> None:
    page.check(f"{PANEL} input[value='column:0'] >> nth=0")
    tell(page, "attn:channel", {"channel": channel})
    stats = mechanism("spatial").statistics
    text = page.inner_text(f"{PANEL} .chosen figure:has(.title:text('After against')) .note")
    shown = dict(re.findall(r"(\ba|\bb|[Rr]² of Δ|R²) = (−?[\d.]+(?:×10[⁰-⁹⁻¹²³]+)?)", text))
    assert numbers(shown["a"]) == [near(stats.affine_a[channel])]
    assert numbers(shown["b"]) == [near(stats.affine_b[channel])]
    assert numbers(text)[-1] == near(stats.delta_r2[channel])
    values = numbers(page.inner_text(f"{PANEL} .chosen figure:has(.title:text('Values before')) .note"))
    expected = (stats.mean_before, stats.std_before, stats.mean_after, stats.std_after)
    assert values == [near(field[channel]) for field in expected]


def test_headings_sort_by_mouse_and_keyboard(page: Any) -> None:
    for key, values in columns("se")[1:]:
        if key in ("min_before", "min_after"):
            continue  # all zeros: nothing to tell apart
        button = page.locator(f"{PANEL} th[data-key={key}] button")
        button.focus()
        if page.get_attribute(f"{PANEL} th[data-key={key}]", "aria-sort") != "descending":
            page.keyboard.press("Enter")
            settle(page)
        assert page.get_attribute(f"{PANEL} th[data-key={key}]", "aria-sort") == "descending"
        assert page.locator(f"{PANEL} th[aria-sort=descending], {PANEL} th[aria-sort=ascending]").count() == 1
        top = numbers(first_row(page)[key])[0]
        shown = np.nanmax(values.astype(np.float32))
        percent = key.startswith(("sparsity", "energy", "importance"))
        if not key.endswith("_b"):  # offsets that are only rounding are shown as 0
            assert top == pytest.approx(100 * shown if percent else shown, rel=6e-3, abs=6e-3)
    button.click()
    settle(page)
    assert page.get_attribute(f"{PANEL} th[data-key={key}]", "aria-sort") == "ascending"


def test_arrow_keys_walk_the_table_in_its_order(page: Any) -> None:
    page.click(f"{PANEL} th[data-key=gate] button")
    order = np.argsort(-mechanism("se").weights, kind="stable")
    page.focus(f"{PANEL} .scroll table")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    settle(page)
    assert int(page.get_attribute(PANEL, "data-channel")) == order[1]
    page.keyboard.press("End")
    settle(page)
    chosen = page.locator(f"{PANEL} tr[aria-selected=true]")
    assert int(chosen.get_attribute("data-channel")) == order[-1]
    row, box = chosen.bounding_box(), page.locator(f"{PANEL} .scroll").bounding_box()
    assert box["y"] <= row["y"]
    assert row["y"] + row["height"] <= box["y"] + box["height"]


def test_thousands_of_channels_stay_few_rows(page: Any) -> None:
    page.click("#set-many")
    page.wait_for_function(f"() => document.querySelector('{PANEL} .stepper input')?.max === '1023'")
    assert page.locator(f"{PANEL} .scroll tbody tr").count() < 60
    page.click(f"{PANEL} th[data-key=channel] button")
    page.evaluate(f"() => document.querySelector('{PANEL} .scroll').scrollTop = 28 * 500")
    settle(page)
    page.wait_for_selector(f"{PANEL} tr[data-channel='510']")
    assert page.locator(f"{PANEL} .scroll tbody tr").count() < 60
    assert page.get_attribute(f"{PANEL} tr[data-channel='510']", "aria-rowindex") == "513"


@pytest.mark.parametrize("name", ["se", "xca"])
def test_csv_holds_every_number(page: Any, name: str) -> None:
    choose(page, name)
    with page.expect_download() as waiting:
        page.click(f"{PANEL} button.csv")
    assert waiting.value.suggested_filename == f"channels-{name}.csv"
    with Path(waiting.value.path()).open(encoding="utf-8") as lines:
        rows = sorted(csv.DictReader(lines), key=lambda row: int(row["channel"]))
    assert len(rows) == 64
    for key, values in columns(name):
        read = np.array([float(row[key] or "nan") for row in rows])
        largest = np.abs(mechanism(name).statistics.max_before)
        tolerance = 1.1e-6 * largest if key.endswith("_b") else 1e-9  # rounding in offsets is made 0
        assert (np.isnan(read) == np.isnan(values)).all()
        assert (np.isnan(read) | (np.abs(read - values) <= 1e-6 * np.abs(values) + tolerance)).all(), key


def test_movers_are_the_greatest_shifts(page: Any) -> None:
    shift = mechanism("se").statistics.importance_shift
    raised = page.locator(f"{PANEL} .movers.raised button").all_inner_texts()
    lowered = page.locator(f"{PANEL} .movers.lowered button").all_inner_texts()
    assert [int(re.search(r"#(\d+)", text)[1]) for text in raised] == list(np.argsort(-shift, kind="stable")[:5])
    assert [int(re.search(r"#(\d+)", text)[1]) for text in lowered] == list(np.argsort(shift, kind="stable")[:5])
    assert f"+{100 * shift.max():.2f} %" in raised[0]


def test_mechanism_follows_the_others_and_tells_them(page: Any) -> None:
    choose(page, "cam")
    assert heard(page, "attn:mechanism")[-1] == {"source": "channels", "name": "cam"}
    tell(page, "attn:channel", {"channel": 9})
    tell(page, "attn:mechanism", {"name": "xca"})
    assert page.input_value(f"{column('right')} select") == "xca"
    said = note(page, "right", "Channel map")
    channel_map = mechanism("xca").weights
    assert f"#{channel_map[9].argmax()} (" in said
    assert numbers(said)[2] == near(100 * channel_map[9].max())
    tell(page, "attn:mechanism", {"name": "spatial"})  # not a channel mechanism: nothing to show on the right
    assert page.input_value(f"{column('right')} select") == "xca"


def test_another_mechanism_in_a_column_asks_nothing_of_the_server(page: Any) -> None:
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    for _ in range(2):
        page.click(f"{PANEL} .add")
        settle(page)
    assert page.locator(f"{PANEL} .lane").count() == 4
    assert page.is_hidden(f"{PANEL} .add")
    for at, name in enumerate(["cam", "spatial", "xca", "cbam"]):
        select = page.locator(f"{PANEL} .lane[data-column='{at}'] select")
        select.focus()
        select.select_option(name)
        settle(page)
        shown = numbers(page.inner_text(f"{PANEL} .lane[data-column='{at}'] dd[data-number=relative_change]"))
        assert shown == [near(mechanism(name).change)]
    page.click(f"{PANEL} .lane[data-column='1'] .remove")
    settle(page)
    assert page.get_attribute(PANEL, "data-columns").split() == ["cam", "xca", "cbam"]
    assert requests == []


def test_columns_share_their_scales(page: Any) -> None:
    highest = max(np.linalg.norm(mechanism(n).output - FIRST.features, axis=0).max() for n in ("spatial", "xca"))
    choose(page, "xca")
    give_up = time.monotonic() + PATIENCE_S
    for side in ("left", "right"):
        end = page.locator(f"{column(side)} figure:has(.title:text('Where the output')) .ends span").nth(2)
        while numbers(end.inner_text()) != [near(highest)] and time.monotonic() < give_up:
            settle(page)  # a few pictures are drawn a frame, each with its scale
        assert numbers(end.inner_text()) == [near(highest)]


def test_forest_names_what_is_pointed_at_and_puts_it_into_a_column(page: Any) -> None:
    shown = ("layer3", "fine", "trained")  # as the inspection was made
    rows = next(one["rows"] for one in measured_records() if (one["stage"], one["detail"], one["weights"]) == shown)
    best = max(rows, key=lambda row: row["auc"])
    canvas = page.locator(f"{PANEL} .forests canvas").first
    canvas.focus()
    page.keyboard.press("Home")
    tip = page.inner_text(f"{PANEL} .forests .attn-tip >> nth=0")
    assert numbers(tip)[0] == pytest.approx(best["auc"], abs=6e-4)
    for row in sorted(rows, key=lambda row: -row["auc"]):
        if row["mechanism"] == "cbam":
            page.keyboard.press("Enter")
            break
        page.keyboard.press("ArrowDown")
    settle(page)
    assert page.input_value(f"{column('right')} select") == "cbam"


def test_features_as_colours_are_saved(page: Any) -> None:
    figure = page.locator(f"{PANEL} .strip-of figure").first
    figure.locator(".attn-save button").first.click()
    with page.expect_download() as waiting:
        figure.locator(".attn-save button:text('CSV')").click()
    with Path(waiting.value.path()).open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    colours = FIRST.components.colours(FIRST.features).reshape(-1, 3)
    assert len(rows) == len(colours)
    read = np.array([[float(row[f"component_{i}"]) for i in (1, 2, 3)] for row in rows])
    np.testing.assert_allclose(read, colours, atol=0.5 / 255 + 1e-6)


def test_language_changes_in_place(page: Any) -> None:
    tell(page, "attn:channel", {"channel": 12})
    page.evaluate("() => window.attn.setLang('zh')")
    settle(page)
    assert "通道机制" in page.inner_text(f"{PANEL} .lead")
    assert page.get_attribute(PANEL, "lang") == "zh-CN"
    assert page.input_value(f"{PANEL} .stepper input >> nth=0") == "12"
    assert not re.search(r"(channels|bench|story)\.\w|\{\w+\}", page.inner_text(PANEL))


def test_english_leaves_no_key_or_place_unfilled(page: Any) -> None:
    for name in ("se", "cam"):
        choose(page, name)
        assert not re.search(
            r"(channels|bench|story)\.\w|\{\w+\}|NaN|undefined|null", page.inner_text(PANEL).replace("Undefined", "")
        )


def test_another_photograph_replaces_the_first(page: Any) -> None:
    page.click("#set-second")
    page.wait_for_function(f"() => document.querySelector('{PANEL} .stepper input')?.max === '95'")
    shown = mechanism("spatial", VIEWS["second"])
    assert lane_number(page, "left", "relative_change") == [near(shown.change)]


def test_pictures_are_drawn(page: Any) -> None:
    """Every canvas in sight holds more than one colour, and the change of a channel is blue where it sinks."""
    colours = page.evaluate(
        f"""() => [...document.querySelectorAll('{PANEL} figure > canvas')].map((canvas) => {{
            const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
            return new Set(new Uint32Array(pixels.buffer)).size;
        }})"""
    )
    assert len(colours) >= 18
    assert min(colours) > 3


def test_every_figure_answers_pointer_and_keyboard(page: Any) -> None:
    """Under the pointer a label says a value; the arrows walk the points, framed and spoken; Escape ends it."""
    figures = page.locator(f"{PANEL} figure.attn-figure:has(> canvas)")
    assert figures.count() >= 15
    for place in range(figures.count()):
        figure = figures.nth(place)
        canvas, label = figure.locator("> canvas"), figure.locator("> .attn-tip")
        title = figure.locator(".title").inner_text()
        canvas.focus()
        assert label.is_hidden(), title
        page.keyboard.press("Home")
        first = label.text_content()
        assert re.search(r"\d", first), title
        assert figure.locator("> .attn-spoken").text_content() == first, title
        assert figure.locator("> .attn-mark").is_visible(), title
        page.keyboard.press("End")
        assert label.text_content() != first, title
        page.keyboard.press("Escape")
        assert label.is_hidden(), title
        box = canvas.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.move(box["x"] + box["width"] / 2 + 1, box["y"] + box["height"] / 2)
        if "dot" not in title:  # between dots there is nothing to say
            assert re.search(r"\d", label.inner_text()), title


@pytest.mark.parametrize(("kind", "start"), [("PNG", b"\x89PNG"), ("SVG", b"<svg"), ("CSV", b"row,column,value")])
def test_a_figure_is_saved(page: Any, tmp_path: Path, kind: str, start: bytes) -> None:
    figure = page.locator(f"{PANEL} figure.attn-figure:has(.title:text('Where the output changed'))").first
    figure.locator(".attn-save > button").click()
    with page.expect_download() as waiting:
        figure.get_by_role("button", name=kind, exact=True).click()
    assert waiting.value.suggested_filename.endswith(f".{kind.lower()}")
    waiting.value.save_as(tmp_path / "figure")
    assert (tmp_path / "figure").read_bytes().startswith(start)


def test_every_figure_can_be_saved_in_every_kind(page: Any) -> None:
    page.click(f"{PANEL} .add")
    choose(page, "cam")
    settle(page)
    for title, files in saved_files(page, PANEL).items():
        assert files["PNG"].startswith("\x89PNG"), title
        assert files["SVG"].startswith("<svg"), title
        if not title.startswith("Point here too"):  # the same answer everywhere: there are no numbers to save
            header, first, *_ = csv.reader(files["CSV"].splitlines())
            assert len(header) == len(first), title


@pytest.mark.parametrize("width", [390, 768, 1440])
def test_nothing_is_wider_than_the_screen(url: str, open_page: Callable[..., Any], width: int) -> None:
    page = open_page(f"{url}?lang=en", viewport={"width": width, "height": 800})
    page.wait_for_selector(f"{PANEL}[data-state=ready]")
    for _ in range(3):
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        if page.is_visible(f"{PANEL} .add"):
            page.click(f"{PANEL} .add")
            settle(page)
    wide = "(lanes) => lanes.filter((lane) => lane.scrollWidth > lane.clientWidth).length"
    assert page.eval_on_selector_all(f"{PANEL} .lane", wide) == 0, "a column must not reach into the next"


def test_hovering_moves_nothing(page: Any) -> None:
    heights = set()
    for row in range(6):
        tell(page, "attn:query", {"row": row, "col": row})
        heights.add(page.evaluate(f"() => document.querySelector('{PANEL}').scrollHeight"))
    for channel in range(0, 64, 9):
        tell(page, "attn:channel", {"channel": channel})
        heights.add(page.evaluate(f"() => document.querySelector('{PANEL}').scrollHeight"))
    assert len(heights) == 1
