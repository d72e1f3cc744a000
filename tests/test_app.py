"""The app as a process, used by a real client."""

import http.client
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from gradio.media import get_image
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from attn import Inspector
from tests.conftest import client_of

LION, CHEETAH = get_image("lion.jpg"), get_image("cheetah.jpg")


@pytest.fixture(scope="module")
def client(app_url: str) -> Client:
    return client_of(app_url)


def test_only_the_two_endpoints_are_public(client: Client) -> None:
    api = client.view_api(return_format="dict", print_info=False)
    assert sorted(api["named_endpoints"]) == ["/inspect", "/query"]
    assert api["unnamed_endpoints"] == {}
    needed = [
        p["parameter_name"] for p in api["named_endpoints"]["/query"]["parameters"] if not p["parameter_has_default"]
    ]
    assert needed == ["row", "column"]


def test_what_shows_no_progress_has_no_component_that_is_there_copied_for_it(client: Client) -> None:
    components = {component["id"]: component for component in client.config["components"]}
    hidden = [each for each in client.config["dependencies"] if each["show_progress"] == "hidden"]
    places = {place for each in hidden for place in each["show_progress_on"] or each["outputs"]}
    assert hidden
    assert [components[place]["props"]["visible"] for place in places] == [False]


def test_inspect_gives_the_numbers_of_the_inspector(client: Client) -> None:
    numbers, arrays = client.predict(image=handle_file(CHEETAH), weights="similarity", api_name="/inspect")
    expected = Inspector("bundled", "layer3", weights="similarity").inspect(CHEETAH)
    assert numbers["grid"] == list(expected.grid)
    np.testing.assert_allclose(numbers["query_metrics"]["entropy"], expected.query_metrics.entropy, atol=1e-5)
    for name, mechanism in numbers["mechanisms"].items():
        assert mechanism["relative_change"] == pytest.approx(expected.mechanisms[name].change, rel=1e-4, abs=1e-6)
    assert json.loads(json.dumps(numbers, allow_nan=False)) == numbers
    with np.load(arrays) as saved:
        logits = saved["queries"] @ saved["keys"].T
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        np.testing.assert_allclose(weights / weights.sum(axis=1, keepdims=True), expected.attention, atol=1e-5)
        assert "attention" not in saved  # queries and keys give it; at 64 × 64 positions it is 64 MB
        np.testing.assert_array_equal(saved["image"], expected.image)


def test_every_argument_of_inspect_but_the_image_is_optional(client: Client) -> None:
    numbers, _ = client.predict(image=handle_file(LION), api_name="/inspect")
    assert numbers["stem"] == "bundled"
    assert numbers["stage"] == "layer3"


def test_query_gives_one_row(client: Client) -> None:
    answer, picture = client.predict(
        row=3, column=5, image=handle_file(CHEETAH), weights="random", seed=4, api_name="/query"
    )
    expected = Inspector("bundled", "layer3", weights="random", seed=4).encode(CHEETAH)
    height, width = expected.grid
    np.testing.assert_allclose(np.ravel(answer["attention"]), expected.attention[3 * width + 5], atol=1e-6)
    assert answer["metrics"]["perplexity"] == pytest.approx(height * width, rel=0.2)  # random: nearly uniform
    assert answer["weights"] == {**answer["weights"], "source": "random", "seed": 4}
    with Image.open(picture) as opened:
        assert opened.size == (width * 8, height * 8)


def test_a_program_may_name_any_stage(client: Client) -> None:
    """The page offers only what its network has; whether a program's network has it is for the controls to say."""
    stages = client.view_api(return_format="dict")["named_endpoints"]["/query"]["parameters"]
    (stage,) = (each for each in stages if each["parameter_name"] == "stage")
    assert stage["type"]["enum"] == ["stem", "layer1", "layer2", "layer3", "layer4"]


def test_the_server_keeps_an_idle_connection_longer_than_its_clients(app_url: str) -> None:
    """httpx gives one up after five seconds; a server that does so too loses what is on its way just then."""
    connection = http.client.HTTPConnection(app_url.removeprefix("http://"), timeout=120)
    for pause in (0, 6.5):
        time.sleep(pause)
        connection.request("GET", "/gradio_api/app_id")
        with connection.getresponse() as answer:
            assert "app_id" in json.load(answer)
            assert not answer.will_close
    connection.close()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"row": -1, "column": 0}, "Row must be a whole number from 0 to 26, got -1."),
        ({"row": 0, "column": 40}, "Column must be a whole number from 0 to 39, got 40."),
        ({"row": 0.5, "column": 0}, "Row must be a whole number"),
        ({"row": 0, "column": 0, "longest_side": 10**9}, "greater than maximum value 1024"),
        ({"row": 0, "column": 0, "stage": "layer9"}, "layer9"),
        ({"row": 0, "column": 0, "stage": "layer1", "longest_side": 1024}, "longest side of 256 px fits"),
        ({"row": 0, "column": 0, "stage": "layer4"}, "The bundled network ends at layer3"),
        ({"row": 0, "column": 0, "weights": "file"}, "choose a .safetensors file"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(client: Client, arguments: dict, sentence: str) -> None:
    with pytest.raises(AppError, match=sentence) as refused:
        client.predict(image=handle_file(CHEETAH), **arguments, api_name="/query")
    assert "Traceback" not in str(refused.value)
    client.predict(row=0, column=0, image=handle_file(CHEETAH), longest_side=64, api_name="/query")


def test_a_file_that_is_no_picture_is_a_sentence(client: Client, tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("not a picture")
    with pytest.raises(AppError, match="picture"):
        client.predict(image=handle_file(tmp_path / "notes.jpg"), api_name="/inspect")


def test_no_photograph_is_a_sentence(client: Client) -> None:
    with pytest.raises(AppError, match="Please choose a photograph first"):
        client.predict(image=None, api_name="/inspect")


def test_a_stem_that_cannot_be_had_does_not_stop_the_page(start_app: Callable[..., str], tmp_path: Path) -> None:
    # An empty cache and a proxy where nobody listens: no network, whatever the machine.
    url = start_app(
        "--stem",
        "resnet50",
        TORCH_HOME=str(tmp_path),
        HTTPS_PROXY="http://127.0.0.1:9",
        https_proxy="http://127.0.0.1:9",
    )
    client = client_of(url)
    texts = [str(component["props"].get("value")) for component in client.config["components"]]
    assert any("resnet50" in words and "The page shows the bundled network instead" in words for words in texts)
    with pytest.raises(AppError, match="resnet50 could not be downloaded"):
        client.predict(image=handle_file(LION), stem="resnet50", api_name="/inspect")
    numbers, _ = client.predict(image=handle_file(LION), longest_side=64, stem="bundled", api_name="/inspect")
    assert numbers["grid"] == [8, 8]
