"""A link opens as what it was copied from: random walks through the page, each end opened anew."""

import random
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.browser

SIZE = {"width": 1100, "height": 800}
STATES = 20
STEPS = ("where", "pixel", "gates", "affine", "shuffle", "sentence", "end")
# Map and lane are there, all queries with them, of the same controls, and those are what the address says; what goes
# through all queries is over, and the sentence says so.
SETTLED = """() => {
  const map = document.querySelector('#explorer .attn-explorer[data-state=ready][data-whole]');
  const lane = document.querySelector('.attn-channel-lane[data-state=ready]');
  if (!map || !lane || map.dataset.key !== lane.dataset.key) return false;
  const said = map.querySelector('.ax-sentence').textContent;
  return !['explorer.say.computing', 'window.say.counting'].some((key) => said.includes(attn.t(key).split('{')[0]));
}"""
# The lab shows the shuffle that the address holds.
SHUFFLED = """() => {
  const { seed } = document.querySelector('.attn-lab[data-state=ready]').dataset;
  return seed === new URLSearchParams(location.search).get('shuffle');
}"""
# What is seen: words and numbers of the panels, and the pictures themselves.
SEEN = """() => {
  const map = document.querySelector('.attn-explorer');
  if (!map?.explorer || !document.querySelector('.attn-channel-lane[data-state=ready]')) return null;
  const of = (selector, names) => {
    const { dataset = {} } = document.querySelector(selector) ?? {};
    return Object.fromEntries(names.map((name) => [name, dataset[name] ?? null]));
  };
  const sum = (selector) => {
    const canvas = document.querySelector(selector);
    if (!canvas.width || !canvas.height) return null;
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    let hash = 0;
    for (let i = 0; i < data.length; i++) hash = (hash * 31 + data[i]) % 1e9;
    return hash;
  };
  const text = (selector) => document.querySelector(selector)?.textContent;
  const place = document.querySelector('[data-place]').dataset.place;
  const see = place === 'see' && {
    pictures: ['#explorer .ax-stage canvas', '#explorer .attn-pane-strip canvas', '.lane-stage canvas',
      '#lane .attn-pane-strip canvas'].map(sum),
    map: of('.attn-explorer', ['row', 'col']),
    lane: of('.attn-channel-lane', ['row', 'col']),
    sentences: [text('.ax-sentence'), text('.lane-sentence')],
    turn: document.querySelector('.attn-transposition input:checked')?.value,
    step: document.querySelector('.attn-story')?.dataset.step ?? null,
  };
  const bench = place === 'bench' && {
    channels: of('.attn-channels', ['columns', 'row', 'col']),
    lab: of('.attn-lab', ['state', 'seed', 'row', 'col', 'entropy']),
    strength: document.querySelector('.al-strength input')?.value,
    text: of('.attn-text', ['sentence', 'seed']),
  };
  return {
    place, see, bench,
    lang: document.documentElement.lang,
    settings: text('.ap-settings'),
    example: document.querySelector('[data-example][aria-pressed=true]')?.dataset.example,
    badge: text('.ax-badge b'),
    view: map.explorer.getState(),
    map: of('.attn-explorer', ['rows', 'cols', 'pins', 'key']),
    lane: of('.attn-channel-lane', ['mechanism', 'kind', 'channel', 'large', 'key']),
  };
}"""
SAME = f"(expected) => JSON.stringify(({SEEN})()) === JSON.stringify(expected)"


class Walk:
    """A reader who changes one thing after another, by chance."""

    def __init__(self, page: Any, seed: int) -> None:
        self.page = page
        self.chance = random.Random(seed)

    def settle(self) -> None:
        self.page.wait_for_function(SETTLED)

    def set(self, **controls: Any) -> None:
        """Through the page's own script; the new map and its lane are waited for."""
        self.page.evaluate("(controls) => window.attn.page.set(controls)", controls)
        self.page.wait_for_function(
            """(wanted) => {
              const query = new URLSearchParams(location.search);
              return Object.entries(wanted).every(([name, value]) => query.get(name) === String(value));
            }""",
            arg=controls,
        )
        self.settle()

    def control(self, name: str, value: Any) -> None:
        self.page.locator(f"#explorer [data-set={name}]").evaluate(
            """(input, value) => {
              if (input.type === 'checkbox') input.checked = value;
              else input.value = value;
              input.dispatchEvent(new Event('input', { bubbles: true }));
            }""",
            value,
        )

    def inspection(self) -> None:
        pick = self.chance.choice
        stage = pick(["layer2", "layer3", "layer3"])
        self.set(
            example=pick(["lion", "cheetah", "tower"]),
            stage=stage,
            detail=pick(["coarse", "coarse", "fine"]) if stage == "layer3" else "coarse",
            side=pick([160, 208]),
            weights=pick(["trained", "similarity", "random", *(["tuned"] if stage == "layer3" else [])]),
            seed=self.chance.randrange(9),
            position=pick([0, 1]),
        )

    def looks(self) -> None:
        pick = self.chance.choice
        for name, value in {
            "direction": pick(["row", "column", "average", "own"]),
            "scale": pick(["uniform", "linear", "log"]),
            "colormap": pick(["light", "light", "viridis", "magma", "cividis"]),
            "temperature": pick([-1.5, -0.4, 0, 0.7]),
            "opacity": pick([0.3, 0.65, 0.9]),
            "share": pick([30, 60]),
            "masked": pick([True, False]),
            "smooth": pick([True, False]),
            "fixed": pick([True, False]),
        }.items():
            if self.chance.random() < 0.6:
                self.control(name, value)

    def pins(self) -> None:
        canvas = self.page.locator("#explorer .ax-stage canvas")
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        for _ in range(self.chance.randrange(1, 4)):
            x, y = self.chance.uniform(0.05, 0.95) * box["width"], self.chance.uniform(0.05, 0.95) * box["height"]
            self.page.mouse.click(box["x"] + x, box["y"] + y)
        if self.chance.random() < 0.3 and int(self.page.locator(".attn-explorer").get_attribute("data-pins")) > 1:
            for pin in (0, 1):
                self.page.locator(f"#explorer [data-compare='{pin}']").click()

    def channel(self) -> None:
        pick = self.chance.choice
        self.page.locator(".lane-mechanism").select_option(pick(["se", "eca", "cbam", "cam", "xca", "transposed"]))
        if self.page.locator(".lane-all").is_visible() and self.chance.random() < 0.5:
            self.page.locator(".lane-all").click()
        elif self.page.locator(".lane-stage canvas").get_attribute("data-mode") == "wall":
            self.page.locator(".lane-stage canvas").click(position={"x": self.chance.randrange(20, 200), "y": 60})

    def turn(self) -> None:
        self.page.wait_for_selector(".attn-transposition[data-state=ready]")
        self.page.locator(f".attn-transposition input[value={self.chance.choice(['positions', 'channels'])}]").check()

    def language(self) -> None:
        before = self.page.locator("html").get_attribute("lang")
        self.page.locator(".attn-languages button").click()
        self.page.wait_for_selector(f"html:not([lang='{before}'])")

    def story(self) -> None:
        self.page.wait_for_selector(".attn-story[data-state=ready]")
        self.page.evaluate("(step) => window.attn.emit('attn:story', { step })", self.chance.choice(STEPS))

    def bench(self) -> None:
        self.page.locator("nav [data-place=bench]").click()
        self.page.wait_for_selector(".attn-channels[data-state=ready]")
        self.page.locator(".attn-lab").scroll_into_view_if_needed()
        self.page.wait_for_selector(".attn-lab[data-state=ready]")
        self.page.wait_for_selector(".attn-channels:not([data-stale])")  # of the map above, not of one before
        self.page.wait_for_selector(".attn-lab:not([data-stale])")
        self.page.locator(".al-shuffle").click()
        self.page.wait_for_function(SHUFFLED)
        self.page.locator(".al-strength input").fill(str(self.chance.choice([0, 0.4, 1.7])))
        self.page.locator(".attn-text input").fill(self.chance.choice(["one two three two", "猫 坐在 猫 旁"]))
        self.page.wait_for_function("() => new URLSearchParams(location.search).has('sentence')")

    def reference(self) -> None:
        self.page.locator("nav [data-place=reference]").click()

    def window(self) -> None:
        self.page.locator("nav [data-place=see]").click()
        self.page.evaluate("scrollTo(0, 0)")

    def go_on(self, number: int) -> None:
        """Some changes, then a place; the bench, which takes its time, now and then."""
        self.window()
        if number % 3 == 0:
            self.inspection()
        some = [self.looks, self.pins, self.channel, self.turn]
        for change in self.chance.sample(some, k=self.chance.randrange(1, 4)):
            change()
        if self.chance.random() < 0.2:
            self.language()
        if number % 7 == 5:
            self.bench()
        elif (chance := self.chance.random()) < 0.3:
            self.story()
        elif chance < 0.4:
            self.reference()
        self.page.mouse.move(4, 4)
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        self.settle()
        # What is told after a pause is in the address when a later pause of the page's own is over.
        self.page.evaluate("() => new Promise((done) => setTimeout(() => requestAnimationFrame(done), 400))")


def test_a_link_opens_as_what_it_was_copied_from(app_url: str, open_page: Callable[..., Any]) -> None:
    walk = Walk(open_page(f"{app_url}?lang=en&detail=coarse", viewport=SIZE), seed=11)
    walk.settle()
    for number in range(STATES):
        walk.go_on(number)
        expected, link = walk.page.evaluate(f"() => [({SEEN})(), location.href]")
        opened = open_page(link, viewport=SIZE)
        try:
            if expected["bench"]:
                opened.locator(".attn-lab").scroll_into_view_if_needed()
            opened.wait_for_function(SAME, arg=expected, polling=500)
        except Exception:
            assert opened.evaluate(SEEN) == expected, link
        opened.context.close()
