import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attn.mechanisms.position import sinusoidal_encoding_1d
from attn.sentence import DIMENSIONS, SELF_LOGIT, embed, self_attention, shuffle_sentence, tokenize

SENTENCES = st.lists(
    st.sampled_from(["dog", "dogs", "bites", "man", "狗", "咬", "人", ",", "."]), min_size=2, max_size=12
)


@pytest.mark.parametrize(
    ("sentence", "tokens"),
    [
        ("The dog bites, the man doesn't.", ["The", "dog", "bites", ",", "the", "man", "doesn't", "."]),
        ("狗咬人，人咬狗。", ["狗", "咬", "人", "，", "人", "咬", "狗", "。"]),
        ("用GPU跑 model-2", ["用", "GPU", "跑", "model", "-", "2"]),
        ("cafe\u0301 na\u00efve", ["caf\u00e9", "na\u00efve"]),
        ("हिन्दी", ["हिन्दी"]),
        ("<b>${1}</b>", ["<", "b", ">", "$", "{", "1", "}", "<", "/", "b", ">"]),
        (" \t\n\u200b", []),
        ("", []),
    ],
)
def test_tokens(sentence: str, tokens: list[str]) -> None:
    assert tokenize(sentence) == tokens


def test_a_tokens_vector_depends_on_the_token_alone() -> None:
    together = embed(["dog", "bites", "dog"])
    np.testing.assert_array_equal(together[0], together[2])
    np.testing.assert_array_equal(together[0], embed(["dog"])[0])
    np.testing.assert_array_equal(embed(["Dog"]), embed(["dog"]))


def test_vectors_are_the_same_on_every_machine() -> None:
    signs = "".join("+" if value > 0 else "-" for value in embed(["狗"])[0])
    assert signs == "+-+--+++-+--+++--+----+-+-++-++-+-+--+-++++--++++--++---+-+---++"


def test_logits_are_four_with_itself_and_small_with_strangers() -> None:
    vectors = embed(["cat", "cats", "window"])
    logits = vectors @ vectors.T / math.sqrt(DIMENSIONS)
    np.testing.assert_allclose(np.diag(logits), SELF_LOGIT)
    assert logits[0, 1] > 1 > abs(logits[0, 2])


@settings(max_examples=20, deadline=None)
@given(tokens=SENTENCES, seed=st.integers(0, 99))
def test_without_order_a_sentence_is_a_bag_of_words(tokens: list[str], seed: int) -> None:
    result = shuffle_sentence(tokens, seed)
    assert result.output_error < 1e-12
    assert result.attention_error < 1e-12
    np.testing.assert_allclose(result.attention.sum(axis=1), 1)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99))
def test_with_an_encoding_order_counts(seed: int) -> None:
    result = shuffle_sentence(tokenize("The dog bites the man; the man bites the dog."), seed, 1.0)
    assert result.output_error > 1e-3
    assert result.attention_error > 1e-2
    np.testing.assert_allclose(result.shuffled.sum(axis=1), 1)


def test_repeated_words_are_told_apart_only_by_an_encoding() -> None:
    tokens = ["dog", "bites", "dog"]
    without, with_order = shuffle_sentence(tokens, 0).attention, shuffle_sentence(tokens, 0, 1.0).attention
    np.testing.assert_allclose(without[0], without[2])
    assert abs(with_order[0] - with_order[2]).max() > 0.1


def test_by_hand() -> None:
    # logits [[2, 0], [0, 8]] / √4
    attention = self_attention(np.array([[1.0, 1, 0, 0], [0, 0, 2, 2]]))
    first, second = math.exp(1), math.exp(4)
    np.testing.assert_allclose(
        attention, [[first / (1 + first), 1 / (1 + first)], [1 / (1 + second), second / (1 + second)]]
    )


def test_the_encoding_is_as_long_as_a_tokens_vector() -> None:
    encoding = sinusoidal_encoding_1d(5, DIMENSIONS).numpy()
    np.testing.assert_allclose(np.linalg.norm(encoding, axis=1), np.linalg.norm(embed(["dog"])), rtol=1e-5)


def test_the_shuffled_sentence_is_the_attention_of_the_shuffled_tokens() -> None:
    tokens = tokenize("one two three four five")
    result = shuffle_sentence(tokens, 3)
    np.testing.assert_allclose(result.shuffled, self_attention(embed([tokens[i] for i in result.order])))
