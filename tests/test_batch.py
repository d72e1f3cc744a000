"""A folder of pictures to Parquet: the inspector's numbers, resumed where it stopped, whatever lies among them."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attn import Inspector, batch
from tests.conftest import ROOT

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed (requirements-batch.txt)"
)
OPTIONS = {"stem": "bundled", "stage": "layer3", "detail": "coarse", "weights": "similarity", "seed": 0}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    (folder / "deeper").mkdir(parents=True)
    for number in range(5):
        noise = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(noise.repeat(16, axis=0).repeat(16, axis=1)).save(folder / "deeper" / f"{number}.PNG")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    (folder / "notes.txt").write_text("not asked for")
    return folder


def command(folder: Path, out: Path, *flags: str) -> list[str]:
    return [
        *(sys.executable, "-m", "attn.batch", str(folder), str(out)),
        *("--detail", "coarse", "--longest-side", "64", "--weights", "similarity", "--workers", "1", *flags),
    ]


def test_pictures_are_found_by_suffix_in_any_depth(folder: Path) -> None:
    assert batch.pictures(folder) == ["broken.jpg", *(f"deeper/{number}.PNG" for number in range(5))]


def test_a_row_has_the_numbers_of_the_inspector(folder: Path) -> None:
    inspection = Inspector(**OPTIONS).inspect(folder / "deeper" / "3.PNG", 64)
    row = batch.row_of(inspection)
    assert (row["height"], row["width"], row["rows"], row["columns"]) == (48, 64, 3, 4)
    assert row["perplexity"] == np.median(inspection.query_metrics.perplexity)
    assert row["xca_relative_change"] == inspection.mechanisms["xca"].change


def test_a_worker_takes_batches_and_a_bad_file_is_a_sentence(folder: Path) -> None:
    columns = batch.Measure(str(folder), 64, OPTIONS)({"path": ["deeper/1.PNG", "broken.jpg"]})
    assert all(len(values) == 2 for values in columns.values())
    assert columns["error"][0] == ""
    assert "picture" in columns["error"][1]
    assert np.isfinite(columns["entropy"][0])
    assert np.isnan(columns["entropy"][1])


def test_without_ray_the_command_says_what_to_install(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "ray.py").write_text("raise ModuleNotFoundError('No module named ray', name='ray')")
    ran = subprocess.run(
        command(folder, tmp_path / "out"),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 1
    assert ran.stderr == "ray is missing: pip install -r requirements-batch.txt\n"


@needs_ray
def test_a_folder_becomes_parquet_and_a_second_run_adds_what_is_new(folder: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    out = tmp_path / "out"
    first = subprocess.run(command(folder, out), cwd=ROOT, capture_output=True, text=True, check=True)
    assert first.stdout.splitlines()[-1] == f"6 photographs measured; 6 in {out}"
    table = parquet.read_table(out).to_pandas().set_index("path")
    expected = batch.row_of(Inspector(**OPTIONS).inspect(folder / "deeper" / "2.PNG", 64))
    assert table.loc["deeper/2.PNG", "perplexity"] == pytest.approx(expected["perplexity"], rel=1e-4)
    assert "picture" in table.loc["broken.jpg", "error"]
    (out / "half.parquet").write_bytes(b"PAR1 and then the power went")
    Image.new("RGB", (64, 48), "teal").save(folder / "new.png")
    second = subprocess.run(command(folder, out), cwd=ROOT, capture_output=True, text=True, check=True)
    assert second.stdout.splitlines()[-1] == f"1 photographs measured; 7 in {out}"
    assert parquet.read_table(out).num_rows == 7


@needs_ray
def test_a_worker_killed_on_the_way_costs_nothing(folder: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    for number in range(60):
        Image.new("RGB", (64, 48), (number, 0, 0)).save(folder / f"{number}.png")
    out = tmp_path / "out"
    running = subprocess.Popen(
        command(folder, out), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 240
    while not (workers := workers_of(running.pid)):
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.kill(workers[0], signal.SIGKILL)
    output, errors = running.communicate(timeout=300)
    assert running.returncode == 0, errors[-2000:]
    assert output.splitlines()[-1] == f"66 photographs measured; 66 in {out}"
    assert sorted(parquet.read_table(out)["path"].to_pylist()) == batch.pictures(folder)


def workers_of(parent: int) -> list[int]:
    """The measuring workers below ``parent``: Ray names its processes after what they run."""
    lines = subprocess.run(
        ["ps", "-ww", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    below, found = {parent}, []
    for line in sorted(lines[1:], key=lambda line: int(line.split()[0])):
        pid, above, name = line.split(None, 2)
        if int(above) in below:
            below.add(int(pid))
            if "ray::" in name and "Measure" in name:
                found.append(int(pid))
    return found
