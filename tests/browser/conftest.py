"""A real Chromium for the browser tests, and Gradio pages to point it at."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PATIENCE_S, count_requests

HERE = Path(__file__).parent
HAND = "document.addEventListener('attn:map', () => dispatchEvent(new Event('pointermove')))"
OURS = re.compile("js_on_load|ahead of Gradio")  # errors that a panel's glue and the first screen's catch
START_SECONDS = 240  # importing torch and Gradio on a busy machine


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Callable[..., Any]]:
    """`open_page(url, **context)` → a page whose script errors fail the test.

    Somebody's hand is at its mouse once the map is there; not with ``hand=False``.
    """
    contexts, errors = [], []

    def open_one(url: str, *, hand: bool = True, **context: Any) -> Any:
        contexts.append(chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **context}))
        contexts[-1].set_default_timeout(1000 * PATIENCE_S)
        page = contexts[-1].new_page()
        count_requests(page)
        if hand:
            page.add_init_script(HAND)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if OURS.search(message.text) else None)
        page.goto(url)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture(scope="module")
def serve(chromium: Any) -> Iterator[Callable[[str], str]]:
    """`serve(script)` starts a page of this folder as a process and returns its address."""
    processes = []

    def start(script: str) -> str:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        settings = {
            "GRADIO_ANALYTICS_ENABLED": "False",
            "GRADIO_SERVER_NAME": "127.0.0.1",
            "GRADIO_SERVER_PORT": str(port),
            "PYTHONPATH": str(HERE.parent.parent),
        }
        process = subprocess.Popen([sys.executable, HERE / script], env=os.environ | settings)
        processes.append(process)
        address = f"http://127.0.0.1:{port}/"
        give_up = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up and process.poll() is None:
            try:
                with urllib.request.urlopen(address):
                    return address
            except urllib.error.URLError:
                time.sleep(0.2)
        raise RuntimeError(f"{script} did not answer within {START_SECONDS} s")

    yield start
    for process in processes:
        process.terminate()
        process.wait()
