"""Takes the pictures of the page that the repository shows: the README's, and the one that links to the page have.

    python deploy/pictures.py

It starts the app, opens it in Chromium as a visitor finds it, and waits until both halves and their sentences are
there. Needs requirements-dev.txt and a Chromium.
"""

import io
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parent.parent
README_PICTURE, README_VIEW = ROOT / "assets" / "page.png", (1280, 860)
PREVIEW, PREVIEW_VIEW, PREVIEW_SIZE = ROOT / "attn" / "ui" / "preview.jpg", (1440, 756), (1200, 630)
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
SETTLED = """() => document.querySelector('#explorer [data-state=ready]')
  && document.querySelector('.attn-channel-lane[data-state=ready]')
  && /\\d %/.test(document.querySelector('#explorer .attn-pane-sentence').textContent)"""
QUIET = ".ax-hint { visibility: hidden !important; }"  # it would be cut through
SECONDS = 300


def photographed(browser: Any, address: str, view: tuple[int, int]) -> tuple[Image.Image, int]:
    """The page in English, light, in a window of this size; and where its sentences end."""
    page = browser.new_page(viewport={"width": view[0], "height": view[1]}, color_scheme="light")
    page.goto(f"{address}/?lang=en")
    page.wait_for_function(SETTLED, timeout=1000 * SECONDS)
    page.add_style_tag(content=QUIET)
    page.evaluate("() => document.fonts.ready")
    box = page.locator("#explorer .attn-pane-sentence").bounding_box()
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    page.close()
    return picture, round(box["y"] + box["height"])


def main() -> None:
    """Both pictures, over the old ones."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    address = f"http://127.0.0.1:{port}"
    app = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env={**os.environ, "GRADIO_SERVER_PORT": port})
    try:
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                urllib.request.urlopen(address, timeout=5).close()
                break
            except OSError:
                if app.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.5)
        path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=path, args=ARGUMENTS)
            readme, end = photographed(browser, address, README_VIEW)
            preview, _ = photographed(browser, address, PREVIEW_VIEW)
            browser.close()
    finally:
        app.terminate()
        app.wait()
    readme = readme.crop((0, 0, readme.width, min(readme.height, end + 8)))
    preview = preview.resize(PREVIEW_SIZE, Image.Resampling.LANCZOS)
    readme.quantize(256, dither=Image.Dither.NONE).save(README_PICTURE, optimize=True)
    preview.save(PREVIEW, quality=86, progressive=True)
    for written in (README_PICTURE, PREVIEW):
        print(f"{written.relative_to(ROOT)}: {written.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
