"""How the page feels beside the usual ways, in a real Chromium, as ratios from one run.

    python -m benchmarks.page
    python -m benchmarks.page --rounds 30

- image to first map, over a bare echo app (gr.Image in, gr.Image out): from the browser's change event of the file
  field to the frame in which the new map, or the returned image, stands; for a small photograph and for a camera's
  (12 megapixels, lying on its side in EXIF), on the network as it is and on two slower ones (PROFILES), with what
  travelled. Round trips one after the other: what 150 ms of latency add to the time, in units of 150 ms.
- navigation to first map, to the bar that takes a photograph, and to Gradio's page around both, over a bare Gradio page
  with one image and one HTML component until it shows both: of a first visit by a browser and of a second one, on those
  networks.
- server time from the decoded picture to the bytes of the first map, over the bare stem's forward at 320 px.
- pointing, from the pointer event to the frame with the new map, against clicking on a gr.Image whose select event
  draws the overlay with matplotlib.
- start-up until the page answers, and resident memory then and after the visits (Linux).

Both sides of a ratio are measured alternately, so that whatever else the machine does touches both. Cells give the
median and, in brackets, the quartiles. With `--threads 1` the server's time is the thread's processor time, which holds
on a busy machine; otherwise it is the wall clock's.
"""

import argparse
import io
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.served import Served

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
LONGEST_SIDE = 320
# Mbit/s down and up, latency in ms of every request, how many times slower the page's processor is. 0: not limited.
PROFILES = {
    "as it is": (0, 0, 0, 1),
    "20/10 Mbit/s, 40 ms": (20, 10, 40, 1),
    "4/1 Mbit/s, 150 ms, CPU ÷ 4": (4, 1, 150, 4),
}
LATENCY_MS = 150
CAMERA = (4032, 3024)

# Resolves with the milliseconds from the file field's change event to the frame after `ready()` holds.
UPLOAD = """(ready) => { window.measured = new Promise((done) => window.addEventListener('change', () => {
  const start = performance.now(), holds = eval(ready);
  const look = () => holds() ? requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)))
                             : requestAnimationFrame(look);
  look(); }, {capture: true, once: true})); }"""
MAP_READY = """() => { const e = document.querySelector('#explorer [data-state]');
  return e && e.dataset.state === 'ready' && `${e.dataset.rows}x${e.dataset.cols}` === 'GRID'; }"""
# Of a page that is being opened: notes the milliseconds from the navigation to the frame after each of these holds.
OPENED = """window.opened = [];
[HOLDS].forEach((holds, i) => {
  const note = () => setTimeout(() => { window.opened[i] = performance.now(); });
  const look = () => requestAnimationFrame(holds() ? note : look);
  look();
});"""
# The map and the bar are drawn before Gradio's page around them is there, see attn/ui/ahead.py.
MAP_OPENED = """document.querySelector('.attn-explorer[data-state=ready]')
  ?.checkVisibility({ visibilityProperty: true })"""
BAR_OPENED = """document.querySelector('#attn-ahead [data-ahead=attn-upload]:not(:empty)')
  || (document.querySelector('#attn-upload') && window.attn?.page)"""
ALL_OPENED = "document.querySelector('#explorer [data-state=ready]') && window.attn?.page"
BARE_OPENED = """document.querySelector('#words p') && document.querySelector('#output img')?.complete
  && document.querySelector('#output img').naturalWidth"""
IMAGE_READY = """(() => { const before = document.querySelector('#output img')?.src;
  return () => { const i = document.querySelector('#output img');
    return i && i.src !== before && i.complete && i.naturalWidth > 0; }; })()"""
# The same from a pointer event.
POINT = """([kind, ready]) => { window.measured = new Promise((done) => document.addEventListener(kind, (event) => {
  const start = event.timeStamp, holds = eval(ready);
  const look = () => holds() ? requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)))
                             : requestAnimationFrame(look);
  look(); }, {capture: true, once: true})); }"""
POINT_READY = "() => document.querySelector('#explorer [data-row]')?.dataset.row === 'ROW'"


def serve(kind: str, port: int) -> None:
    """The app to compare with: "echo", "bare", or "click" for the usual way to redraw an overlay."""
    import gradio as gr
    from gradio.media import get_image
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from attn import Inspector

    with gr.Blocks(analytics_enabled=False) as demo:
        if kind == "echo":
            given, shown = gr.Image(elem_id="input"), gr.Image(elem_id="output")
            given.upload(lambda image: image, given, shown)
        elif kind == "bare":
            gr.Image(get_image("lion.jpg"), elem_id="output", interactive=False)
            gr.HTML("<p>A photograph</p>", elem_id="words")
        else:
            encoding = Inspector().encode(get_image("cheetah.jpg"), LONGEST_SIDE)
            attention = encoding.attention
            height, width = encoding.grid

            def redraw(event: gr.SelectData) -> Any:
                x, y = event.index
                row = min(y * height // encoding.image.shape[0], height - 1)
                column = min(x * width // encoding.image.shape[1], width - 1)
                figure = Figure(figsize=(6, 6 * height / width))
                axes = figure.add_axes((0, 0, 1, 1))
                axes.axis("off")
                axes.imshow(encoding.image)
                weights = attention[row * width + column].reshape(height, width)
                axes.imshow(weights, alpha=0.5, extent=(0, encoding.image.shape[1], encoding.image.shape[0], 0))
                canvas = FigureCanvasAgg(figure)
                canvas.draw()
                return np.asarray(canvas.buffer_rgba())[..., :3]

            given = gr.Image(encoding.image, elem_id="input", interactive=False)
            shown = gr.Image(elem_id="output")
            given.select(redraw, None, shown)
    demo.launch(server_port=port)


def quartiles(values: Sequence[float], digits: int = 0) -> str:
    """Median and, in brackets, the quartiles."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


class Picture:
    """A photograph to bring, and the grid that its map has."""

    def __init__(self, path: Path, image: Any, grid: str, exif: bytes = b"") -> None:
        self.path, self.grid = path, grid
        self._image, self._exif = image.copy(), exif

    def renew(self) -> None:
        """Writes it with other pixels in a corner, so that no cache helps, here or there."""
        side = min(self._image.size) // 40
        self._image.paste(tuple(os.urandom(3)), (0, 0, side, side))
        self._image.save(self.path, quality=92, exif=self._exif)


def pictures(folder: Path) -> dict[str, list[Picture]]:
    """A photograph lying and standing, small and from a camera: their grids tell which one a map belongs to."""
    from gradio.media import get_image
    from PIL import Image

    found: dict[str, list[Picture]] = {}
    with Image.open(get_image("cheetah.jpg")) as image:
        small = image.convert("RGB")
    for name, photograph in (("small", small), ("12 megapixels", camera())):
        on_its_side = Image.Exif()
        on_its_side[0x0112] = 6  # orientation: to be turned by 90°
        rows, columns = sorted((round(40 * min(photograph.size) / max(photograph.size)), 40))
        found[name] = [
            Picture(folder / f"lying {name}.jpg", photograph, f"{rows}x{columns}"),
            Picture(folder / f"standing {name}.jpg", photograph, f"{columns}x{rows}", on_its_side.tobytes()),
        ]
    return found


def camera() -> Any:
    """A camera's photograph, made: a picture enlarged, with another's fine detail, so that its JPEG is as large."""
    from gradio.media import get_image
    from PIL import Image, ImageFilter, ImageOps

    with Image.open(get_image("cheetah.jpg")) as opened:
        enlarged = ImageOps.fit(opened.convert("RGB"), CAMERA, Image.Resampling.BICUBIC)
    with Image.open(get_image("groot.jpeg")) as opened:
        tile = opened.convert("RGB")
    detail = np.asarray(tile, np.int16) - np.asarray(tile.filter(ImageFilter.GaussianBlur(6)), np.int16)
    detail = np.concatenate([detail, detail[:, ::-1]], axis=1)
    detail = np.tile(detail, (-(-CAMERA[1] // len(detail)), -(-CAMERA[0] // detail.shape[1]), 1))
    pixels = np.asarray(enlarged, np.int16) + detail[: CAMERA[1], : CAMERA[0]]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


class Line:
    """The line between a page and the server: slowed down, and watched."""

    def __init__(self, page: Any) -> None:
        self._devtools = page.context.new_cdp_session(page)
        self._devtools.send("Network.enable")
        self.requests, self.up, self.down = 0, 0, 0
        self._devtools.on("Network.requestWillBeSent", self._asked)
        self._devtools.on("Network.requestWillBeSentExtraInfo", self._sent)
        self._devtools.on("Network.dataReceived", self._received)

    def _asked(self, event: Any) -> None:
        self.requests += event["request"]["url"].startswith("http")

    def _sent(self, event: Any) -> None:
        headers = {name.lower(): value for name, value in event["headers"].items()}
        self.up += int(headers.get("content-length", 0))

    def _received(self, event: Any) -> None:
        self.down += event["encodedDataLength"] or event["dataLength"]

    def emulate(self, down: float, up: float, latency: float, slower: float) -> None:
        """Mbit/s, Mbit/s, ms, times."""
        per_second = [1e6 * speed / 8 if speed else -1 for speed in (down, up)]
        self._devtools.send(
            "Network.emulateNetworkConditions",
            {
                "offline": False,
                "latency": latency,
                "downloadThroughput": per_second[0],
                "uploadThroughput": per_second[1],
            },
        )
        self._devtools.send("Emulation.setCPUThrottlingRate", {"rate": slower})


def upload(page: Any, line: Line, picture: Path, ready: str) -> tuple[float, int, int, int]:
    """Milliseconds from the change event to the frame that shows the answer; requests, bytes up and down until then."""
    line.requests, line.up, line.down = 0, 0, 0
    page.evaluate(UPLOAD, ready)
    page.locator("input[type=file]").first.set_input_files(picture)
    took = float(page.evaluate("window.measured"))
    return took, line.requests, line.up, line.down


Uploads = list[tuple[float, int, int, int]]


def time_uploads(driver: Any, app: Served, echo: Served, rounds: int) -> Iterator[tuple[str, str, Uploads, Uploads]]:
    """Network, photograph, and what `upload` measured in every round on the page and in the echo app."""
    page, other = driver.new_page(), driver.new_page()
    page.goto(app.url)
    page.wait_for_selector("#explorer [data-state=ready]", timeout=120_000)
    page.wait_for_selector(".attn-channel-lane[data-state=ready]", timeout=120_000)
    other.goto(echo.url)
    other.wait_for_selector("input[type=file]", state="attached")
    lines = Line(page), Line(other)
    profiles = {**PROFILES, f"{LATENCY_MS} ms": (0, 0, LATENCY_MS, 1)}
    with tempfile.TemporaryDirectory() as folder:
        for name, both in pictures(Path(folder)).items():
            for network, profile in profiles.items():
                ours: Uploads = []
                bare: Uploads = []
                large = name != "small"
                if large and network not in PROFILES:
                    continue
                turns = 2 * (1 + (max(4, rounds // 3) if large else rounds) // 2)  # even: each differs from the last
                for turn in range(turns):
                    picture = both[turn % 2]
                    picture.renew()
                    page.bring_to_front()
                    lines[0].emulate(*profile)
                    ours.append(upload(page, lines[0], picture.path, MAP_READY.replace("GRID", picture.grid)))
                    lines[0].emulate(*PROFILES["as it is"])
                    page.wait_for_timeout(2000)  # the panels below the map
                    other.bring_to_front()
                    lines[1].emulate(*profile)
                    bare.append(upload(other, lines[1], picture.path, IMAGE_READY))
                    lines[1].emulate(*PROFILES["as it is"])
                    other.get_by_label("Remove Image").first.click()
                    page.wait_for_timeout(300)
                yield network, name, ours[2:], bare[2:]
    page.close()
    other.close()


def time_opening(
    browser: Any, app: Served, bare: Served, profile: tuple[float, ...], rounds: int
) -> list[tuple[list[float], ...]]:
    """Milliseconds from navigation: to first map, to the bar, to the page around them, to all of the bare page.

    Of first visits, and of second ones, on a network (see PROFILES).
    """
    visits: list[tuple[list[float], ...]] = [([], [], [], []), ([], [], [], [])]
    for _ in range(rounds + 1):
        for server, first, holds in ((app, 0, (MAP_OPENED, BAR_OPENED, ALL_OPENED)), (bare, 3, (BARE_OPENED,))):
            context = browser.new_context(viewport={"width": 1280, "height": 1000})
            for visit in visits:
                page = context.new_page()
                Line(page).emulate(*profile)
                page.add_init_script(OPENED.replace("HOLDS", ", ".join(f"() => {one}" for one in holds)))
                page.goto(server.url, wait_until="commit")
                for i in range(len(holds)):
                    page.wait_for_function("(i) => window.opened[i]", arg=i, timeout=120_000)
                    visit[first + i].append(float(page.evaluate("(i) => window.opened[i]", i)))
                page.wait_for_timeout(3000)  # what follows the map
                page.close()
            context.close()
    return [tuple(times[1:] for times in visit) for visit in visits]


def time_pointing(driver: Any, app: Served, clicks: Served, rounds: int) -> tuple[list[float], list[float]]:
    """Milliseconds of every round: pointer event to painted map, click to redrawn overlay."""
    ours, usual = [], []
    page, other = driver.new_page(), driver.new_page()
    page.goto(f"{app.url}?example=cheetah")
    page.wait_for_selector("#explorer [data-state=ready]", timeout=120_000)
    page.wait_for_timeout(4000)
    other.goto(clicks.url)
    other.wait_for_selector("#input img")
    canvas = page.locator("#explorer canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    photo = other.locator("#input img").first.bounding_box()
    for turn in range(rounds + 2):
        row, column = (5 * turn) % 14, (3 * turn) % 20
        page.bring_to_front()
        page.evaluate(POINT, ["pointermove", POINT_READY.replace("ROW", str(row))])
        page.mouse.move(box["x"] + (column + 0.5) / 20 * box["width"], box["y"] + (row + 0.5) / 14 * box["height"])
        ours.append(float(page.evaluate("window.measured")))
        other.bring_to_front()
        other.evaluate(POINT, ["click", IMAGE_READY])
        other.mouse.click(
            photo["x"] + (column + 0.5) / 20 * photo["width"], photo["y"] + (row + 0.5) / 14 * photo["height"]
        )
        usual.append(float(other.evaluate("window.measured")))
        other.wait_for_timeout(200)
    return ours[2:], usual[2:]


def time_server(rounds: int) -> tuple[list[float], list[float]]:
    """Milliseconds of every round: decoded picture to the bytes of the first map, the bare stem's forward."""
    from gradio.media import get_image
    from PIL import Image

    from attn import Inspector, ResNetStem
    from attn.ui.panels.explorer.panel import ExplorerView, encode_row

    inspector = Inspector()
    with Image.open(get_image("cheetah.jpg")) as opened:
        image = opened.convert("RGB")
    assert isinstance(inspector.stem, ResNetStem)
    x = inspector.stem.preprocess(image, LONGEST_SIDE)

    def first_map() -> int:
        encoding = inspector.encode(image, LONGEST_SIDE)
        view = ExplorerView(
            encoding.image, encoding.grid, encoding.stride_px, encoding.queries, encoding.keys, {"source": "trained"}
        )
        row, _ = encode_row(view)
        photograph = io.BytesIO()
        Image.fromarray(view.image).save(photograph, "JPEG", quality=92)
        return len(row["steps"]) + len(photograph.getvalue())

    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    whole, bare = [], []
    with torch.inference_mode():
        for _ in range(rounds + 3):
            start = clock()
            inspector.stem(x)
            middle = clock()
            first_map()
            whole.append(1000 * (clock() - middle))
            bare.append(1000 * (middle - start))
    return whole[3:], bare[3:]


def line(what: str, ours: list[float], theirs: list[float], bar: str, inverse: bool = False) -> str:
    """One line of the table: the ratio is taken within each round."""
    ratios = [b / a if inverse else a / b for a, b in zip(ours, theirs, strict=True)]
    return f"| {what} | {quartiles(ours)} | {quartiles(theirs)} | {quartiles(ratios, 2)} | {bar} |"


def travelled(taken: Uploads) -> str:
    """Medians of the requests and of the kB up and down."""
    requests, up, down = (statistics.median(values) for values in list(zip(*taken, strict=True))[1:])
    return f"{requests:.0f} requests, {up / 1000:.0f} kB up, {down / 1000:.0f} kB down"


def trips(taken: dict[str, tuple[Uploads, Uploads]], side: int) -> str:
    """What the latency adds, in units of it."""
    fast, slow = (statistics.median(one[0] for one in taken[name][side]) for name in ("as it is", f"{LATENCY_MS} ms"))
    return f"{(slow - fast) / LATENCY_MS:.1f}"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--threads", type=int, help="of torch in the server's time (default: torch's own choice)")
    parser.add_argument("--only", choices=["uploads", "opening", "server", "pointing", "start"])
    parser.add_argument("--serve", choices=["echo", "bare", "click"], help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args.serve, args.port)
        return
    if args.threads:
        torch.set_num_threads(args.threads)
    wanted = [args.only] if args.only else ["server", "start", "uploads", "opening", "pointing"]
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    print(f"load before: {os.getloadavg()[0]:.1f}, torch threads: {torch.get_num_threads()}\n")
    print("| what | here, ms | beside it, ms | ratio | bar |\n| --- | --- | --- | --- | --- |")
    if "server" in wanted:
        print(
            line("decoded picture → first map's bytes; the stem's forward", *time_server(args.rounds), "≤ 1.15"),
            flush=True,
        )
    if wanted == ["server"]:
        return
    from playwright.sync_api import sync_playwright

    app = Served("app.py")
    at_start, running = app.memory(), [app]
    try:
        with sync_playwright() as playwright:
            driver = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
            context = driver.new_context(viewport={"width": 1280, "height": 1000})
            if "uploads" in wanted:
                running.append(Served("-m", "benchmarks.page", "--serve", "echo"))
                taken: dict[str, tuple[Uploads, Uploads]] = {}
                for network, name, ours, bare in time_uploads(context, app, running[-1], args.rounds):
                    what = f"{name}, {network}: image → first map; echo app"
                    print(line(what, [one[0] for one in ours], [one[0] for one in bare], "≤ 1.6, ≤ 1.3 slow"))
                    print(f"| … {travelled(ours)} | {travelled(bare)} |", flush=True)
                    if name == "small":
                        taken[network] = ours, bare
                print(f"| round trips | {trips(taken, 0)} | {trips(taken, 1)} |", flush=True)
            if "opening" in wanted:
                running.append(Served("-m", "benchmarks.page", "--serve", "bare"))
                for network, profile in PROFILES.items():
                    both = time_opening(driver, app, running[-1], profile, args.rounds)
                    for visit, (mapped, bar, whole, plain) in zip(("first", "second"), both, strict=True):
                        what = f"{visit} visit, {network}"
                        print(line(f"{what}: first map; bare page", mapped, plain, "≤ 1.5"))
                        print(line(f"{what}: the bar; bare page", bar, plain, ""))
                        print(line(f"{what}: the page around them; bare page", whole, plain, ""), flush=True)
            if "pointing" in wanted:
                running.append(Served("-m", "benchmarks.page", "--serve", "click"))
                pointed, usual = time_pointing(context, app, running[-1], args.rounds)
                print(
                    line(
                        "pointing → painted; click → redrawn with matplotlib (times faster)", pointed, usual, "", True
                    ),
                    flush=True,
                )
            driver.close()
        print(f"\nstart-up {app.seconds:.1f} s; resident memory {at_start:.0f} MB at start, {app.memory():.0f} MB now")
        print(f"load after: {os.getloadavg()[0]:.1f}")
    finally:
        for each in running:
            each.stop()


if __name__ == "__main__":
    main()
