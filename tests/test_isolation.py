"""Many visitors at once: each gets its own answer, none reaches another's files, and the page itself stays awake."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio_client import handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from attn import Inspector
from tests.conftest import PATIENCE_S, client_of
from tests.test_fuzz_api import call, file_data

VISITORS, ROUNDS = 8, 3
GRID = (6, 8)
SIDE = 128


def drawn(number: int) -> Image.Image:
    """A picture no other visitor has: 128 × 96, blocks of colour from the seed ``number``."""
    noise = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(noise.repeat(16, axis=0).repeat(16, axis=1))


def config_of(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/config", timeout=PATIENCE_S) as response:
        return dict(json.load(response))


def status_of(url: str, body: object | None = None, **headers: str) -> int:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
            return int(response.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return int(refused.code)


def test_each_visitor_gets_the_answer_to_its_own_picture(app_url: str, tmp_path: Path) -> None:
    inspector = Inspector("bundled", "layer3", detail="coarse", weights="similarity")
    expected = {}
    for visitor in range(VISITORS):
        drawn(visitor).save(tmp_path / f"{visitor}.png")
        encoding = inspector.encode(tmp_path / f"{visitor}.png", SIDE)
        expected[visitor] = encoding.attention
        assert encoding.grid == GRID

    def visit(visitor: int) -> list[tuple[int, float]]:
        client = client_of(app_url)
        distances = []
        for turn in range(ROUNDS):
            row, column = turn, visitor
            answer, _ = client.predict(
                row,
                column,
                handle_file(tmp_path / f"{visitor}.png"),
                longest_side=SIDE,
                weights="similarity",
                detail="coarse",
                api_name="/query",
            )
            attention = np.ravel(answer["attention"])
            index = row * GRID[1] + column
            nearest = min(expected, key=lambda other: float(np.abs(expected[other][index] - attention).max()))
            distances.append((nearest, float(np.abs(expected[visitor][index] - attention).max())))
        return distances

    with ThreadPoolExecutor(VISITORS) as threads:
        for visitor, answers in enumerate(threads.map(visit, range(VISITORS))):
            assert [nearest for nearest, _ in answers] == [visitor] * ROUNDS
            assert max(distance for _, distance in answers) < 1e-5


def test_the_page_answers_while_inspections_run(app_url: str, tmp_path: Path) -> None:
    """Eight inspections; meanwhile what a new visitor's browser asks for first does not wait for one of them."""
    drawn(100).resize((1024, 1024)).save(tmp_path / "large.png")
    client = client_of(app_url)
    jobs = [
        client.submit(
            handle_file(tmp_path / "large.png"),
            longest_side=320,
            weights="random",
            seed=seed,
            detail="coarse",
            api_name="/inspect",
        )
        for seed in range(8)
    ]
    waits, begun = [], time.perf_counter()
    while not all(job.done() for job in jobs):
        for path in ("/config", "/theme.css"):
            start = time.perf_counter()
            assert status_of(app_url + path) == 200
            waits.append(time.perf_counter() - start)
        time.sleep(0.1)
    took = time.perf_counter() - begun
    assert [job.result()[0]["grid"] for job in jobs] == [[20, 20]] * 8
    assert len(waits) >= 6
    assert np.median(waits) < took / len(jobs) / 2  # half of what each took, however slow the machine


def test_a_visitor_over_the_limit_is_told_so(start_app: Callable[..., str], tmp_path: Path) -> None:
    url = start_app("--max-waiting", "2")
    drawn(200).save(tmp_path / "picture.png")
    with urllib.request.urlopen(upload_request(url, tmp_path / "picture.png"), timeout=PATIENCE_S) as response:
        (path,) = json.load(response)

    def ask(seed: int) -> str:
        kind, answer = call(
            url, "inspect", [file_data(path), "bundled", "layer3", 320, "random", True, seed, None, "coarse", ""]
        )
        return kind if kind == "complete" else answer["error"]

    with ThreadPoolExecutor(12) as visitors:
        said = set(visitors.map(ask, range(12)))
    assert said == {"complete", "The page is busy: 4 requests are here already. Please try again in a moment."}
    assert ask(99) == "complete"


def upload_request(url: str, path: Path) -> urllib.request.Request:
    boundary = "attnattnattn"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{path.name}"\r\n\r\n'
    body = head.encode() + path.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
    return urllib.request.Request(
        f"{url}/gradio_api/upload", body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    )


def test_nothing_private_can_be_called(app_url: str) -> None:
    """By name, past the queue, or as a method of a component. The page's own events stay reachable by their number,
    as the browser needs them: they take the same arguments as the controls and check them the same way."""
    config = config_of(app_url)
    assert {d["api_name"] for d in config["dependencies"] if d["api_name"]} == {"inspect", "query"}
    for name in (
        "_inspect",
        "answer",
        "show_map",
        "show_channels",
        "show_lab",
        "export_file",
        "_pick",
        "translate",
        "restored",
        "command",
        "None",
    ):
        assert status_of(f"{app_url}/gradio_api/call/{name}", {"data": []}) >= 400, name
        assert status_of(f"{app_url}/gradio_api/run/{name}", {"data": []}) >= 400, name
    for name in ("inspect", "query"):
        assert status_of(f"{app_url}/gradio_api/run/{name}", {"data": []}) == 404  # past the queue
    for component in config["components"]:
        for function in ("preprocess", "postprocess", "__init__"):
            body = {"session_hash": "x", "component_id": component["id"], "fn_name": function, "data": []}
            assert status_of(f"{app_url}/gradio_api/component_server", body) in (404, 422)


def test_no_list_of_other_visitors_files(app_url: str, tmp_path: Path) -> None:
    """Files are kept under the SHA-256 of their content: who does not have the picture cannot name its folder."""
    drawn(300).save(tmp_path / "secret.png")
    with urllib.request.urlopen(upload_request(app_url, tmp_path / "secret.png"), timeout=PATIENCE_S) as response:
        (path,) = json.load(response)
    folder = Path(path).parent
    assert status_of(f"{app_url}/gradio_api/file={path}") == 200
    assert len(folder.name) == 64
    for guess in (folder.parent, folder, folder.parent / "secret.png", folder.with_name("0" * 64) / "secret.png"):
        assert status_of(f"{app_url}/gradio_api/file={guess}") in (403, 404)
    for address in ("/monitoring", "/monitoring/summary", "/gradio_api/runs", "/gradio_api/history", "/docs"):
        assert status_of(app_url + address) >= 400, address


def test_an_upload_over_the_limit_is_refused(app_url: str, tmp_path: Path) -> None:
    (tmp_path / "huge.png").write_bytes(b"\x89PNG" + bytes(65 * 2**20))
    with pytest.raises((urllib.error.HTTPError, OSError)) as refused:
        urllib.request.urlopen(upload_request(app_url, tmp_path / "huge.png"), timeout=60).close()
    if isinstance(refused.value, urllib.error.HTTPError):
        assert refused.value.code == 413
        refused.value.close()
    client = client_of(app_url)
    with pytest.raises(AppError, match="choose a photograph"):
        client.predict(1, 2, None, api_name="/query")
