import numpy as np
import pytest
from PIL import Image

from attn.inspector import Encoding, Inspector
from attn.pairs import best_matches, cross_attention_rows, encode_pair


def encoding(queries: np.ndarray, keys: np.ndarray, grid: tuple[int, int]) -> Encoding:
    return Encoding(
        image=np.zeros((grid[0] * 8, grid[1] * 8, 3), np.uint8),
        grid=grid,
        stride_px=8,
        features=np.zeros((queries.shape[1], *grid), np.float32),
        queries=queries.astype(np.float32),
        keys=keys.astype(np.float32),
        stem_ms=0.0,
    )


@pytest.fixture
def two() -> tuple[Encoding, Encoding]:
    random = np.random.default_rng(0)
    first = encoding(random.normal(size=(6, 4)), random.normal(size=(6, 4)), (2, 3))
    second = encoding(random.normal(size=(20, 4)), random.normal(size=(20, 4)), (4, 5))
    return first, second


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def test_over_the_second(two: tuple[Encoding, Encoding]) -> None:
    first, second = two
    rows = cross_attention_rows(first, second, [0, 5, 5])
    assert rows.dtype == np.float32
    assert np.allclose(rows, softmax(first.queries[[0, 5, 5]].astype(float) @ second.keys.T.astype(float)), atol=1e-6)
    assert np.allclose(rows.sum(axis=1), 1, atol=1e-6)


def test_over_both(two: tuple[Encoding, Encoding]) -> None:
    first, second = two
    rows = cross_attention_rows(first, second, range(6), over="both")
    keys = np.concatenate([first.keys, second.keys]).astype(float)
    assert np.allclose(rows, softmax(first.queries.astype(float) @ keys.T), atol=1e-6)
    # Within the second, the competition of the first changes how much there is, not how it is shared out.
    inside = rows[:, 6:] / rows[:, 6:].sum(axis=1, keepdims=True)
    assert np.allclose(inside, cross_attention_rows(first, second, range(6)), atol=1e-6)


def test_a_photograph_asked_about_itself_is_its_own_attention(two: tuple[Encoding, Encoding]) -> None:
    first, _ = two
    assert np.array_equal(cross_attention_rows(first, first, range(6)), first.attention)
    both = cross_attention_rows(first, first, range(6), over="both")
    assert np.allclose(both[:, :6], first.attention / 2, atol=1e-6)
    assert np.allclose(both[:, 6:], first.attention / 2, atol=1e-6)


def test_by_hand() -> None:
    first = encoding(np.array([[np.log(3), 0.0]]), np.array([[1.0, 0.0]]), (1, 1))
    second = encoding(np.zeros((2, 2)), np.array([[1.0, 5.0], [0.0, 5.0]]), (1, 2))
    assert np.allclose(cross_attention_rows(first, second, [0]), [[3 / 4, 1 / 4]])
    assert np.allclose(cross_attention_rows(first, second, [0], over="both"), [[3 / 7, 3 / 7, 1 / 7]])


def test_best_matches(two: tuple[Encoding, Encoding]) -> None:
    first, second = two
    matches = best_matches(first, second, 2, count=3)
    (row,) = cross_attention_rows(first, second, [2])
    assert [match.position for match in matches] == list(np.argsort(-row)[:3])
    assert all(match.position == match.row * 5 + match.column for match in matches)
    assert [match.weight for match in matches] == sorted(row, reverse=True)[:3]
    assert len(best_matches(first, second, 2, count=99)) == 20


def test_refusals(two: tuple[Encoding, Encoding]) -> None:
    first, second = two
    with pytest.raises(ValueError, match="over to be one of second, both, got 'first'"):
        cross_attention_rows(first, second, [0], over="first")
    for queries in ([6], [-1], [[0]]):
        with pytest.raises(ValueError, match=r"flat list of queries in 0 … 5"):
            cross_attention_rows(first, second, queries)  # type: ignore[arg-type]
    narrow = encoding(np.zeros((2, 3)), np.zeros((2, 3)), (1, 2))
    with pytest.raises(ValueError, match="keys of 4 channels, got 3"):
        cross_attention_rows(first, narrow, [0])


def halves(left: str, right: str) -> Image.Image:
    """A grey picture, 240 × 160: a chessboard in one half, a smooth slope in the other."""
    rows, columns = np.mgrid[:160, :120]
    textures = {"checks": (columns // 10 + rows // 10) % 2 * 200 + 20, "smooth": columns + 60}
    return Image.fromarray(np.hstack([textures[left], textures[right]]).astype(np.uint8)).convert("RGB")


class TestPhotographs:
    def test_what_is_asked_for_is_found_wherever_it_stands(self) -> None:
        first, second = encode_pair(halves("checks", "smooth"), halves("smooth", "checks"), longest_side=240)
        h, w = first.grid
        checks, smooth = (h // 2) * w + w // 4, (h // 2) * w + 3 * w // 4
        to_checks, to_smooth = cross_attention_rows(first, second, [checks, smooth]).reshape(2, *second.grid)
        assert to_checks[:, w // 2 :].sum() > 0.9
        assert to_smooth[:, : w // 2].sum() > 0.8
        assert first.attention[checks].reshape(h, w)[:, : w // 2].sum() > 0.9  # at home they stand on the left
        assert all(match.column >= w // 2 for match in best_matches(first, second, checks))

    def test_without_position_encoding_unless_asked(self) -> None:
        images = halves("checks", "smooth"), halves("smooth", "checks")
        first, _ = encode_pair(*images, longest_side=160)
        plain, placed = (Inspector(position=position).encode(images[0], 160) for position in (False, True))
        assert np.array_equal(first.queries, plain.queries)
        assert not np.allclose(first.queries, placed.queries)
        assert np.array_equal(encode_pair(*images, position=True, longest_side=160)[0].queries, placed.queries)
