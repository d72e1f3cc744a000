"""The wheel: everything a person needs is inside, and it works from another folder."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from gradio.media import get_image

import attn
from attn.bundled import MANIFEST, WEIGHTS_DIR
from tests.conftest import ROOT

SCRIPT = """
import json, sys, attn, attn.bundled
inspection = attn.Inspector().inspect(sys.argv[1], longest_side=64)
print(json.dumps([attn.__file__, str(attn.bundled.WEIGHTS_DIR), inspection.mechanisms["spatial"].source.source]))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    options = ["-q", "--no-deps", "--no-build-isolation", "-w", folder]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, ROOT], check=True)
    (path,) = folder.glob("*.whl")
    return path


def test_every_file_of_the_package_and_the_weights_are_inside(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    code = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "attn").rglob("*")
        if path.is_file() and path.suffix not in (".pyc", ".pyi")
    }
    weights = {f"attn/_weights/{path.name}" for path in WEIGHTS_DIR.iterdir()}
    assert packed == code | weights
    assert set(json.loads((WEIGHTS_DIR / MANIFEST).read_text())) < {path.name for path in WEIGHTS_DIR.iterdir()}


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (about,) = (name for name in archive.namelist() if name.endswith("dist-info/METADATA"))
        said = archive.read(about).decode()
        commands = archive.read(about.replace("METADATA", "entry_points.txt")).decode()
    header = said.split("\n\n")[0].splitlines()
    assert f"Version: {attn.__version__}" in header
    assert "License-Expression: Apache-2.0" in header
    assert {"Provides-Extra: batch", "Provides-Extra: mcp", "Provides-Extra: dev"} <= set(header)
    assert "attention-window = attn.command:main" in commands


def test_the_version_is_the_same_everywhere() -> None:
    assert f"\nversion: {attn.__version__}\n" in (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\n## {attn.__version__}\n" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_it_inspects_from_another_folder(wheel: Path, tmp_path: Path) -> None:
    installed = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, get_image("cheetah.jpg")],
        cwd=elsewhere,
        env={**os.environ, "PYTHONPATH": str(installed)},
        stdout=subprocess.PIPE,
        check=True,
    )
    code, weights, source = json.loads(done.stdout)
    assert Path(code).is_relative_to(installed)
    assert Path(weights) == installed / "attn" / "_weights"
    assert source == "tuned"
