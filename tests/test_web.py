"""The browser half: its modules under Node, how they are served, and how arrays reach them."""

import gzip
import json
import re
import shutil
import subprocess
import threading
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from safetensors.numpy import load
from starlette.applications import Starlette
from starlette.testclient import TestClient

from attn.figures.colour_tables import COLOUR_MAPS, MODULE, colour_tables_module
from attn.ui import modules
from attn.ui.component import cached_file, component_files, pack_arrays

TESTS = Path(__file__).parent / "js"


@pytest.fixture(scope="module")
def node_output() -> str:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node.js: the modules are not tested here")
    tests = sorted(TESTS.glob("*.test.mjs"))
    done = subprocess.run(
        [node, "--test", "--test-reporter=tap", *tests], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_modules_under_node(node_output: str) -> None:
    assert re.search(r"^# fail 0$", node_output, re.MULTILINE)


@pytest.mark.parametrize(("name", "theirs"), [*COLOUR_MAPS.items(), ("grey", "gray")])
def test_colour_maps_are_matplotlibs_exactly(node_output: str, name: str, theirs: str) -> None:
    found = re.search(r"colormaps (\{.*\})", node_output)
    assert found
    ours = np.array(json.loads(found[1])[name]).reshape(256, 3)
    np.testing.assert_array_equal(ours, matplotlib.colormaps[theirs](np.arange(256), bytes=True)[:, :3])


def test_the_colour_tables_are_as_python_writes_them_and_small() -> None:
    assert MODULE.read_text(encoding="utf-8") == colour_tables_module()
    assert len(colour_tables_module()) < 4000


# --- how they are served


@pytest.fixture
def client() -> TestClient:
    return TestClient(Starlette(routes=modules.module_routes()))


def test_a_module_is_kept_for_a_year_under_its_version(client: TestClient) -> None:
    answer = client.get(f"/gradio_api/attn/{modules.version()}/ui/web/numbers.js")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.content == modules.served_files()["ui/web/numbers.js"]


def test_another_version_is_answered_and_not_kept(client: TestClient) -> None:
    answer = client.get("/gradio_api/attn/0000/ui/web/numbers.js")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")


@pytest.mark.parametrize(
    "name",
    [
        "ui/page.py", "ui/web/figure.css", "../app.py", "ui/web/../../bundled.py", "%2e%2e/app.py",
        "ui/web/%2e%2e/page.py", "/etc/passwd", "texts/en/", "texts/__init__.py", "",
    ],
)  # fmt: skip
def test_nothing_else_is_served(client: TestClient, name: str) -> None:
    assert client.get(f"/gradio_api/attn/{modules.version()}/{name}").status_code == 404


def test_the_version_changes_with_any_file(monkeypatch: pytest.MonkeyPatch) -> None:
    before = modules.version()
    files = dict(modules.served_files())
    files["ui/web/cell.js"] += b" "
    monkeypatch.setattr(modules, "served_files", lambda: files)
    assert modules.version.__wrapped__() != before


def test_imports_are_followed_and_exist() -> None:
    for name in modules.served_files():
        if name.endswith(".js"):
            assert set(modules.imports(name)) <= modules.served_files().keys(), name
    assert "ui/web/texts.js" in modules.imports("ui/panels/explorer/index.js")


def test_an_event_waits_for_its_module() -> None:
    script = modules.call("ui/web/texts.js", "module.language()")
    assert script.startswith("async () =>")
    assert modules.version() in script
    with pytest.raises(ValueError, match=r"served modules, got 'ui/web/nothing\.js'"):
        modules.call("ui/web/nothing.js", "1")


def test_no_module_needs_gradio_or_an_address() -> None:
    for name, content in modules.served_files().items():
        if name.endswith(".js"):
            assert not re.search(
                rb"gradio_config|gradio_api|https?://(?!huggingface\.co/docs|www\.w3\.org)", content
            ), name


def test_no_module_is_a_house_of_its_own() -> None:
    longest = {
        name: content.count(b"\n") for name, content in modules.served_files().items() if name.startswith("ui/web/")
    }
    assert max(longest.values()) <= 400


def test_the_glue_names_events_in_quotes() -> None:
    script = component_files("explorer", ["export"])["js_on_load"]
    assert '"export"' in script
    assert "export" not in script.replace('"export"', "")


# --- how arrays reach them


def test_arrays_are_packed_as_safetensors() -> None:
    arrays = {"steps": np.arange(3, dtype=np.uint16), "scale": np.array([[0.5, -2]], np.float32).T[:, ::-1]}
    read = load(gzip.decompress(pack_arrays(arrays)))
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)
    with pytest.raises(ValueError, match="got float64"):
        pack_arrays({"wrong": np.zeros(2)})


def test_the_same_arrays_are_the_same_bytes() -> None:
    arrays = {"codes": np.arange(99, dtype=np.uint8)}
    assert pack_arrays(arrays, level=0) == pack_arrays(dict(arrays), level=0)
    assert len(pack_arrays(arrays, level=0)) > len(arrays["codes"])


def test_a_file_is_whole_whoever_reads_it_meanwhile(tmp_path: Path) -> None:
    """The same content written again and again while others read it: no read comes short."""
    data = np.random.default_rng(0).bytes(300_000)
    path = Path(cached_file(data, "logits.safetensors.gz", str(tmp_path), "application/gzip").path)
    inode = path.stat().st_ino
    done = threading.Event()
    short: list[int] = []

    def read() -> None:
        while not done.is_set():
            if len(content := path.read_bytes()) != len(data):
                short.append(len(content))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for _ in range(200):
        cached_file(data, "logits.safetensors.gz", str(tmp_path), "application/gzip")
    done.set()
    for reader in readers:
        reader.join()
    assert short == []
    assert path.stat().st_ino == inode
    assert [each.name for each in path.parent.iterdir()] == [path.name]
