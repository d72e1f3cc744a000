"""Files given as an address: public ones only, within their size and time, whole or not at all."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio import processing_utils
from gradio.media import get_image

from attn.ui import fetch as fetching
from attn.ui.answers import encoding_of
from attn.ui.controls import ControlError, Controls
from attn.ui.fetch import FetchError, fetch, public_address
from attn.ui.gate import MOST
from attn.ui.serving import Page, Photograph, WeightsFile
from attn.ui.turns import Busy, Caller
from tests.test_fuzz_api import GOOD, call, check_sentence

CHEETAH = Path(get_image("cheetah.jpg"))
MB = 2**20


class Elsewhere(BaseHTTPRequestHandler):
    """A server of strangers: one fault an address."""

    asked: list[str]
    sent: int
    over: threading.Event

    def do_GET(self) -> None:
        cls = type(self)
        cls.asked.append(self.path)
        with suppress(OSError):  # whoever asked has gone
            getattr(self, self.path.strip("/").partition("/")[0].partition("?")[0])()

    def log_message(self, *_: object) -> None:
        pass

    def head(self, status: int = 200, **headers: object) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def picture(self) -> None:
        self.head(Content_Length=CHEETAH.stat().st_size)
        self.wfile.write(CHEETAH.read_bytes())

    def endless(self) -> None:
        self.head()
        while not self.over.is_set():
            type(self).sent += self.wfile.write(bytes(MB))

    def endless_small(self) -> None:
        self.head(Content_Length=10)
        while not self.over.is_set():
            self.wfile.write(bytes(MB))

    def huge(self) -> None:
        self.head(Content_Length=2**40)
        self.over.wait(60)

    def longer_than_it_is(self) -> None:
        self.head(Content_Length=10**6)
        self.wfile.write(CHEETAH.read_bytes())

    def nonsense(self) -> None:
        self.head(Content_Length="-5")

    def silent(self) -> None:
        self.over.wait(60)

    def dripping(self) -> None:
        self.head()
        while not self.over.wait(0.05):
            self.wfile.write(b"x")

    def gone(self) -> None:
        self.head(404)

    def inside(self) -> None:
        self.head(302, Location="http://private.test/picture")

    def on(self) -> None:
        self.head(302, Location="/picture")

    def file(self) -> None:
        self.head(302, Location="file:///etc/passwd")

    def circle(self) -> None:
        self.head(302, Location="/circle")


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[type[Elsewhere]]:
    """The server, reached as `http://public.test:PORT`; its attribute `url`."""
    handler = type("Handler", (Elsewhere,), {"asked": [], "sent": 0, "over": threading.Event()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    handler.url = f"http://public.test:{server.server_port}"  # type: ignore[attr-defined]
    handler.loopback = f"http://127.0.0.1:{server.server_port}"  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    async def address(host: str) -> str:
        return "127.0.0.1" if host == "public.test" else await public_address(host.replace("private.test", "10.0.0.1"))

    monkeypatch.setattr(fetching, "public_address", address)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    yield handler
    handler.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


def run(asked: Any) -> Any:
    """In a thread of its own: the browser tests keep an event loop running in pytest's."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(asked)).result(timeout=120)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_picture_at_a_public_address_arrives_whole(elsewhere: Any, tmp_path: Path) -> None:
    for path in ("/picture/a%20cat.jpg?x=1", "/on"):
        stored = Path(run(fetch(elsewhere.url + path)))
        assert stored.read_bytes() == CHEETAH.read_bytes()
        assert stored.parent.parent == tmp_path
        # Named by its content, like an upload: who has the address only cannot tell where it lies.
        assert stored.parent.name == processing_utils.hash_bytes(CHEETAH.read_bytes())


def test_the_same_address_later_is_what_lies_there_then(elsewhere: Any) -> None:
    elsewhere.picture = Elsewhere.picture
    first = run(fetch(elsewhere.url + "/picture"))

    def another(self: Elsewhere) -> None:
        self.head(Content_Length=3)
        self.wfile.write(b"new")

    elsewhere.picture = another
    second = run(fetch(elsewhere.url + "/picture"))
    assert (Path(second).read_bytes(), first != second) == (b"new", True)


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/endless", "large"),
        ("/huge", "large"),
        ("/longer_than_it_is", "failed"),
        ("/nonsense", "failed"),
        ("/gone", "failed"),
        ("/circle", "failed"),
        ("/inside", "private"),
        ("/file", "private"),
    ],
)
def test_what_is_refused_has_a_sentence_and_leaves_nothing(elsewhere: Any, path: str, key: str, tmp_path: Path) -> None:
    with pytest.raises(FetchError) as refused:
        run(fetch(elsewhere.url + path, 3 * MB))
    assert refused.value.key == f"page.error.fetch.{key}"
    check_sentence(refused.value.sentence())
    assert "{" not in refused.value.sentence("zh")
    assert files(tmp_path) == []
    assert elsewhere.sent <= 40 * MB  # what lies in buffers on the way, not what it would have sent


def test_of_a_false_content_length_only_what_it_claims_is_taken(elsewhere: Any) -> None:
    assert Path(run(fetch(elsewhere.url + "/endless_small", 3 * MB))).stat().st_size == 10


@pytest.mark.parametrize("path", ["/silent", "/dripping"])
def test_what_does_not_arrive_in_time_is_given_up(
    elsewhere: Any, path: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(fetching, "SECONDS", 1.0)
    with pytest.raises(FetchError, match="within 1 seconds"):
        run(fetch(elsewhere.url + path))
    assert files(tmp_path) == []


def test_many_that_fetch_wait_and_more_are_told(elsewhere: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "SECONDS", 1.0)

    async def visit() -> list[object]:
        callers = [Caller(f"192.0.2.{number}") for number in range(30)]
        asked = (fetch(elsewhere.url + "/silent", caller=caller) for caller in callers)
        return await asyncio.gather(*asked, return_exceptions=True)

    answers = run(visit())
    assert sum(isinstance(each, Busy) for each in answers) == 30 - 20
    assert sum(isinstance(each, FetchError) for each in answers) == 20


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "0.0.0.0", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254"),
        *("100.64.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1"),
        *("::ffff:127.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "0x7f.1", "2130706433", "127.1"),
    ],
)
def test_private_addresses_are_refused_however_they_are_written(host: str) -> None:
    with pytest.raises(FetchError):
        run(public_address(host))


def test_a_public_address_is_taken_as_it_is() -> None:
    assert run(public_address("8.8.8.8")) == "8.8.8.8"
    assert run(public_address("2606:4700::1111")) == "2606:4700::1111"


def test_a_name_with_one_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def both(*_: object, **__: object) -> list[Any]:
        return [(2, 1, 6, "", (host, 0)) for host in ("8.8.8.8", "127.0.0.1")]

    async def visit() -> str:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", both)
        return await public_address("rebinding.test")

    with pytest.raises(FetchError):
        run(visit())


def given(url: str) -> dict[str, Any]:
    return {"path": url, "meta": {"_type": "gradio.FileData"}}


def test_every_component_that_takes_files_has_its_limit_and_others_fetch_nothing(
    elsewhere: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attn.ui.serving.MOST", MB)
    monkeypatch.setattr("attn.ui.serving.MOST_WEIGHTS", 2 * MB)
    with Page() as page:
        button, words = gr.Button(), gr.Textbox()
        button.click(lambda *_: None, [Photograph(type="filepath"), WeightsFile(), words], None, api_name="try")
    (event,) = [each for each in page.fns.values() if each.api_name == "try"]

    def send(*values: Any) -> list[Any]:
        return list(run(page.preprocess_data(event, list(values), None)))

    assert Path(send(given(elsewhere.url + "/picture"), None, "")[0]).read_bytes() == CHEETAH.read_bytes()
    for values, sentence in (
        ((given(elsewhere.url + "/endless"), None, ""), "larger than 1 MB"),
        ((None, given(elsewhere.url + "/endless"), ""), "larger than 2 MB"),
        ((given(elsewhere.loopback + "/picture"), None, ""), "must be a public one"),
        ((None, None, given(elsewhere.url + "/picture")), "cannot be read"),
        ((None, None, [given(elsewhere.url + "/picture")] * 1000), "cannot be read"),
        (([given(elsewhere.url + "/picture")], None, ""), "cannot be read"),
    ):
        before = len(elsewhere.asked)
        with pytest.raises(gr.Error, match=sentence):
            send(*values)
        assert len(elsewhere.asked) - before == ("/endless" in str(values))


def test_the_page_asks_no_private_address(app_url: str, elsewhere: Any) -> None:
    for url in (elsewhere.loopback + "/picture", elsewhere.url.replace("public.test", "localhost") + "/picture"):
        for arguments in ([given(url), *GOOD.values()], [None, *(GOOD | {"file": given(url)}).values()]):
            kind, answer = call(app_url, "query", [1, 2, *arguments])
            assert kind == "error", (url, answer)
            assert "must be a public one" in answer["error"]
    assert elsewhere.asked == []


def test_a_picture_brought_as_weights_is_not_larger_than_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    with path.open("wb") as file:
        file.truncate(MOST + 1)
    with pytest.raises(ControlError, match="65 MB; it may have 64 MB"):
        encoding_of(Controls(photograph=str(path)))


def test_a_data_address_from_mcp_is_whole_at_every_moment(tmp_path: Path) -> None:
    """Gradio's own writer leaves a file that is cut short for a second caller, or for good."""
    content = "data:image/png;base64,QUJD"
    path = Path(processing_utils.save_base64_to_cache(content, str(tmp_path)))
    assert path.read_bytes() == b"ABC"
    path.write_bytes(b"A")
    assert Path(processing_utils.save_base64_to_cache(content, str(tmp_path))).read_bytes() == b"ABC"
    assert [each.name for each in files(tmp_path)] == ["file.png"]
