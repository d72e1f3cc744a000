"""What a visit costs in bytes, and what starting the server costs beside its imports.

    python -m benchmarks.visit
    python -m benchmarks.visit --rounds 5 --only start

- bytes that came over the network (`encodedDataLength` of the DevTools protocol: bodies and headers as compressed) and
  requests: of a first visit until the first map is drawn, until everything on the first screen is, and until all has
  come that follows a pointer; and of a second visit by the same browser. Once more by kind.
- pointing at the map: milliseconds from the pointer event to the end of the frame that shows the new map, median and
  95th percentile, and from frame to frame while it moves with every frame, on the opening grid and on 64 × 64; the
  longest task of the main thread meanwhile; the browser's memory.
- 64 × 64: seconds from the setting's change, on a photograph that the page has at 40 × 40, to the new map, to the first
  other map that pointing shows there, and until all queries' logits have come. Another photograph each round.
- start-up: from starting `python app.py` until it listens, over what `python -c "import torch, torchvision, gradio"`
  takes until it has imported them (leaving them again takes a second), alternately: seconds, and processor seconds,
  which hold on a busy machine (Linux).
"""

import argparse
import collections
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.served import Served

ROOT = Path(__file__).parent.parent
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
IMPORTS = "import torch, torchvision, gradio"
READY = "[data-state=ready]"
MAP = f"#explorer {READY}"
LANE = ".attn-channel-lane[data-state=ready]"
QUIET_S = 2.0  # without a byte: the visit is over
LARGE_SIDE = 512  # px, of a square photograph at 8 px a position: 64 × 64
KINDS = (
    ("the page itself", r"^/(\?|$)"),
    ("Gradio's scripts and styles", r"^/(assets|static|_app|theme|svelte|node)"),
    ("modules and styles", r"^/gradio_api/attn/.*\.(js|css)$"),
    ("texts", r"^/gradio_api/attn/.*\.json$"),
    ("the map's arrays", r"(logits|refinement)[^/]*$"),
    ("other arrays", r"\.safetensors\.gz$"),
    ("pictures", r"\.(jpe?g|png|webp)$"),
)
REST = "events and the rest"
# Notes when the first map is there, and when the page around it is.
DRAWN = """new MutationObserver((_, watcher) => {
  if (document.querySelector('.attn-explorer[data-state=ready]')) window.drawn ??= Date.now();
  if (!document.querySelector('#explorer [data-state=ready]')) return;
  window.around = Date.now();
  watcher.disconnect();
}).observe(document, { subtree: true, childList: true, attributeFilter: ['data-state'] });"""
# Resolves with the milliseconds from each pointer event to the end of the frame with its map, and the longest task.
POINT = """async ([rows, cols, moves]) => {
  const canvas = document.querySelector('#explorer canvas'), root = canvas.closest('[data-row]');
  const box = canvas.getBoundingClientRect(), times = [];
  let longest = 0;
  const tasks = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) longest = Math.max(longest, duration);
  });
  tasks.observe({ type: 'longtask' });
  const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  for (let i = 0; i < moves; i++) {
    const row = (7 * i + 3) % rows, col = (11 * i + 5) % cols;
    const at = { clientX: box.x + (col + 0.5) / cols * box.width, clientY: box.y + (row + 0.5) / rows * box.height };
    const start = performance.now();
    canvas.dispatchEvent(new PointerEvent('pointermove', { ...at, bubbles: true, pointerType: 'mouse' }));
    do await frame(); while (root.dataset.row !== String(row) || root.dataset.col !== String(col));
    times.push(performance.now() - start);
    await frame();
  }
  const gaps = [];
  let last = 0;
  for (let i = 0; i < moves; i++) { // the pointer moves with every frame
    const row = (7 * i + 3) % rows, col = (11 * i + 5) % cols;
    const at = { clientX: box.x + (col + 0.5) / cols * box.width, clientY: box.y + (row + 0.5) / rows * box.height };
    canvas.dispatchEvent(new PointerEvent('pointermove', { ...at, bubbles: true, pointerType: 'mouse' }));
    const now = await new Promise((done) => requestAnimationFrame(done));
    if (last) gaps.push(now - last);
    last = now;
  }
  await new Promise((done) => setTimeout(done, 100));
  tasks.disconnect();
  return { times, gaps, longest };
}"""
# Leaves the field in focus and resolves with the seconds until the new map, another by pointing, and all queries.
GROW = """async ([rows, cols]) => {
  const root = document.querySelector('#explorer [data-key]'), canvas = root.querySelector('canvas');
  const start = performance.now(), frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const taken = [], until = async (holds) => {
    do await frame(); while (!holds());
    taken.push((performance.now() - start) / 1000);
  };
  document.activeElement.blur();
  await until(() => root.dataset.state === 'ready' && root.dataset.rows === String(rows));
  const box = canvas.getBoundingClientRect(), row = rows / 4, col = cols / 8;
  const at = { clientX: box.x + (col + 0.5) / cols * box.width, clientY: box.y + (row + 0.5) / rows * box.height };
  canvas.dispatchEvent(new PointerEvent('pointermove', { ...at, bubbles: true, pointerType: 'mouse' }));
  await until(() => root.dataset.row === String(row) && root.dataset.col === String(col));
  await until(() => 'whole' in root.dataset);
  return taken;
}"""


class Traffic:
    """What a page's tab fetches: when, from where and how many bytes, as the DevTools protocol counts them."""

    def __init__(self, page: Any) -> None:
        self._paths: dict[str, str] = {}
        self._offset = 0.0  # of the protocol's clock
        self.arrived: list[tuple[float, str, int]] = []
        self.latest = time.monotonic()
        session = page.context.new_cdp_session(page)
        session.on("Network.requestWillBeSent", self._sent)
        session.on("Network.loadingFinished", self._finished)
        session.send("Network.enable")

    def _sent(self, event: dict[str, Any]) -> None:
        self._offset = event["wallTime"] - event["timestamp"]
        found = re.match(r"https?://[^/]+(/.*)", event["request"]["url"])
        if found:
            self._paths[event["requestId"]] = found[1]

    def _finished(self, event: dict[str, Any]) -> None:
        path = self._paths.get(event["requestId"])
        if path is None or not event["encodedDataLength"]:  # from the browser's cache
            return
        self.arrived.append((event["timestamp"] + self._offset, path, round(event["encodedDataLength"])))
        self.latest = time.monotonic()

    def until(self, moment: float) -> collections.Counter[str]:
        """Bytes by kind, see KINDS; what Gradio's events carry is "events and the rest". And "all", and "requests"."""
        kinds: collections.Counter[str] = collections.Counter()
        for when, path, count in self.arrived:
            if when <= moment:
                kind = next((name for name, pattern in KINDS if re.search(pattern, path)), REST)
                kinds.update({kind: count, "all": count, "requests": 1})
        return kinds


def visit(context: Any, url: str) -> list[collections.Counter[str]]:
    """Bytes by kind: until the map is drawn, until the page around it is there, until the tab has been quiet.

    And until it has been so after the pointer has come.
    """
    page = context.new_page()
    page.add_init_script(DRAWN)
    traffic = Traffic(page)
    page.goto(url, wait_until="commit")
    page.wait_for_selector(LANE, timeout=120_000)
    _wait_until_quiet(page, traffic)
    drawn, around = (page.evaluate(f"window.{moment}") / 1000 for moment in ("drawn", "around"))
    looked = traffic.until(float("inf"))
    page.locator("#explorer canvas").first.hover()
    page.wait_for_selector(f"{MAP}[data-whole]", timeout=120_000)
    _wait_until_quiet(page, traffic)
    page.close()
    return [traffic.until(drawn), traffic.until(around), looked, traffic.until(float("inf"))]


def _wait_until_quiet(page: Any, traffic: Traffic) -> None:
    while time.monotonic() - traffic.latest < QUIET_S:
        page.wait_for_timeout(100)


def print_bytes(browser: Any, url: str) -> None:
    """The table of bytes of a first and a second visit."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    first, second = visit(context, url), visit(context, url)
    context.close()
    columns = {
        "first visit, until its map": first[0],
        "… and the page around it": first[1],
        "first visit, first screen": first[2],
        "… and pointed at": first[3],
        "second visit": second[2],
        "… and pointed at ": second[3],
    }
    print("| kB | " + " | ".join(columns) + " |\n| --- |" + " --- |" * len(columns))
    for kind in ("all", *[name for name, _ in KINDS], REST):
        print(f"| {kind} | {' | '.join(f'{kinds[kind] / 1000:.0f}' for kinds in columns.values())} |")
    print(f"| requests | {' | '.join(str(kinds['requests']) for kinds in columns.values())} |", flush=True)


def print_pointing(browser: Any, url: str, moves: int) -> None:
    """Milliseconds of pointing, the longest task and the memory, on the opening grid and on 64 × 64."""
    print("\n| grid | when | pointing, median / p95 ms | frame to frame | longest task ms | memory MB |")
    print("| --- | --- | --- | --- | --- | --- |")
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    page.goto(url)
    page.wait_for_selector(MAP, timeout=120_000)
    page.wait_for_timeout(5000)
    print(_pointed(page, session, moves, "5 s after its map"), flush=True)
    page.goto(f"{url}?side={LARGE_SIDE}")
    page.wait_for_selector(f"#explorer [data-rows='64']{READY}", timeout=120_000)
    print(_pointed(page, session, moves, "with its map"), flush=True)
    page.wait_for_timeout(10_000)
    print(_pointed(page, session, moves, "10 s later"), flush=True)
    page.close()


def print_growth(browser: Any, url: str, rounds: int) -> None:
    """Seconds from the change of the longest side to 64 × 64 until its map, an answer to pointing, and all queries."""
    from PIL import Image

    from attn.texts import text
    from attn.ui.examples import EXAMPLES, OPENING

    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(f"{url}?lang=en")
    page.wait_for_selector(MAP, timeout=120_000)
    page.locator(".ap-settings").click()
    sides = page.get_by_label(f"number input for {text('en', 'page.longest_side')}")
    with Image.open(EXAMPLES[OPENING]) as opened:
        square = opened.convert("RGB").resize((1024, 1024))
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(rounds + 1):
            key = page.get_attribute("#explorer [data-key]", "data-key")
            path = Path(folder) / f"square {turn}.png"
            square.paste((turn % 256, os.getpid() % 256, 99), (0, 0, 64, 64))  # no cache has it
            square.save(path)
            page.locator("#attn-upload").locator("xpath=..").locator("input[type=file]").first.set_input_files(path)
            page.wait_for_selector(f"#explorer [data-rows='40']{READY}[data-whole]:not([data-key='{key}'])")
            page.wait_for_timeout(3000)  # the panels below
            sides.fill(str(LARGE_SIDE))
            taken.append(page.evaluate(GROW, [64, 64]))
            sides.fill("320")
            sides.blur()
            page.wait_for_selector(f"#explorer [data-rows='40']{READY}[data-whole]")
    page.close()
    print("\n| 40 × 40 → 64 × 64, s | its map | another by pointing | all queries |\n| --- | --- | --- | --- |")
    print(
        f"| median (quartiles) | {' | '.join(_quartiles(each) for each in zip(*taken[1:], strict=True))} |", flush=True
    )


def _quartiles(values: tuple[float, ...]) -> str:
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.2f} ({low:.2f}–{high:.2f})"


def _pointed(page: Any, session: Any, moves: int, when: str) -> str:
    rows, cols = (int(page.get_attribute("#explorer [data-rows]", f"data-{side}")) for side in ("rows", "cols"))
    measured = page.evaluate(POINT, [rows, cols, moves])
    metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    pointing, frames = (
        f"{statistics.median(times):.1f} / {statistics.quantiles(times, n=20)[-1]:.1f}"
        for times in (measured["times"], measured["gaps"])
    )
    memory = metrics["JSHeapUsedSize"] / 2**20
    return f"| {rows} × {cols} | {when} | {pointing} | {frames} | {measured['longest']:.0f} | {memory:.0f} |"


def print_start(rounds: int) -> None:
    """Seconds and processor seconds until the page listens, over those of the imports, of alternating runs."""
    ours, imports = [], []
    for _ in range(rounds + 1):
        start, before = time.perf_counter(), _children_cpu()
        subprocess.run([sys.executable, "-c", f"{IMPORTS}; import os; os._exit(0)"], cwd=ROOT, check=True)
        imports.append((time.perf_counter() - start, _children_cpu() - before))
        server = Served()
        ours.append((server.seconds, server.processor_seconds_then))
        server.stop()
    print(f"\n| start-up | until it listens | `{IMPORTS}` | ratio |\n| --- | --- | --- | --- |")
    for at, what in enumerate(("seconds", "processor seconds")):
        here, beside = ([times[at] for times in each[1:]] for each in (ours, imports))  # the first reads the disk
        ratios = [a / b for a, b in zip(here, beside, strict=True)]
        medians = f"{statistics.median(here):.2f} | {statistics.median(beside):.2f}"
        print(f"| {what} | {medians} | {statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f}) |")


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5, help="of starting the server, and of changing to 64 × 64")
    parser.add_argument("--moves", type=int, default=60, help="of the pointer")
    parser.add_argument("--only", choices=["bytes", "pointing", "growth", "start"])
    args = parser.parse_args()
    wanted = [args.only] if args.only else ["bytes", "pointing", "growth", "start"]
    print(f"load before: {os.getloadavg()[0]:.1f}\n")
    if wanted != ["start"]:
        from playwright.sync_api import sync_playwright

        chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        server = Served()
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
                if "bytes" in wanted:
                    print_bytes(browser, f"{server.url}/")
                if "pointing" in wanted:
                    print_pointing(browser, f"{server.url}/", args.moves)
                if "growth" in wanted:
                    print_growth(browser, f"{server.url}/", args.rounds)
                browser.close()
        finally:
            server.stop()
    if "start" in wanted:
        print_start(args.rounds)


if __name__ == "__main__":
    main()
