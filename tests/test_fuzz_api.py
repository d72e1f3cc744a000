"""Whatever a program sends to the endpoints ends in a right answer or one plain sentence, and the next one works."""

import json
import math
import re
import struct
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
import torch
from gradio.media import get_image
from gradio_client import handle_file
from gradio_client.exceptions import AppError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save_file

from attn.checkpoints import WeightsError, build_attention
from attn.mechanisms.spatial import AttnBlock
from attn.stems import STEMS
from attn.ui import endpoints
from tests.conftest import PATIENCE_S, client_of

CHEETAH = get_image("cheetah.jpg")
GOOD: dict[str, Any] = {
    "stem": "bundled",
    "stage": "layer3",
    "longest_side": 64,
    "weights": "similarity",
    "position": True,
    "seed": 0,
    "file": None,
    "detail": "coarse",
    "file_block": "",
}
GRID = (3, 4)  # the cheetah at 64 px
LONGEST_SENTENCE = 500
OUR_FILES = re.compile(r"Traceback|site-packages|endpoints\.py|controls\.py|\bline \d+")

numbers = st.one_of(
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0, 64, 80, 1024, math.nan, math.inf, -math.inf, 1e308, 0.5, True]),
)
oddities = st.one_of(
    st.none(),
    st.booleans(),
    numbers,
    st.text(max_size=30),
    st.sampled_from(["", "bundled", "layer2", "random", "trained", "x" * 100_000, "../../etc/passwd", "/etc/passwd"]),
    st.sampled_from(["${1+1}", "<script>alert(1)</script>", "{reason}", "%s%n", "\0", "\ud7ff", "🪟" * 50]),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
)
# No network is asked for: a torchvision stem would be downloaded.
not_a_network = oddities.filter(lambda value: value not in STEMS or value == "bundled")


def check_sentence(sentence: object) -> None:
    assert isinstance(sentence, str)
    assert sentence
    assert len(sentence) <= LONGEST_SENTENCE, sentence[:200]
    assert not OUR_FILES.search(sentence), sentence


def check_answer(answer: dict[str, Any], grid: tuple[int, int] | None = None) -> None:
    height, width = answer["grid"]
    assert grid is None or (height, width) == grid
    assert np.sum(answer["attention"]) == pytest.approx(1, abs=1e-4)
    assert np.shape(answer["attention"]) == (height, width)


def short(value: object) -> str:
    return repr(value)[:30]


# --- the functions behind the endpoints ---


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.dictionaries(st.sampled_from(["row", "column", *GOOD]), st.one_of(oddities, numbers), max_size=4))
def test_any_arguments_of_query_end_in_a_map_or_a_sentence(changes: dict[str, Any]) -> None:
    if changes.get("stem") in STEMS or changes.get("weights") in ("trained", "file"):
        changes = {**changes, "stem": "bundled", "weights": "random"}
    arguments = {"row": 1, "column": 2, "image": CHEETAH, **GOOD, **changes}
    try:
        answer, _ = endpoints.query(**arguments)
    except gr.Error as refused:
        check_sentence(refused.message)
    else:
        check_answer(answer)
    check_answer(endpoints.query(1, 2, CHEETAH, **GOOD)[0], GRID)


@pytest.mark.parametrize("name", ["row", "column", "longest_side", "seed"])
@pytest.mark.parametrize("value", [None, "3", "", math.nan, math.inf, -math.inf, -1, 0.5, True, [1], {"a": 1}])
def test_a_wrong_number_is_a_sentence(name: str, value: object) -> None:
    with pytest.raises(gr.Error) as refused:
        endpoints.query(**{"row": 1, "column": 2, "image": CHEETAH, **GOOD, name: value})
    check_sentence(refused.value.message)


def test_a_number_too_long_to_write_down_is_a_sentence() -> None:
    with pytest.raises(gr.Error) as refused:
        endpoints.query(1, 2, CHEETAH, **{**GOOD, "seed": 10**5000})
    check_sentence(refused.value.message)


@pytest.mark.parametrize("name", ["stem", "stage", "detail", "weights", "position"])
@pytest.mark.parametrize("value", [None, "", "x" * 10**6, 3, [], {}, math.nan, "false", "<b>"], ids=short)
def test_a_wrong_choice_is_a_sentence(name: str, value: object) -> None:
    with pytest.raises(gr.Error) as refused:
        endpoints.query(1, 2, CHEETAH, **{**GOOD, name: value})
    check_sentence(refused.value.message)


# --- weight files of strangers ---


def block_tensors(channels: int) -> dict[str, torch.Tensor]:
    return AttnBlock(channels, groups=1).state_dict()


def huge_header(path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 2 * 2**30) + b"{" + b" " * 1000)


def lying_offsets(path: Path) -> None:
    header = json.dumps({"q.weight": {"dtype": "F32", "shape": [256, 256], "data_offsets": [0, 2**40]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header)


def nan_inside(path: Path) -> None:
    tensors = block_tensors(256)
    tensors["v.bias"][3] = math.nan
    save_file(tensors, path)


BAD_WEIGHTS: dict[str, Callable[[Path], Any]] = {
    "empty": lambda path: path.write_bytes(b""),
    "seven bytes": lambda path: path.write_bytes(b"\1\0\0\0\0\0\0"),
    "text": lambda path: path.write_text("these are my weights"),
    "pickle renamed": lambda path: torch.save(block_tensors(256), path),
    "old pickle renamed": lambda path: torch.save(block_tensors(256), path, _use_new_zipfile_serialization=False),
    "2 GB header": huge_header,
    "offsets past the end": lying_offsets,
    "NaN": nan_inside,
    "wrong channels": lambda path: save_file(block_tensors(8), path),
    "wrong shape": lambda path: save_file({**block_tensors(256), "k.weight": torch.zeros(256, 3, 1, 1)}, path),
    "half of it": lambda path: save_file({"q.weight": torch.zeros(256, 256, 1, 1)}, path),
    "no tensors": lambda path: save_file({}, path),
    "cut short": lambda path: (save_file(block_tensors(256), path), path.write_bytes(path.read_bytes()[:-9])),
}


@pytest.mark.parametrize("kind", BAD_WEIGHTS)
def test_a_weights_file_that_cannot_be_used_is_a_sentence(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    BAD_WEIGHTS[kind](path)
    with pytest.raises(gr.Error) as refused:
        endpoints.query(1, 2, CHEETAH, **{**GOOD, "weights": "file", "file": str(path)})
    check_sentence(refused.value.message)
    assert str(tmp_path) not in refused.value.message


@settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.binary(max_size=200), claimed=st.one_of(st.integers(0, 300), st.integers(0, 2**64 - 1)))
def test_any_bytes_as_weights_are_a_sentence(tmp_path: Path, data: bytes, claimed: int) -> None:
    path = tmp_path / "mine.safetensors"
    path.write_bytes(struct.pack("<Q", claimed) + b"{" + data)
    with pytest.raises(WeightsError) as refused:
        build_attention(32, "file", stem="bundled", stage="layer3", file=path)
    check_sentence(str(refused.value))


# --- the same over HTTP, where Gradio reads the arguments first ---


def call(url: str, endpoint: str, data: object) -> tuple[str, Any]:
    """POST as curl would, NaN and Infinity included; ("complete", data) or ("error", what the client is told)."""
    body = json.dumps({"data": data}).encode()
    request = urllib.request.Request(
        f"{url}/gradio_api/call/{endpoint}", body, {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
            event = json.load(response)["event_id"]
    except urllib.error.HTTPError as refused:
        return ("refused" if refused.code < 500 else "failed"), refused.read().decode()
    with urllib.request.urlopen(f"{url}/gradio_api/call/{endpoint}/{event}", timeout=PATIENCE_S) as stream:
        kind = ""
        for line in stream.read().decode().splitlines():
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: ") and kind in ("complete", "error"):
                return kind, json.loads(line.removeprefix("data: "))
    raise AssertionError("the stream ended without an answer")


@pytest.fixture(scope="module")
def uploaded(app_url: str) -> str:
    """The cheetah's path on the server."""
    boundary = "attnattnattn"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="cheetah.jpg"\r\n\r\n'
    body = head.encode() + Path(CHEETAH).read_bytes() + f"\r\n--{boundary}--\r\n".encode()
    request = urllib.request.Request(
        f"{app_url}/gradio_api/upload", body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
        return str(json.load(response)[0])


def file_data(path: str) -> dict[str, Any]:
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def check_http(app_url: str, uploaded: str, data: list[Any]) -> None:
    kind, answer = call(app_url, "query", data)
    if kind == "complete":
        check_answer(answer[0])
    elif kind == "error":
        check_sentence((answer or {}).get("error"))
    else:
        assert kind == "refused"
    kind, answer = call(app_url, "query", [1, 2, file_data(uploaded), *GOOD.values()])
    assert kind == "complete"
    check_answer(answer[0], GRID)


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.integers(0, 9), st.one_of(oddities, numbers), min_size=1, max_size=3))
def test_any_json_ends_in_a_map_or_a_sentence(app_url: str, uploaded: str, changes: dict[int, Any]) -> None:
    if changes.get(3) in STEMS:
        changes[3] = "bundled"
    data = [1, 2, file_data(uploaded), *GOOD.values()]
    for place, value in changes.items():
        data[place] = value
    check_http(app_url, uploaded, data)


@pytest.mark.parametrize(
    "data", [[], [1], [1, 2, None], [None] * 12, [1] * 30], ids=lambda data: f"{len(data)} arguments"
)
def test_a_wrong_number_of_arguments_is_a_sentence(app_url: str, uploaded: str, data: list[Any]) -> None:
    check_http(app_url, uploaded, data)
    assert call(app_url, "query", data)[0] != "complete"


PATHS = [
    "/etc/passwd",
    "../../../../etc/passwd",
    "app.py",
    "attn/ui/page.py",
    "assets/weights/stem.safetensors",
    ".git/config",
    "/proc/self/environ",
    "\0",
    "",
    "x" * 5000,
    "http://127.0.0.1:1/picture.jpg",
    "http://169.254.169.254/latest/meta-data",
    "file:///etc/passwd",
    "${process.env}",
]


@pytest.mark.parametrize("path", PATHS, ids=short)
@pytest.mark.parametrize("place", [2, 9], ids=["image", "file"])
def test_no_path_reaches_the_file_system(app_url: str, uploaded: str, path: str, place: int) -> None:
    for value in (file_data(path), {**file_data(uploaded), "path": path}, {**file_data(path), "url": path}, path):
        data = [1, 2, file_data(uploaded), *GOOD.values()]
        data[6], data[place] = "file" if place == 9 else data[6], value
        kind, answer = call(app_url, "query", data)
        assert kind == "error", (value, answer)
        check_sentence((answer or {}).get("error"))
        assert "root:" not in answer["error"]


@pytest.mark.parametrize("path", [*PATHS[:7], "%2e%2e/%2e%2e/etc/passwd", "..%2fapp.py"])
def test_no_file_of_the_server_can_be_fetched(app_url: str, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{app_url}/gradio_api/file={urllib.parse.quote(path, safe='/%')}", timeout=PATIENCE_S)
    assert refused.value.code in (400, 403, 404)
    refused.value.close()


@pytest.mark.parametrize(
    "payload", ["data:image/png;base64,AAAA", "data:,", "data:image/svg+xml,<svg/>", "data:image/png;base64,%%%"]
)
def test_a_data_address_that_is_no_picture_is_a_sentence(app_url: str, uploaded: str, payload: str) -> None:
    check_http(app_url, uploaded, [1, 2, {"url": payload, "meta": {"_type": "gradio.FileData"}}, *GOOD.values()])


def test_a_name_is_never_a_path(app_url: str, tmp_path: Path) -> None:
    boundary = "attnattnattn"
    for name in (
        "../../../evil.jpg",
        "/etc/evil.jpg",
        "a/b/c.jpg",
        "C:\\\\evil.jpg",
        "${1}.jpg",
        "\\u0000.jpg",
        "x" * 3000,
    ):
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
        body = head.encode() + Path(CHEETAH).read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        request = urllib.request.Request(
            f"{app_url}/gradio_api/upload", body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
            (path,) = json.load(response)
        assert ".." not in path
        assert re.fullmatch(r"[0-9a-f]{64}", Path(path).parent.name)
        kind, answer = call(app_url, "query", [1, 2, file_data(path), *GOOD.values()])
        assert kind == "complete", (name, answer)


def test_a_real_client_gets_the_sentence_and_goes_on(app_url: str, tmp_path: Path) -> None:
    client = client_of(app_url)
    Image.new("RGB", (64, 48), "teal").save(tmp_path / "teal.png")
    nan_inside(tmp_path / "mine.safetensors")
    weights = handle_file(tmp_path / "mine.safetensors")
    picture = handle_file(tmp_path / "teal.png")
    with pytest.raises(AppError, match="NaN"):
        client.predict(1, 2, picture, longest_side=64, weights="file", file=weights, api_name="/query")
    (tmp_path / "pickle.safetensors").write_bytes(b"\x80\x04cos\nsystem\n(S'true'\ntR.")
    weights = handle_file(tmp_path / "pickle.safetensors")
    with pytest.raises(AppError, match="not a safetensors file"):
        client.predict(1, 2, picture, longest_side=64, weights="file", file=weights, api_name="/query")
    answer, _ = client.predict(1, 2, picture, longest_side=64, weights="similarity", detail="coarse", api_name="/query")
    check_answer(answer, GRID)
