"""Something breaks around the page: each fault has its sentence, and what can go on goes on."""

import contextlib
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gradio.media import get_image
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from attn.texts import text
from tests.conftest import BAR, PATIENCE_S, ROOT, app_process, client_of, free_port, running_app
from tests.test_fuzz_api import GOOD, call, file_data

LION, CHEETAH = get_image("lion.jpg"), get_image("cheetah.jpg")
PAGE_OPEN = "#explorer .attn-explorer[data-state=ready]"


def said(client: Client) -> str:
    """Everything the page opens with."""
    return " ".join(str(component["props"].get("value")) for component in client.config["components"])


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what runs, to be damaged."""
    folder = tmp_path / "checkout"
    for part in ("attn", "assets/weights"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "app.py", folder)
    return folder


def test_a_damaged_network_is_a_sentence_on_a_page_that_opens(start_app: Callable[..., str], checkout: Path) -> None:
    path = checkout / "assets/weights/stem.safetensors"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    client = client_of(start_app(folder=checkout))
    assert "stem.safetensors are damaged" in said(client)
    with pytest.raises(AppError, match=r"stem\.safetensors are damaged.*please restore them"):
        client.predict(row=0, column=0, image=handle_file(LION), api_name="/query")


def test_missing_trained_weights_leave_feature_similarity(start_app: Callable[..., str], checkout: Path) -> None:
    for name in ("attention_layer3", "tuned_layer3"):
        (checkout / f"assets/weights/{name}.safetensors").unlink()
    client = client_of(start_app(folder=checkout))
    answer, _ = client.predict(row=0, column=0, image=handle_file(LION), api_name="/query")
    assert answer["weights"]["source"] == "similarity"


def test_no_home_and_a_read_only_checkout(start_app: Callable[..., str], checkout: Path, tmp_path: Path) -> None:
    """As in a container with nothing to write to but the folder for temporary files."""
    for path in (checkout, *checkout.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)
    (tmp_path / "tmp").mkdir()
    try:
        url = start_app(
            folder=checkout, HOME="/proc/no-home", TMPDIR=str(tmp_path / "tmp"), PYTHONDONTWRITEBYTECODE="1"
        )
        client = client_of(url)
        numbers, _ = client.predict(image=handle_file(CHEETAH), longest_side=64, api_name="/inspect")
        assert numbers["grid"] == [5, 8]
        with pytest.raises(AppError, match="resnet18 could not be"):
            client.predict(image=handle_file(CHEETAH), stem="resnet18", longest_side=64, api_name="/inspect")
    finally:
        for path in (checkout, *checkout.rglob("*")):
            path.chmod(path.stat().st_mode | 0o200)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_a_sentence_and_passes(start_app: Callable[..., str], small_disk: Path) -> None:
    url = start_app(GRADIO_TEMP_DIR=str(small_disk))
    path = upload(url, Path(CHEETAH))
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    for language, sentence in (("en-GB", "disk is full"), ("zh-CN,zh;q=0.9", "磁盘已满")):
        with pytest.raises(urllib.error.HTTPError) as refused:
            upload(url, Path(LION), language)
        assert refused.value.code == 507
        assert sentence in refused.value.read().decode()
    data = [1, 2, file_data(path), *GOOD.values()]
    kind, answer = call(url, "query", data)
    assert kind == "error"
    assert "cannot store files at the moment" in answer["error"]
    ballast.unlink()
    assert call(url, "query", data)[0] == "complete"
    upload(url, Path(LION))


def upload(url: str, path: Path, language: str = "en") -> str:
    """The file's path on the server."""
    head = f'--attn\r\nContent-Disposition: form-data; name="files"; filename="{path.name}"\r\n\r\n'
    body = head.encode() + path.read_bytes() + b"\r\n--attn--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=attn", "Accept-Language": language}
    request = urllib.request.Request(f"{url}/gradio_api/upload", body, headers)
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
        return str(json.load(response)[0])


def test_killed_in_the_middle_clients_are_told_and_come_back() -> None:
    port = free_port()
    with app_process(port=port) as (url, process):
        client = client_of(url)
        job = client.submit(image=handle_file(LION), longest_side=1024, api_name="/inspect")
        time.sleep(0.2)
        process.kill()
        with pytest.raises(Exception):  # noqa: B017, PT011 - whatever the client makes of a closed connection
            job.result(timeout=60)
    with running_app(port=port) as url:
        numbers, _ = client_of(url).predict(image=handle_file(LION), longest_side=64, api_name="/inspect")
        assert numbers["grid"] == [8, 8]


@pytest.mark.browser
def test_a_page_outlives_its_server(chromium: Any) -> None:
    """Killed while the page is open: what was shown stays, pointing goes on, the reloaded link restores the view."""
    port = free_port()
    page = chromium.new_page()
    page.set_default_timeout(1000 * PATIENCE_S)
    with app_process(port=port) as (url, process):
        page.goto(f"{url}?example=cheetah")
        page.wait_for_selector(f"{PAGE_OPEN}[data-cols='40']")
        page.wait_for_selector(".attn-channel-lane[data-state=ready]")
        page.wait_for_function(BAR)
        canvas = page.locator("#explorer .ax-stage canvas")
        canvas.click(position={"x": 50, "y": 60})
        page.wait_for_selector(f"{PAGE_OPEN}[data-whole]")  # all that pointing needs
        page.wait_for_function("() => location.search.includes('view=')")
        link, cell = page.url, page.locator(PAGE_OPEN).get_attribute("data-col")
        process.kill()
        page.locator(".ap-settings").click()
        page.get_by_label("Random").check()
        page.locator(".toast-body").first.wait_for()  # Gradio says that its server is away, until it is there again
        page.keyboard.press("Escape")  # the settings lie over the window
        page.locator(".ap-settings").click()  # what Gradio says covers neither the button nor what it opens
        page.get_by_label(text("en", "page.weights.trained"), exact=True).first.check()
        page.keyboard.press("Escape")
        canvas.hover(position={"x": 150, "y": 90})
        page.wait_for_function(f"() => document.querySelector('.attn-explorer').dataset.col !== '{cell}'")
        assert page.locator(PAGE_OPEN).count() == 1
    with running_app(port=port):
        page.goto(link)
        page.wait_for_selector(f"{PAGE_OPEN}[data-cols='40'][data-pins='1']")
        assert page.locator(PAGE_OPEN).get_attribute("data-col") == cell
    page.close()
