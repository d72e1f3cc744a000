"""A folder of pictures to Parquet: the inspector's numbers, resumed where it stopped, whatever lies among them."""

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from attn import Inspector, batch, images
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


def test_what_had_to_be_guessed_stands_beside_the_numbers(folder: Path) -> None:
    Image.fromarray(np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)).save(folder / "deep.tif")
    columns = batch.Measure(str(folder), 64, OPTIONS)({"path": ["deep.tif", "deeper/1.PNG"]})
    assert "0 is shown as black and 4095 as white" in columns["notice"][0]
    assert columns["notice"][1] == ""


def test_every_format_the_library_reads_is_found(tmp_path: Path) -> None:
    for suffix in images.SUFFIXES:
        (tmp_path / f"a{suffix.upper()}").touch()
    assert len(batch.pictures(tmp_path)) == len(images.SUFFIXES)
    read = {suffix for suffix, format in Image.registered_extensions().items() if format in (*images.FORMATS, "MPO")}
    assert read - {".apng"} <= set(images.SUFFIXES)


@pytest.mark.parametrize(
    "name", [b"caf\xe9.jpg", "café.jpg".encode(), rb"caf\xe9.jpg", b"a\\b.jpg", b"\xff\\x\xfe\n.jpg"]
)
def test_any_file_name_is_text_and_comes_back(name: bytes) -> None:
    path = os.fsdecode(name)
    text = batch.path_text(path)
    assert text.encode("utf-8").decode("utf-8") == text
    assert batch.text_path(text) == path


def test_no_two_names_are_the_same_text() -> None:
    names = [os.fsdecode(name) for name in (b"caf\xe9.jpg", rb"caf\xe9.jpg", b"caf\\\xe9.jpg", "café.jpg".encode())]
    assert len({batch.path_text(name) for name in names}) == len(names)


@needs_ray
class TestFilesInOut:
    """Only what is ours is read, counted, replaced or removed."""

    SETTINGS: ClassVar = {"longest_side": 64, "weights": "trained"}

    @pytest.fixture
    def out(self, tmp_path: Path) -> Path:
        import pyarrow
        import pyarrow.parquet as parquet

        out = tmp_path / "out"
        out.mkdir()
        parquet.write_table(pyarrow.table({"my_labels": [1, 2, 3]}), out / "labels.parquet")
        parquet.write_table(
            pyarrow.table({"path": ["z.jpg"], "bytes": [1], "modified_ns": [1]}), out / "attn-z.parquet"
        )
        (out / "attn-half.parquet").write_bytes(b"PAR1 and then the power went")
        (out / "notes.txt").write_text("mine")
        return out

    @staticmethod
    def columns(*paths: str) -> dict[str, Any]:
        return {
            "path": list(paths),
            "bytes": [7] * len(paths),
            "modified_ns": [9] * len(paths),
            "error": [""] * len(paths),
        }

    def test_other_files_are_neither_counted_nor_touched(self, out: Path) -> None:
        before = {path.name: path.read_bytes() for path in out.iterdir()}
        assert batch.done(out) == set()
        batch.check_settings(out, self.SETTINGS)
        batch.forget(out, {"z.jpg"})
        assert {path.name: path.read_bytes() for path in out.iterdir()} == before

    def test_ours_are_counted_and_the_same_photographs_have_one_file(self, out: Path) -> None:
        batch.write(out, self.columns("a.jpg", "b.jpg"), self.SETTINGS)
        batch.write(out, self.columns("a.jpg", "b.jpg"), self.SETTINGS)
        assert batch.done(out) == {"a.jpg", "b.jpg"}
        assert len(batch.results(out)) == 1
        assert list(out.glob(".attn-*")) == []

    def test_a_photograph_is_forgotten_alone(self, out: Path) -> None:
        batch.write(out, self.columns("a.jpg", "b.jpg"), self.SETTINGS)
        batch.write(out, self.columns("c.jpg"), self.SETTINGS)
        batch.forget(out, {"b.jpg", "c.jpg"})
        assert batch.done(out) == {"a.jpg"}
        assert [settings for settings, _ in batch.results(out).values()] == [self.SETTINGS]

    def test_other_settings_are_refused_in_one_sentence(self, out: Path) -> None:
        batch.write(out, self.columns("a.jpg"), self.SETTINGS)
        batch.check_settings(out, self.SETTINGS)
        with pytest.raises(ValueError, match=r"other settings \(longest_side 64, not 160\): choose another folder\.$"):
            batch.check_settings(out, {**self.SETTINGS, "longest_side": 160})

    def test_what_a_killed_run_left_is_removed_when_it_is_old(self, out: Path) -> None:
        old, young = out / ".attn-old.part", out / ".attn-young.part"
        for part in (old, young):
            part.touch()
        os.utime(old, (1, 1))
        batch.forget(out, set())
        assert not old.exists()
        assert young.exists()


@needs_ray
class TestCheck:
    """Everything is tried before the first photograph is measured, and before anything is written."""

    def test_what_is_missing(self, folder: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        missing = batch.check(folder, out, 64, OPTIONS)
        assert missing == [batch.path_text(path) for path in batch.pictures(folder)]
        columns = batch.Measure(batch.path_text(str(folder)), 64, OPTIONS)({"path": missing[:3]})
        batch.write(out, columns, batch.settings_of(folder, 64, OPTIONS))
        assert batch.check(folder, out, 64, OPTIONS) == missing[3:]

    def test_a_photograph_that_has_changed_is_measured_anew(self, folder: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        missing = batch.check(folder, out, 64, OPTIONS)
        columns = batch.Measure(batch.path_text(str(folder)), 64, OPTIONS)({"path": missing})
        batch.write(out, columns, batch.settings_of(folder, 64, OPTIONS))
        Image.new("RGB", (64, 48), "teal").save(folder / "deeper" / "2.PNG")
        assert batch.check(folder, out, 64, OPTIONS) == ["deeper/2.PNG"]
        assert batch.done(out) == set(missing) - {"deeper/2.PNG"}

    @pytest.mark.parametrize(
        ("change", "part"),
        [
            ({"stage": "layer4"}, "expected stage of bundled"),
            ({"stage": "layer1", "weights": "trained"}, "no trained weights"),
            ({"longest_side": 8}, "at least 16 px, got 8"),
            ({"longest_side": 100_000}, "above the limit"),
        ],
    )
    def test_settings_that_do_not_go_together(
        self, folder: Path, tmp_path: Path, change: dict[str, Any], part: str
    ) -> None:
        options = {**OPTIONS, **change}
        side = options.pop("longest_side", 64)
        with pytest.raises((ValueError, RuntimeError), match=part):
            batch.check(folder, tmp_path / "out", side, options)
        assert not (tmp_path / "out").exists()

    def test_folders_that_do_not_fit(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        with pytest.raises(ValueError, match="there is none at"):
            batch.check(tmp_path / "absent", tmp_path / "out", 64, OPTIONS)
        with pytest.raises(ValueError, match="found none"):
            batch.check(tmp_path / "empty", tmp_path / "out", 64, OPTIONS)
        with pytest.raises(OSError, match="exists"):
            batch.check(folder, folder / "notes.txt", 64, OPTIONS)

    def test_the_command_says_it_in_one_line(
        self, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for flags in (["--stage", "layer1"], ["--longest-side", "3"]):
            assert batch.main([str(folder), str(tmp_path / "out"), *flags]) == 1
            assert len(capsys.readouterr().err.splitlines()) == 1
        assert batch.main([str(folder), str(folder / "notes.txt")]) == 1
        assert "notes.txt" in capsys.readouterr().err


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
    odd = folder / os.fsdecode(b"caf\xe9.png")
    Image.new("RGB", (64, 48), "teal").save(odd, "PNG")
    Image.new("RGB", (64, 48), "teal").save(folder / "also.avif")
    out = tmp_path / "out"
    first = subprocess.run(command(folder, out), cwd=ROOT, capture_output=True, text=True, check=True)
    assert first.stdout.splitlines()[-2:] == [
        "1 could not be used: the column error says why",
        f"8 photographs measured; 8 in {out}",
    ]
    whole = parquet.read_table(out)
    assert str(whole.schema.field("path").type) == "string"
    assert json.loads(whole.schema.metadata[b"attn.batch"])["longest_side"] == 64
    table = whole.to_pandas().set_index("path")
    expected = batch.row_of(Inspector(**OPTIONS).inspect(folder / "deeper" / "2.PNG", 64))
    assert table.loc["deeper/2.PNG", "perplexity"] == pytest.approx(expected["perplexity"], rel=1e-4)
    assert "picture" in table.loc["broken.jpg", "error"]
    for name in (r"caf\xe9.png", "also.avif"):
        assert 0 < table.loc[name, "entropy"] < 1
    Image.new("RGB", (64, 48), "teal").save(folder / "new.png")
    second = subprocess.run(command(folder, out), cwd=ROOT, capture_output=True, text=True, check=True)
    assert second.stdout.splitlines()[-1] == f"1 photographs measured; 9 in {out}"
    assert parquet.read_table(out).num_rows == 9
    other = subprocess.run(command(folder, out, "--longest-side", "80"), cwd=ROOT, capture_output=True, text=True)
    assert other.returncode == 1
    assert len(other.stderr.splitlines()) == 1
    assert "longest_side 64, not 80" in other.stderr
    assert parquet.read_table(out).num_rows == 9


@needs_ray
def test_a_cluster_that_died_is_not_asked_for(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as short:  # the paths of sockets are
        known = Path(short) / "ray" / "ray_current_cluster"
        known.parent.mkdir()
        known.write_text("127.0.0.1:9")  # where Ray notes the last one started here
        ran = subprocess.run(
            command(folder, tmp_path / "out"),
            cwd=ROOT,
            env={**os.environ, "RAY_TMPDIR": short},
            capture_output=True,
            text=True,
        )
        assert ran.returncode == 0, ran.stderr
    assert list((tmp_path / "out").glob("*.parquet"))


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


@needs_ray
def test_a_machine_of_a_cluster_killed_on_the_way_costs_nothing(folder: Path, tmp_path: Path) -> None:
    """Two Ray nodes with a processor each, on this machine; the second is killed while it measures."""
    parquet = pytest.importorskip("pyarrow.parquet")
    from ray.cluster_utils import Cluster

    for number in range(200):
        Image.new("RGB", (64, 48), (number, 0, 0)).save(folder / f"{number}.png")
    out = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_raylet_start_wait_time_s", "300")
        cluster = Cluster()
        try:
            patient(cluster.add_node, num_cpus=1, include_dashboard=False)
            second = patient(cluster.add_node, num_cpus=1)
            cluster.wait_for_nodes(timeout=240)
            running = subprocess.Popen(
                command(folder, out),
                cwd=ROOT,
                env={**os.environ, "RAY_ADDRESS": cluster.address},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            node = second.all_processes["raylet"][0].process.pid
            deadline = time.monotonic() + 480
            while not workers_of(node) or not list(out.glob("attn-*.parquet")):
                assert running.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
            at_the_kill = len(batch.done(out))  # before: the first goes on while the second is being removed
            cluster.remove_node(second, allow_graceful=False)
            output, _ = running.communicate(timeout=600)
        finally:
            cluster.shutdown()
    assert running.returncode == 0, output[-2000:]
    assert at_the_kill < 206
    assert output.splitlines()[-1] == f"206 photographs measured; 206 in {out}"
    assert sorted(parquet.read_table(out)["path"].to_pylist()) == batch.pictures(folder)


def patient(start: Callable[..., Any], **arguments: Any) -> Any:
    """What ``start`` gives, tried three times: Ray waits 30 seconds for a node, however busy a machine is."""
    for _ in range(2):
        with contextlib.suppress(Exception):
            return start(**arguments)
    return start(**arguments)


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


def test_two_runs_do_not_share_a_folder_and_one_that_was_killed_blocks_nobody(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    holding = subprocess.Popen(
        [
            *(sys.executable, "-c"),
            "import pathlib, sys, time; from attn import batch\n"
            "with batch.alone(pathlib.Path(sys.argv[1])): print('here', flush=True); time.sleep(600)",
            str(out),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    try:
        assert holding.stdout is not None
        assert holding.stdout.readline() == b"here\n"
        with pytest.raises(ValueError, match=r"another run is writing to .*out: wait for it"), batch.alone(out):
            pytest.fail("two at once")
        if importlib.util.find_spec("ray"):
            assert batch.main([str(folder), str(out)]) == 1
        assert [path.name for path in out.iterdir()] == [".attn.lock"]
    finally:
        holding.kill()
        holding.communicate()
    with batch.alone(out):
        assert [path.name for path in out.iterdir()] == [".attn.lock"]
    assert list(out.iterdir()) == []


def test_a_run_that_writes_nothing_leaves_no_folder_behind(tmp_path: Path) -> None:
    with pytest.raises(KeyError), batch.alone(tmp_path / "out"):
        raise KeyError
    assert list(tmp_path.iterdir()) == []
