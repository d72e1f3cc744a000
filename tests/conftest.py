"""What every test shares: nothing is sent out, and the app as people start it."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from gradio_client import Client
from torch import nn

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"


ROOT = Path(__file__).parent.parent
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

PATIENCE_S = 180  # for an answer: a busy machine is slow, not wrong


def client_of(url: str) -> Client:
    """A client of the app at `url`; by itself it gives an answer the five seconds that are httpx's default."""
    return Client(url, verbose=False, httpx_kwargs={"timeout": PATIENCE_S})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def app_process(
    *flags: str, folder: Path = ROOT, port: int = 0, **environment: str
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """`python app.py` of `folder` in a process of its own; yields its address and the process, and ends it."""
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile("w+") as output:  # a pipe that nobody reads would fill and stop the app
        process = subprocess.Popen(
            [sys.executable, "app.py", *flags],
            cwd=folder,
            env={**os.environ, "GRADIO_SERVER_PORT": str(port), **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            deadline = time.monotonic() + 180
            while True:
                if process.poll() is not None:
                    output.seek(0)
                    raise RuntimeError(f"app.py ended with {process.returncode}: {output.read()[-3000:]}")
                try:
                    urllib.request.urlopen(url, timeout=5).close()
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.2)
            yield url, process
        finally:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def running_app(*flags: str, **options: Any) -> Iterator[str]:
    """The address of an `app_process`."""
    with app_process(*flags, **options) as (url, _):
        yield url


@pytest.fixture(scope="session")
def app_url() -> Iterator[str]:
    """The address of the app, started once for all tests that only use it."""
    with running_app() as url:
        yield url


@pytest.fixture
def start_app() -> Iterator[Callable[..., str]]:
    """`start_app(*flags, **options)` → the address of an app of the test's own; arguments as of `running_app`."""
    with ExitStack() as stack:
        yield lambda *flags, **options: stack.enter_context(running_app(*flags, **options))


@pytest.fixture
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder where torchvision looks for downloaded files; nothing can be downloaded."""

    def refuse(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no network in tests")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", refuse)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def put_into_cache(checkpoints: Path, name: str, network: nn.Module) -> Path:
    """A network, which torchvision will find where it keeps downloaded ones."""
    path = checkpoints / Path(torchvision.models.get_model_weights(name)["IMAGENET1K_V1"].url).name
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """One browser for all tests; each test opens its own context."""
    playwright = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium found")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


# What the bar over the window does it does from then on: its buttons are there before.
BAR = "() => Boolean(window.attn?.page)"
HEARTBEAT = "/heartbeat/"  # open as long as the page is; the queue's stream only until what was asked is answered
STILL_S = 20  # longer than an answer takes: the end of a stream that was broken off is not always told
IDLE = "() => new Promise((done) => requestIdleCallback(() => done()))"


def count_requests(page: Any) -> None:
    """From now on `quiet` knows how many requests of a new page have begun, and which are on their way."""
    page.begun, page.on_their_way = 0, set()

    def begin(request: Any) -> None:
        page.begun += 1
        if HEARTBEAT not in request.url:
            page.on_their_way.add(request)

    page.on("request", begin)
    for end in ("requestfinished", "requestfailed"):
        page.on(end, lambda request: page.on_their_way.discard(request))


def quiet(page: Any) -> None:
    """Waits until nothing is on its way or waited for in the server's queue, the page itself has nothing left to do,
    and no request has begun for a second ("networkidle" waits for the heartbeat, too)."""
    before, still, give_up = -1, 0, time.monotonic() + 120
    while (before != page.begun or page.on_their_way) and time.monotonic() < give_up:
        still = still + 1 if before == page.begun else 0
        if still > STILL_S:
            return
        before = page.begun
        page.wait_for_timeout(1000)
        page.evaluate(IDLE)
