"""The command: the page's flags, and files of one photograph."""

import contextlib
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from gradio.media import get_image
from PIL import Image
from safetensors.torch import save_file

from attn import Inspector, __version__
from attn.command import main, parse_settings
from attn.figures.document import document
from attn.stems import STEMS
from tests.conftest import ROOT
from tests.corpus import block_tensors

CHEETAH = get_image("cheetah.jpg")


def test_flags_set_what_the_page_opens_with() -> None:
    settings, where = parse_settings(["--stage", "layer2", "--longest-side", "160", "--port", "7999"])
    assert (settings.stem, settings.stage, settings.longest_side) == ("bundled", "layer2", 160)
    assert (where.host, where.port) == (None, 7999)
    assert settings.queue
    assert not parse_settings(["--replica"])[0].queue
    assert "bundled" in STEMS


@pytest.mark.parametrize("flags", [["--stem", "vgg"], ["--stage", "layer9"], ["--longest-side", "5"], ["--port", "x"]])
def test_wrong_flags_are_refused_with_usage(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    for refused in (parse_settings, main):
        with pytest.raises(SystemExit):
            refused(flags)
        assert flags[0] in capsys.readouterr().err


def test_a_photograph_becomes_the_file_that_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("map.png", "numbers.csv", "arrays.npz"):
        output = tmp_path / name
        main([str(CHEETAH), "-o", str(output), "--longest-side", "128", "--weights", "similarity"])
        assert capsys.readouterr().out.strip() == str(output)
    expected = Inspector(weights="similarity").inspect(CHEETAH, longest_side=128)
    with contextlib.chdir(tmp_path):
        main([str(CHEETAH), "--longest-side", "128", "--weights", "similarity"])
    assert (tmp_path / "cheetah.html").read_text("utf-8") == document(expected, title="cheetah")
    with Image.open(tmp_path / "map.png") as figure:
        assert figure.width > figure.height
    assert len((tmp_path / "numbers.csv").read_text().splitlines()) == 1 + len(expected.queries)
    with zipfile.ZipFile(tmp_path / "arrays.npz") as archive:
        assert "README.txt" in archive.namelist()
    with np.load(tmp_path / "arrays.npz") as arrays:
        np.testing.assert_array_equal(arrays["image"], expected.image)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["no-such.jpg"], "no-such.jpg"),
        ([str(CHEETAH), "-o", "map.gif"], "expected an output of"),
        ([str(CHEETAH), "--weights", "file"], "choose a .safetensors file"),
        ([str(CHEETAH), "--port", "7999"], "--port is the page's"),
        (["--output", "map.png"], "--output needs a photograph"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    said = capsys.readouterr().err
    assert left.value.code in (1, 2)
    assert sentence in said
    assert "Traceback" not in said


def test_one_of_several_blocks_of_a_weights_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = tmp_path / "two.safetensors"
    save_file(block_tensors(256, "encoder.mid.attn_1.") | block_tensors(256, "decoder.mid.attn_1."), weights)
    output = tmp_path / "numbers.csv"
    flags = [str(CHEETAH), "-o", str(output), "--longest-side", "128", "--weights", "file", "--file", str(weights)]
    with pytest.raises(SystemExit):
        main(flags)
    assert "please choose one: decoder.mid.attn_1 (256), encoder.mid.attn_1 (256)." in capsys.readouterr().err
    main([*flags, "--file-block", "decoder.mid.attn_1"])
    assert output.exists()


def test_the_version_stands_once(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.strip() == __version__


def test_the_library_and_a_photographs_file_need_no_gradio() -> None:
    script = "import sys, attn, attn.command, attn.figures.export; sys.exit('gradio' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)


def test_the_page_starts_without_matplotlib_and_writes_nothing_beside_its_source() -> None:
    panel = ROOT / "attn" / "ui" / "panels" / "lane" / "panel.pyi"
    panel.unlink(missing_ok=True)  # Gradio's, of an older start
    script = "import sys, attn.ui.page; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)
    assert not panel.exists()


def test_a_panels_schema_is_made_once() -> None:
    from attn.ui.panels.lane.panel import ChannelLane

    lane = ChannelLane()
    assert lane.api_info() is lane.api_info()


@pytest.mark.parametrize(
    ("flags", "environment", "sentence"),
    [
        (["--port", "99999"], {}, "expected 1 to 65535, got 99999"),
        (["--port", "0"], {}, "expected 1 to 65535, got 0"),
        (["--port", "x"], {}, "expected 1 to 65535, got x"),
        (["--max-waiting", "0"], {}, "expected 1 to 300, got 0"),
        (["--host", "999.1.1.1"], {}, "cannot listen on 999.1.1.1 ("),
        (["--host", "192.0.2.1"], {}, "cannot listen on 192.0.2.1"),  # nobody's address
        ([], {"GRADIO_SERVER_PORT": "99999"}, "cannot listen on 127.0.0.1, port 99999"),
        ([], {"GRADIO_TEMP_DIR": "/proc/nobodys"}, "files cannot be stored in /proc/nobodys"),
    ],
)
def test_the_page_that_cannot_start_says_so_in_a_sentence(
    flags: list[str],
    environment: dict[str, str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for start in (parse_settings, main):
        with pytest.raises(SystemExit) as left:
            start(flags)
        assert left.value.code in (1, 2)
        assert sentence in capsys.readouterr().err


def test_a_port_asked_for_and_busy_is_not_silently_another(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = str(busy.getsockname()[1])
        with pytest.raises(SystemExit):
            parse_settings(["--port", port])
        assert f"cannot listen on 127.0.0.1, port {port}" in capsys.readouterr().err
        monkeypatch.setenv("GRADIO_SERVER_PORT", port)
        with pytest.raises(SystemExit):
            parse_settings([])


def test_an_old_python_is_told_so_before_anything_is_imported() -> None:
    script = "import runpy, sys; sys.version_info = (3, 10, 12); runpy.run_path('app.py')"
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 1
    assert ran.stderr.startswith("Python 3.11 or later is needed")
    assert len(ran.stderr.splitlines()) == 1
