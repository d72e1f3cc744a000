"""The page within a page of somebody else's, from another server: nothing of that page is touched."""

import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import gradio
import pytest

pytestmark = pytest.mark.browser

# What Gradio's content delivery network serves.
FRONTEND = Path(gradio.__file__).parent / "templates" / "frontend"
READY = "#explorer .attn-explorer[data-state=ready]"
PAGES = {
    "/element.html": """<!doctype html><html lang="fr"><title>Un cours</title>
<script type="module" src="gradio.js"></script>
<h1>Un cours</h1><p contenteditable>Notes</p><gradio-app src="{app}"></gradio-app></html>""",
    "/frame.html": """<!doctype html><html lang="fr"><title>Un cours</title>
<h1>Un cours</h1><iframe src="{app}/?embed=window" width="900" height="560"></iframe></html>""",
}
# A picture pasted where `selector` is: whether the page took it.
PASTE = """(selector) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File(['x'], 'pasted.png', { type: 'image/png' }));
  const paste = new ClipboardEvent('paste', { clipboardData: transfer, bubbles: true, cancelable: true });
  document.querySelector(selector).dispatchEvent(paste);
  return paste.defaultPrevented;
}"""


@pytest.fixture(scope="module")
def host_url(app_url: str) -> Iterator[str]:
    class Host(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            page = PAGES.get(self.path.partition("?")[0])
            if page is None:
                super().do_GET()
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(page.format(app=app_url).encode())

        def translate_path(self, path: str) -> str:
            return str(FRONTEND / path.partition("?")[0].lstrip("/"))

        def log_message(self, format: str, *arguments: Any) -> None:
            """Nothing: requests are not logged."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Host)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_as_an_element_it_leaves_the_page_around_alone(host_url: str, open_page: Callable[..., Any]) -> None:
    address = f"{host_url}/element.html?place=bench&lang=en"
    page = open_page(address)
    page.wait_for_selector(READY)
    page.wait_for_selector(".attn-channel-lane[data-state=ready]")
    page.wait_for_selector(".gradio-container[data-place=see]")  # the address is not for it
    page.evaluate("document.documentElement.lang = 'fr'")  # Gradio's own script has set it while it loaded
    canvas = page.locator("#explorer .ax-stage canvas")
    canvas.scroll_into_view_if_needed()
    canvas.click(position={"x": 40, "y": 40})
    page.locator(f"{READY}[data-pins='1']").wait_for()
    page.locator(".lane-mechanism").select_option("eca")
    page.locator("nav [data-place=reference]").click()
    page.get_by_role("button", name="简体中文").click()
    page.get_by_role("button", name="English").wait_for()
    page.evaluate("() => new Promise((done) => setTimeout(done, 400))")  # the view is told after a pause
    assert page.url == address
    assert page.evaluate("document.documentElement.lang") == "fr"
    assert page.title() == "Un cours"
    assert not page.evaluate(PASTE, "h1")
    assert page.evaluate(PASTE, "#attn-reference")


def test_in_a_frame_it_is_the_window_and_the_page_around_stays(host_url: str, open_page: Callable[..., Any]) -> None:
    page = open_page(f"{host_url}/frame.html")
    frame = page.frame_locator("iframe")
    frame.locator(READY).wait_for()
    frame.locator("#explorer .ax-stage canvas").click(position={"x": 40, "y": 40})
    frame.locator(f"{READY}[data-pins='1']").wait_for()
    page.evaluate("() => new Promise((done) => setTimeout(done, 400))")
    assert page.url == f"{host_url}/frame.html"
    assert frame.locator("html").evaluate("() => location.href").endswith("/?embed=window")
    assert page.evaluate("document.documentElement.lang") == "fr"
    assert not frame.locator(".attn-page-head").is_visible()
