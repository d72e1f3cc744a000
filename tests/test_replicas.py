"""Two processes of the page behind nginx, round robin: every feature works, and one of them may die."""

import collections
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio_client import handle_file
from PIL import Image

from attn import Inspector
from tests.conftest import BAR, PATIENCE_S, ROOT, client_of, free_port

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
GRID = (3, 4)


def drawn(number: int) -> Image.Image:
    """A picture of its own for each visitor: 64 × 48, noise of a seed in blocks of 8."""
    noise = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(noise.repeat(8, axis=0).repeat(8, axis=1))


def post(url: str, body: bytes, kind: str) -> Any:
    request = urllib.request.Request(url, body, {"Content-Type": kind})
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
        return json.load(response)


def upload(url: str, path: Path) -> str:
    boundary = "attnattnattn"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{path.name}"\r\n\r\n'
    body = head.encode() + path.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
    return str(post(f"{url}/gradio_api/upload", body, f"multipart/form-data; boundary={boundary}")[0])


def query(url: str, path: str) -> list[list[float]]:
    image = {"path": path, "meta": {"_type": "gradio.FileData"}}
    data = [1, 2, image, "bundled", "layer3", 64, "similarity", True, 0, None, "coarse", ""]
    answer = post(f"{url}/gradio_api/run/query", json.dumps({"data": data}).encode(), "application/json")
    return answer["data"][0]["attention"]


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of nginx, started by the script that starts all of it, and its folder."""
    port, folder = three_free_ports(), tmp_path_factory.mktemp("replicas")
    process = subprocess.Popen(
        [ROOT / "deploy" / "replicas.sh", str(port)],
        env={**os.environ, "RUN_DIR": str(folder), "PYTHON": sys.executable, "OMP_NUM_THREADS": "1"},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for each in (port + 1, port + 2, port):
            wait_for(f"http://127.0.0.1:{each}", process)
        yield f"http://127.0.0.1:{port}", folder
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_S)


def three_free_ports() -> int:
    """The first of three ports, one after the other, that nobody listens on."""
    while True:
        port = free_port()
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for each in (port, port + 1, port + 2):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", each))
            return port


def wait_for(url: str, process: subprocess.Popen[bytes] | None = None) -> None:
    deadline = time.monotonic() + 240
    while True:
        try:
            urllib.request.urlopen(url, timeout=10).close()
            return
        except OSError:
            if time.monotonic() > deadline or (process and process.poll() is not None):
                raise
            time.sleep(0.3)


def served(folder: Path, path: str) -> collections.Counter[str]:
    """How often each replica answered requests for ``path``."""
    lines = [line.split() for line in (folder / "access.log").read_text().splitlines()]
    return collections.Counter(line[1] for line in lines if line[-1].startswith(path))


def test_each_visitor_gets_its_own_answer_from_whichever_replica(replicas: tuple[str, Path], tmp_path: Path) -> None:
    url, folder = replicas
    inspector = Inspector("bundled", "layer3", detail="coarse", weights="similarity")
    for visitor in range(6):
        path = tmp_path / f"{visitor}.png"
        drawn(visitor).save(path)
        attention = query(url, upload(url, path))
        expected = inspector.encode(path, 64).attention_rows([1 * GRID[1] + 2]).reshape(GRID)
        np.testing.assert_allclose(attention, expected, atol=1e-5)
    counts = served(folder, "/gradio_api/run/query")
    assert len(counts) == 2
    assert max(counts.values()) - min(counts.values()) <= 4


def test_a_real_client_works_through_the_balancer(replicas: tuple[str, Path], tmp_path: Path) -> None:
    url, _ = replicas
    drawn(9).save(tmp_path / "nine.png")
    client = client_of(url)
    answer, _ = client.predict(
        1, 2, handle_file(tmp_path / "nine.png"), longest_side=64, weights="similarity", api_name="/query"
    )
    assert np.sum(answer["attention"]) == pytest.approx(1, abs=1e-4)


@pytest.mark.browser
def test_the_page_works_through_the_balancer(replicas: tuple[str, Path], chromium: Any, tmp_path: Path) -> None:
    url, _ = replicas
    drawn(11).save(tmp_path / "eleven.png")
    page = chromium.new_page()
    page.set_default_timeout(1000 * PATIENCE_S)
    failed: list[str] = []
    page.on("response", lambda reply: failed.append(f"{reply.status} {reply.url}") if reply.status >= 400 else None)
    page.goto(url)
    page.wait_for_selector("#explorer .attn-explorer[data-state=ready]")
    page.wait_for_selector(".attn-channel-lane[data-state=ready]")
    page.wait_for_function(BAR)
    page.locator("input[type=file]").first.set_input_files(tmp_path / "eleven.png")
    page.wait_for_selector("#explorer .attn-explorer[data-rows='30'][data-cols='40']")
    page.locator(".ap-settings").click()
    page.get_by_label("Random").check()
    page.wait_for_selector(".ax-badge[data-source=random]")
    page.keyboard.press("Escape")  # the settings lie over the window
    with page.expect_download():
        page.locator(".ax-view").click()
        page.locator("[data-export=arrays]").click()
    page.close()
    assert failed == []


def test_one_replica_may_die(replicas: tuple[str, Path], tmp_path: Path) -> None:
    """kill -9: the other one serves what the first one stored; the script starts the first one again."""
    url, folder = replicas
    drawn(10).save(tmp_path / "ten.png")
    path = upload(url, tmp_path / "ten.png")
    before = query(url, path)
    first = int(url.rsplit(":", 1)[1]) + 1
    victim = int((folder / f"replica-{first}.pid").read_text())
    os.kill(victim, signal.SIGKILL)
    for _ in range(4):
        np.testing.assert_allclose(query(url, path), before, atol=1e-6)
    wait_for(f"http://127.0.0.1:{first}")
    np.testing.assert_allclose(query(f"http://127.0.0.1:{first}", path), before, atol=1e-6)
