"""An error for a person is a key and its values, worded when it is read."""

import pickle

import pytest

from attn.bundled import DamagedWeights, WeightsUnavailable
from attn.checkpoints import WeightsError
from attn.errors import PlainError
from attn.images import ImageError
from attn.stems import GridTooLarge, StemUnavailable

ERRORS = [
    ImageError("reasons.image.missing", name="cat.jpg"),
    WeightsError("reasons.weights.closed", name="a.safetensors"),
    DamagedWeights("reasons.bundled.format", file="stem.safetensors"),
    StemUnavailable("reasons.stem.damaged", name="resnet50", path="/tmp/resnet50.pth"),
    GridTooLarge((80, 60), (64, 64), 1024),
]


def test_each_language_words_it() -> None:
    error = WeightsError("reasons.weights.closed", name="a.b")
    assert str(error) == error.sentence("en") == "The weights file a.b cannot be opened."
    assert error.sentence("zh") == "权重文件 a.b 打不开。"


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_reaches_another_process_whole(error: PlainError) -> None:
    arrived = pickle.loads(pickle.dumps(error))
    assert type(arrived) is type(error)
    assert vars(arrived) == vars(error)
    assert arrived.sentence("zh") == error.sentence("zh")


def test_each_is_still_the_built_in_error_it_was() -> None:
    for kind in (ImageError, WeightsError, GridTooLarge):
        assert issubclass(kind, ValueError)
    for kind in (StemUnavailable, WeightsUnavailable):
        assert issubclass(kind, RuntimeError)
    assert all(isinstance(error, PlainError) for error in ERRORS)
