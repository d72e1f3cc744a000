"""What goes to a Space: the front matter that configures it, and the files that are sent."""

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from attn.bundled import WEIGHTS_DIR
from deploy import upload_space
from tests.conftest import ROOT


def front_matter(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text("utf-8").split("---\n")[1])


def test_the_space_is_configured_as_what_is_tested() -> None:
    card = front_matter(ROOT / "README.md")
    assert f"gradio=={card['sdk_version']}" in (ROOT / "requirements.txt").read_text().split()
    assert card["sdk"] == "gradio"
    assert (ROOT / card["app_file"]).is_file()
    assert (ROOT / card["thumbnail"]).is_file()
    assert len(card["short_description"]) <= 60  # the Hub's limit
    assert card["license"] == "apache-2.0"
    assert {"tags", "datasets", "fullWidth", "emoji", "colorFrom", "colorTo", "title"} <= set(card)


def test_the_model_card_has_the_measured_numbers() -> None:
    card = front_matter(WEIGHTS_DIR / "README.md")
    assert card["license"] == "other"
    figures = json.loads((WEIGHTS_DIR / "figures.json").read_text())
    for model in card["model-index"]:
        stage = model["name"].split(", ")[1]
        measured = figures[stage]["fine"]["tuned"] if model["name"].endswith("tuned") else figures[stage]
        rows = {row["mechanism"]: row["auc"] for row in measured["rows"]}
        (metric,) = model["results"][0]["metrics"]
        assert metric["value"] == pytest.approx(rows["attn_position"], abs=5e-5)


def test_a_dry_run_lists_what_is_sent_and_needs_no_network() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "deploy" / "upload_space.py", "someone/window", "--dry-run"],
        env={"PATH": "/usr/bin:/bin", "HF_ENDPOINT": "http://127.0.0.1:9"},
        stdout=subprocess.PIPE,
        check=True,
    )
    lines = done.stdout.decode().splitlines()
    listed = {line.split()[-1]: line for line in lines[:-2]}
    assert {"app.py", "README.md", "requirements.txt", "attn/__init__.py"} <= set(listed)
    assert {f"assets/weights/{path.name}" for path in WEIGHTS_DIR.iterdir()} <= set(listed)
    assert not [path for path in listed if path.startswith(("tests/", "benchmarks/", ".ci/", "deploy/"))]
    assert " LFS " in listed["assets/weights/stem.safetensors"]
    assert " text " in listed["attn/__init__.py"]
    sizes = [int(line.split()[0].replace(",", "")) for line in lines[:-1]]
    assert sum(sizes[:-1]) == sizes[-1]


def test_what_is_listed_is_what_is_sent(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    calls: dict[str, Any] = {}

    class Hub:
        def create_repo(self, name: str, **options: Any) -> None:
            calls["made"] = name, options

        def list_repo_files(self, name: str, **options: Any) -> list[str]:
            return [".gitattributes", "app.py", "gone.py"]

        def create_commit(self, name: str, operations: list[Any], **options: Any) -> Any:
            calls["sent"] = {type(each).__name__ + " " + each.path_in_repo: each for each in operations}
            return SimpleNamespace(commit_url="https://example.invalid/commit")

    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    monkeypatch.setattr(sys, "argv", ["upload_space.py", "someone/window"])
    assert upload_space.main() == 0
    assert calls["made"][1]["repo_type"] == "space"
    assert "CommitOperationDelete gone.py" in calls["sent"]
    added = {name.split()[1] for name in calls["sent"] if name.startswith("CommitOperationAdd")}
    assert added == {path for path in upload_space.tracked() if upload_space.is_sent(path)}
    card = calls["sent"]["CommitOperationAdd README.md"].path_or_fileobj.decode()
    picture = re.search("^thumbnail: (.*)$", card, re.MULTILINE)
    assert picture is not None
    assert picture[1] == "https://huggingface.co/spaces/someone/window/resolve/main/attn/ui/preview.jpg"
    assert "example.invalid" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["window", "some one/window", "a/b/c"])
def test_a_space_has_an_owner_and_a_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["upload_space.py", name])
    with pytest.raises(SystemExit):
        upload_space.main()
