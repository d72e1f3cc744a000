"""A photograph and the settings in one request: what comes back is what the page's own events would have shown."""

import base64
import io
import json
import struct
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from gradio.media import get_image
from PIL import Image

from attn.texts import text
from attn.ui.controls import CONTROLS, Controls
from attn.ui.photographs import PATH, packed
from attn.ui.wording import as_text

CHEETAH = Path(get_image("cheetah.jpg"))
EXPLORER, PHOTOGRAPH, BANNER = 0, 2, 3  # among the event's outputs


def asked(**changes: Any) -> dict[str, Any]:
    values = {name: getattr(Controls(), name) for name in CONTROLS} | changes
    return {"values": list(values.values()), "session": "a test"}


def send(url: str, data: bytes, name: str, form: object, timeout: float = 120) -> tuple[dict[str, Any], list[bytes]]:
    """The answer and its files."""
    mark = "attnattnattn"
    head = f'--{mark}\r\nContent-Disposition: form-data; name="asked"\r\n\r\n{json.dumps(form)}\r\n'
    head += f'--{mark}\r\nContent-Disposition: form-data; name="photograph"; filename="{name}"\r\n\r\n'
    body = head.encode() + data + f"\r\n--{mark}--\r\n".encode()
    kind = {"Content-Type": f"multipart/form-data; boundary={mark}"}
    with urllib.request.urlopen(urllib.request.Request(url + PATH, body, kind), timeout=timeout) as response:
        return unpacked(response.read())


def unpacked(body: bytes) -> tuple[dict[str, Any], list[bytes]]:
    (size,) = struct.unpack("<I", body[:4])
    answer, at, files = json.loads(body[4 : 4 + size]), 4 + size, []
    for file in answer["files"]:
        files.append(body[at : at + file["size"]])
        at += file["size"]
    assert at == len(body)
    return answer, files


def refused(url: str, form: object, name: str = "x.jpg") -> tuple[int, str]:
    with pytest.raises(urllib.error.HTTPError) as error:
        send(url, b"x", name, form)
    with error.value as response:
        return response.code, response.read().decode()


def test_packed_is_the_answer_and_then_the_files() -> None:
    value = {"url": "/a", "mime_type": "image/jpeg", "path": "/tmp/a"}
    answer, files = unpacked(packed({"data": [1, None]}, [(value, b"one"), ({**value, "url": "/b"}, b"")]))
    assert files == [b"one", b""]
    assert answer == {
        "data": [1, None],
        "files": [{"url": "/a", "size": 3, "type": "image/jpeg"}, {"url": "/b", "size": 0, "type": "image/jpeg"}],
    }


def test_the_map_comes_with_all_it_is_drawn_from(app_url: str) -> None:
    answer, files = send(app_url, CHEETAH.read_bytes(), "../../spots & stripes.jpg", asked(detail="coarse"))
    shown = answer["data"][EXPLORER]
    assert (shown["state"], shown["grid"]) == ("ready", [14, 20])
    by_url = dict(zip([file["url"] for file in answer["files"]], files, strict=True))
    assert shown["row"]["cell"] == [7, 10]
    assert len(base64.b64decode(shown["row"]["steps"])) == 2 * 14 * 20
    assert shown["arrays"] is None  # they follow
    with Image.open(io.BytesIO(by_url[shown["image"]["url"]])) as image:
        assert list(image.size) == shown["size"]
    assert answer["data"][BANNER] == {"value": "", "visible": False, "__type__": "update"}
    stored = Path(answer["photograph"]["path"])
    assert stored.read_bytes() == CHEETAH.read_bytes()
    assert (stored.name, len(stored.parent.name)) == ("spots & stripes.jpg", 64)


def test_what_cannot_be_read_or_is_not_chosen_is_a_sentence(app_url: str) -> None:
    answer, files = send(app_url, b"\xff\xd8\xff\xe0 no photograph", "bad.jpg", asked(language="zh"))
    assert files == []
    assert answer["data"][EXPLORER]["__type__"] == "update"
    assert "state" not in answer["data"][EXPLORER]
    assert answer["data"][BANNER]["visible"]
    assert "JPEG" in answer["data"][BANNER]["value"]
    answer, _ = send(app_url, CHEETAH.read_bytes(), "good.jpg", asked(weights="file"))
    assert "safetensors" in answer["data"][BANNER]["value"]


def test_a_picture_that_browsers_do_not_show_comes_as_the_server_read_it(app_url: str) -> None:
    scan = io.BytesIO()
    Image.effect_noise((320, 160), 60).convert("RGB").save(scan, "TIFF")
    answer, _ = send(app_url, scan.getvalue(), "scan.tif", asked())
    assert answer["data"][PHOTOGRAPH]["orig_name"] == "scan.png"


@pytest.mark.parametrize(
    "form", [{}, [], "x", None, {"values": 7}, {"values": []}, {"values": "thirteen text"}, {**asked(), "session": 5}]
)
def test_what_asks_for_something_else_is_refused(app_url: str, form: object) -> None:
    assert refused(app_url, form) == (400, "expected a photograph and what is asked of it")


def test_no_file_of_the_server_can_be_named(app_url: str) -> None:
    """The other files among the controls pass Gradio's own look at where they lie."""
    file = {"path": str(Path(__file__).resolve()), "meta": {"_type": "gradio.FileData"}}
    for name in ("file", "second"):
        code, said = refused(app_url, asked(**{name: file, "weights": "file"}))
        assert (code, said) == (500, as_text(text("en", "page.error.unread")))
