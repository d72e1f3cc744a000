"""What nobody here uses of Gradio's routes is closed, and a request has a size."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import gradio as gr
import httpx
import pytest
from gradio.routes import App
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from attn.ui.gate import CLOSED, MOST, MOST_WEIGHTS, PREFIX, Gate

# What the page, `gradio_client` and MCP clients ask for, and what answers nothing here.
USED = (
    *("app_id", "api/", "call/", "cancel", "component_server", "config", "custom_component/", "file/", "file="),
    *("heartbeat/", "info", "login_check", "openapi.json", "proxy", "queue/", "reset", "run/", "startup-events"),
    *("theme.css", "token", "upload", "user"),
)


@pytest.fixture
def client() -> TestClient:
    async def echo(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(len(await request.body())))

    return TestClient(Gate(Starlette(routes=[Route("/{path:path}", echo, methods=["GET", "POST", "HEAD"])])))


@pytest.mark.parametrize(
    "path",
    [
        "process_recording",
        "proxy=https://elsewhere.example/a.png",
        "file=http://elsewhere.example/a.png",
        "file=HTTPS://elsewhere.example/gradio_api/upload",
        "file%3Dhttp://elsewhere.example/a.png",
        "file/https://elsewhere.example/a.png",
        "/file=http://elsewhere.example",
        "vibe-edit/",
        "deep_link?session_hash=x",
    ],
)
@pytest.mark.parametrize("root", ["", "/under/a/path"])
def test_routes_nobody_uses_are_closed(client: TestClient, root: str, path: str) -> None:
    for method in ("GET", "POST", "HEAD"):
        assert client.request(method, root + PREFIX + path).status_code == 404
    answer = client.get(root + PREFIX + path, headers={"Accept-Language": "zh-CN"})
    assert answer.text == "这里不提供该地址。"


def test_every_route_of_gradio_is_used_or_closed() -> None:
    """A new version's new routes end up here, to be looked at."""
    with gr.Blocks() as demo:
        gr.Markdown()
    demo.queue()
    app = App.create_app(demo)
    routes = {path.removeprefix(PREFIX) for path in map(str, paths(app.routes)) if path.startswith(PREFIX)}
    assert "process_recording" in routes
    assert {path for path in routes if not path.startswith((*CLOSED, *USED))} == set()


def paths(routes: object) -> Iterator[str]:
    for route in routes:  # type: ignore[attr-defined]
        yield getattr(route, "path", "")
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from (PREFIX.rstrip("/") * (not path.startswith(PREFIX)) + path for path in paths(inner.routes))


def test_a_request_has_a_size(client: TestClient) -> None:
    def parts(size: int) -> Iterator[bytes]:  # without a Content-Length
        for _ in range(size // 2**20):
            yield bytes(2**20)

    assert client.post("/gradio_api/queue/join", content=bytes(1000)).text == "1000"
    for path in ("upload", "queue/join", "call/query"):
        assert client.post(PREFIX + path, content=parts(MOST + 2**21)).status_code == 413
    refused = client.post(PREFIX + "queue/join", content=b"x", headers={"Content-Length": str(MOST_WEIGHTS)})
    assert refused.status_code == 413
    assert "64 MB" in refused.text
    weights = b'filename="vae.safetensors"' + bytes(170 * 2**20)  # a whole autoencoder in half precision
    assert client.post(PREFIX + "upload", content=weights).text == str(len(weights))


def test_all_requests_together_have_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is held in memory counts until it is answered; uploads go to the disk."""
    monkeypatch.setattr("attn.ui.gate.MOST_HELD", 3000)

    async def send_three(path: str) -> list[tuple[int, str]]:
        together = asyncio.Event()
        inside: list[int] = []

        async def echo(request: Request) -> PlainTextResponse:
            await request.body()
            inside.append(1)
            await together.wait()
            return PlainTextResponse("read")

        gate = Gate(Starlette(routes=[Route("/{path:path}", echo, methods=["POST"])]))
        transport = httpx.ASGITransport(app=gate)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            waiting = [asyncio.create_task(client.post(PREFIX + path, content=bytes(1400))) for _ in range(2)]
            while len(inside) < 2:
                await asyncio.sleep(0)
            last = asyncio.create_task(client.post(PREFIX + path, content=bytes(1400)))
            while len(inside) < 3 and not last.done():
                await asyncio.sleep(0)
            together.set()
            answers = [await each for each in (*waiting, last, client.post(PREFIX + path, content=bytes(1400)))]
            return [(answer.status_code, answer.text[:30]) for answer in answers]

    with ThreadPoolExecutor(1) as thread:  # the browser tests keep an event loop running in pytest's
        posted, uploaded = (
            thread.submit(lambda path=path: asyncio.run(send_three(path))).result() for path in ("queue/join", "upload")
        )
    assert uploaded == [(200, "read")] * 4
    assert posted == [(200, "read"), (200, "read"), (503, "The page is busy: 3 requests a"), (200, "read")]
