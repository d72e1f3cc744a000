"""What a link to the page looks like where it is shared: its title, a sentence, its picture.

Gradio names itself there, in the HTML it serves; `head=` comes too late, it is put in by the browser, which those who
draw link previews do not run. What the page draws first is put in on the same way, see `attn.ui.ahead`.
"""

import html
import re
from pathlib import Path

from gradio.route_utils import get_root_url
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from attn.texts import LANGUAGES, text
from attn.ui.ahead import with_first_screen
from attn.ui.controls import known_language

PICTURE = Path(__file__).parent / "preview.jpg"
SIZE = (1200, 630)
PICTURE_PATH = "/gradio_api/attn/preview.jpg"
_GRADIOS = re.compile(r'<meta\s+(?:property|name)="(?:og|twitter):[^>]*>\s*')


def preview_tags(address: str, language: str = "en") -> str:
    """The tags that name the page at ``address`` (without a slash at its end), for its ``<head>``."""
    title, sentence = text(language, "page.preview.title"), text(language, "page.preview.description")
    tags = {
        "og:title": title,
        "og:description": sentence,
        "og:type": "website",
        "og:url": f"{address}/",
        "og:image": address + PICTURE_PATH,
        "og:image:width": SIZE[0],
        "og:image:height": SIZE[1],
        "og:image:alt": text(language, "page.preview.picture"),
        "twitter:card": "summary_large_image",
    }
    lines = [f'<meta name="description" content="{html.escape(sentence)}" />']
    lines += [f'<meta property="{name}" content="{html.escape(str(value))}" />' for name, value in tags.items()]
    return "\n".join(lines)


async def _picture(_: Request) -> Response:
    return FileResponse(PICTURE, headers={"Cache-Control": "public, max-age=86400"})


class PreviewTags:
    """ASGI middleware: the page's HTML goes out with `preview_tags` in place of Gradio's own, and its first screen."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Everything but the page's own HTML passes as it is."""
        if scope["type"] != "http" or scope["path"] not in ("/", f"{scope.get('root_path', '')}/"):
            await self.app(scope, receive, send)
            return
        held: list[Message] = []

        async def hold(message: Message) -> None:
            held.append(message)

        await self.app(scope, receive, hold)
        start, *parts = held
        body = b"".join(part.get("body", b"") for part in parts)
        if any(name == b"content-type" and value.startswith(b"text/html") for name, value in start["headers"]):
            body = self._named(body.decode("utf-8"), Request(scope)).encode("utf-8")
            kept = [pair for pair in start["headers"] if pair[0] != b"content-length"]
            start["headers"] = [*kept, (b"content-length", str(len(body)).encode())]
        await send(start)
        await send({"type": "http.response.body", "body": body})

    def _named(self, page: str, request: Request) -> str:
        language = known_language(request.headers.get("accept-language", "")[:2])
        address = get_root_url(request, "/", request.scope.get("root_path"))
        named = _GRADIOS.sub("", page).replace("</head>", f"{preview_tags(address, language)}\n</head>", 1)
        spoken = request.query_params.get("lang", language)[:2]
        return with_first_screen(named, address, spoken if spoken in LANGUAGES else language)


PREVIEW_TAGS = Middleware(PreviewTags)


def preview_routes() -> list[Route]:
    """Where the picture is served."""
    return [Route(PICTURE_PATH, _picture)]
