"""Damaged files of every format: whatever a decoder makes of them, only ImageError comes out, and soon."""

import io
import re
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attn.images import ImageError, open_image
from tests import corpus

SECONDS = 5.0  # of processor time, so that a busy machine fails nothing
# Small, so that a change hits something that matters: headers, tables, the palette.
SEEDS = {
    name: data
    for files in (
        *(corpus.colour_files(), corpus.grey_files(), corpus.wide_files()),
        {name: data for name, (data, _) in corpus.see_through_files().items() if "bits" not in name},
    )
    for name, data in files.items()
    if "orientation" not in name or name.endswith("6")
}


def opens_or_says_why(data: bytes) -> None:
    start = time.thread_time()
    try:
        image = open_image(io.BytesIO(data))
    except ImageError as error:
        sentence = str(error)
    else:
        sentence = "."
        assert image.mode == "RGB"
        image.load()
    assert re.fullmatch(r".*\.", sentence)
    assert time.thread_time() - start < SECONDS


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A good file with a few bytes changed, mostly near its start, and perhaps cut short, doubled or spliced."""
    data = bytearray(SEEDS[draw(st.sampled_from(sorted(SEEDS)))])
    near = st.integers(0, min(200, len(data) - 1))
    anywhere = st.integers(0, len(data) - 1)
    changes = draw(
        st.lists(st.tuples(near | anywhere, st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255)))
    )
    for position, value in changes[:8]:
        data[position] = value
    if draw(st.booleans()):
        cut, resume = sorted((draw(anywhere), draw(anywhere)))
        data = draw(st.sampled_from([data[:cut], data[:cut] + data[resume:], data[:resume] + data[cut:]]))
    return bytes(data)


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(damaged())
def test_damaged_files(data: bytes) -> None:
    opens_or_says_why(data)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0", b"BM", b"RIFF0000WEBP"]), st.binary()
)
def test_noise_behind_a_familiar_start(start: bytes, noise: bytes) -> None:
    opens_or_says_why(start + noise)


@pytest.mark.parametrize("name", sorted(SEEDS))
def test_files_cut_anywhere(name: str) -> None:
    data = SEEDS[name]
    for length in range(1, len(data), max(1, len(data) // 12)):
        opens_or_says_why(data[:length])
