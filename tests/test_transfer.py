"""What goes out: pages compressed, files kept, streams as they come."""

from collections.abc import Iterator

import brotli
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from attn.ui.transfer import Transfer

PAGE = "<p>" + "the same again " * 500
CACHED = f"/gradio_api/file=/tmp/gradio/{'0a' * 32}/logits.safetensors.gz"


def parts() -> Iterator[str]:
    yield from (PAGE[:100], PAGE[100:])


@pytest.fixture
def client() -> TestClient:
    routes = [
        Route("/", lambda _: HTMLResponse(PAGE)),
        Route("/parts", lambda _: StreamingResponse(parts(), media_type="text/html")),
        Route("/short", lambda _: HTMLResponse("<p>")),
        Route("/packed", lambda _: HTMLResponse(b"packed" * 200, headers={"Content-Encoding": "zstd"})),
        Route("/events", lambda _: StreamingResponse(parts(), media_type="text/event-stream")),
        Route("/gradio_api/{rest:path}", lambda request: PlainTextResponse("", 404 if request.query_params else 200)),
    ]
    return TestClient(Starlette(routes=routes, middleware=[Middleware(Transfer)]))


@pytest.mark.parametrize("path", ["/", "/parts"])
@pytest.mark.parametrize(("accepted", "used"), [("gzip, deflate, br", "br"), ("gzip", "gzip")])
def test_a_page_is_compressed_as_the_browser_can_read_it(
    client: TestClient, path: str, accepted: str, used: str
) -> None:
    with client.stream("GET", path, headers={"Accept-Encoding": accepted}) as answer:
        raw = b"".join(answer.iter_raw())
    assert (answer.headers["content-encoding"], answer.headers["vary"]) == (used, "Accept-Encoding")
    assert len(raw) < len(PAGE) / 20
    if path == "/":
        assert int(answer.headers["content-length"]) == len(raw)
    assert used != "br" or brotli.decompress(raw).decode() == PAGE
    assert client.get(path, headers={"Accept-Encoding": "gzip"}).text == PAGE


@pytest.mark.parametrize(("path", "accepted"), [("/", "identity"), ("/short", "br"), ("/events", "br")])
def test_what_is_not_compressed_is_as_it_was(client: TestClient, path: str, accepted: str) -> None:
    answer = client.get(path, headers={"Accept-Encoding": accepted})
    assert "content-encoding" not in answer.headers
    assert answer.text == ("<p>" if path == "/short" else PAGE)


def test_what_is_compressed_is_not_compressed_again(client: TestClient) -> None:
    with client.stream("GET", "/packed", headers={"Accept-Encoding": "br"}) as answer:
        assert b"".join(answer.iter_raw()) == b"packed" * 200
    assert answer.headers["content-encoding"] == "zstd"


def test_only_files_named_after_their_content_are_kept(client: TestClient) -> None:
    kept = {path: client.get(path).headers.get("cache-control") for path in (CACHED, f"{CACHED}?gone", "/")}
    assert kept == {CACHED: "private, max-age=604800, immutable", f"{CACHED}?gone": None, "/": None}
    assert "cache-control" not in client.get("/gradio_api/file=/tmp/gradio/photo.jpg").headers
