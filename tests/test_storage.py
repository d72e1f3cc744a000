"""Files that are served are whole at every moment, however many ask for the same one at once."""

import json
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from gradio.media import get_image

from attn.ui.storage import store
from tests.conftest import PATIENCE_S
from tests.test_fuzz_api import call, file_data
from tests.test_isolation import upload_request

CHEETAH = get_image("cheetah.jpg")
DATA = bytes(range(256)) * 4096


def test_a_file_is_whole_while_it_is_stored_again(tmp_path: Path) -> None:
    path = Path(store(DATA, "a.bin", str(tmp_path)))
    short: list[int] = []
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            size = len(path.read_bytes())
            if size != len(DATA):
                short.append(size)

    reader = threading.Thread(target=read)
    reader.start()
    with ThreadPoolExecutor(4) as writers:
        paths = set(writers.map(lambda _: store(DATA, "a.bin", str(tmp_path)), range(200)))
    over.set()
    reader.join()
    assert paths == {str(path)}
    assert short == []
    assert [each.name for each in path.parent.iterdir()] == ["a.bin"]


def test_a_file_cut_short_is_mended_and_a_name_is_never_a_path(tmp_path: Path) -> None:
    path = Path(store(DATA, "../../a.bin", str(tmp_path)))
    assert path.parent.parent == tmp_path
    path.write_bytes(DATA[:9])
    assert Path(store(DATA, "a.bin", str(tmp_path))).read_bytes() == DATA


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("attn.ui.storage.Path.replace", full)
    with pytest.raises(OSError, match="No space"):
        store(DATA, "a.bin", str(tmp_path))
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == []


def test_eight_clients_with_one_photograph_get_eight_whole_answers(app_url: str) -> None:
    with urllib.request.urlopen(upload_request(app_url, Path(CHEETAH)), timeout=PATIENCE_S) as response:
        (path,) = json.load(response)
    # image, stem, stage, longest side, weights, position, seed, file, detail
    data = [file_data(path), "bundled", "layer3", 320, "similarity", True, 0, None, "coarse", ""]

    def ask(_: int) -> int:
        kind, answer = call(app_url, "inspect", data)
        assert kind == "complete", answer
        with urllib.request.urlopen(f"{app_url}/gradio_api/file={answer[1]['path']}", timeout=PATIENCE_S) as response:
            return len(response.read())

    with ThreadPoolExecutor(8) as clients:
        assert len(set(clients.map(ask, range(24)))) == 1
