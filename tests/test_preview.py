"""What others see of a link to the page."""

import io
import re
import urllib.request

import pytest
from PIL import Image

from attn.texts import text
from attn.ui.ahead import with_first_screen
from attn.ui.preview import PICTURE, SIZE, preview_tags
from tests.conftest import PATIENCE_S


def tags(page: str) -> list[tuple[str, str]]:
    return re.findall(r'<meta\s+(?:property|name)="((?:og|twitter):[^"]*)"\s+content="([^"]*)"', page)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_is_named_and_gradio_is_not(app_url: str, language: str) -> None:
    asked = urllib.request.Request(app_url, headers={"Accept-Language": language})
    with urllib.request.urlopen(asked, timeout=PATIENCE_S) as answer:
        found = tags(answer.read().decode())
    named = dict(found)
    assert len(found) == len(named)
    assert named["og:title"] == text(language, "page.preview.title")
    assert named["og:description"] == text(language, "page.preview.description")
    assert named["og:url"] == f"{app_url}/"
    assert named["og:image"].startswith(app_url)
    assert not any("radio" in value for name, value in found if "image" not in name)
    with urllib.request.urlopen(named["og:image"], timeout=PATIENCE_S) as answer:
        assert answer.headers["content-type"] == "image/jpeg"
        picture = Image.open(io.BytesIO(answer.read()))
    assert picture.size == SIZE == (int(named["og:image:width"]), int(named["og:image:height"]))


def test_behind_a_proxy_the_address_is_the_visitors(app_url: str) -> None:
    asked = urllib.request.Request(
        app_url, headers={"X-Forwarded-Host": "window.example", "X-Forwarded-Proto": "https"}
    )
    with urllib.request.urlopen(asked, timeout=PATIENCE_S) as answer:
        named = dict(tags(answer.read().decode()))
    assert named["og:image"].startswith("https://window.example/")


def test_an_address_is_text_in_the_tags() -> None:
    address = 'http://a"><script>'
    assert '"><script>' not in preview_tags(address)
    page = '<html><head><meta charset="utf-8" /></head><body></body></html>'
    head = with_first_screen(page, address, "en").partition("</head>")[0]
    assert "modulepreload" in head
    assert '"><script>' not in head


def test_the_picture_is_small() -> None:
    assert PICTURE.stat().st_size < 200e3
