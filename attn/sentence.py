"""Attention along a sentence: tokens, a small embedding that is stated in full, and what word order means to it.

No language model is involved. A token's vector comes from its letters alone, so tokens that share letters are alike and
everything else is unrelated by construction; what remains to be seen is the attention itself.
"""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attn.measures.shuffle import permutation
from attn.mechanisms.position import sinusoidal_encoding_1d

Array = NDArray[np.float64]

DIMENSIONS = 64
SELF_LOGIT = 4.0
MAX_TOKENS = 48
MAX_CHARACTERS = 2000

_UNSPACED = ((0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))


@dataclass(frozen=True, eq=False)
class SentenceShuffle:
    """A sentence's attention as it stands and with its tokens shuffled, with or without an encoding of the order.

    order: (n,) position i of the shuffled sentence holds token ``order[i]``.
    attention: (n, n), row = query, rows sum to 1. shuffled: the same for the shuffled sentence. restored: the latter
    with rows and columns put back.
    output_error, attention_error: ‖restored − original‖ / ‖original‖ of the outputs A x and of the maps.
    """

    order: NDArray[np.int64]
    attention: Array
    shuffled: Array
    restored: Array
    output_error: float
    attention_error: float


def tokenize(sentence: str) -> list[str]:
    """Words as they are written; Chinese characters and kana one by one; punctuation one by one; no white space."""
    tokens: list[str] = []
    in_word = False
    for character in unicodedata.normalize("NFC", sentence):
        unspaced = any(low <= ord(character) <= high for low, high in _UNSPACED)
        of_word = not unspaced and (unicodedata.category(character)[0] in "LNM" or (in_word and character in "'’"))
        if of_word and in_word:
            tokens[-1] += character
        elif of_word or unspaced or unicodedata.category(character)[0] in "LNMPS":
            tokens.append(character)
        in_word = of_word
    return tokens


def embed(tokens: list[str]) -> Array:
    """Vectors (n, 64), each of length √32, from the letters of each token.

    A token is cut into itself and its groups of three letters, ends marked ("cat" → <cat>, <ca, cat, at>). Each piece
    hashes to a fixed vector of ±1; the token's vector is their sum. At length √32 a token's logit with itself, q·k/√64,
    is 4; with a token that shares no piece it is about 0.
    """
    vectors = np.stack([sum(_piece_vector(piece) for piece in _pieces(token)) for token in tokens])
    length = math.sqrt(SELF_LOGIT * math.sqrt(DIMENSIONS))
    return vectors * (length / np.linalg.norm(vectors, axis=1, keepdims=True))


def self_attention(vectors: Array, encoding: Array | float = 0.0) -> Array:
    """softmax(q kᵀ / √d) with q = k = vectors + encoding, no learned weights; (n, n), rows sum to 1."""
    seen = vectors + encoding
    logits = seen @ seen.T / math.sqrt(vectors.shape[1])
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def shuffle_sentence(tokens: list[str], seed: int, strength: float = 0.0) -> SentenceShuffle:
    """Attention before and after the tokens are shuffled by `permutation(n, seed)`.

    ``strength`` scales a 1-D sinusoidal encoding (0: none), which queries and keys see and values do not; at 1 it is as
    long as the tokens' own vectors.
    """
    vectors = embed(tokens)
    order = permutation(len(tokens), seed)
    back = np.argsort(order)
    encoding = strength * sinusoidal_encoding_1d(len(tokens), DIMENSIONS).double().numpy()
    attention = self_attention(vectors, encoding)
    shuffled = self_attention(vectors[order], encoding)
    restored = shuffled[np.ix_(back, back)]
    output = attention @ vectors
    output_restored = (shuffled @ vectors[order])[back]
    return SentenceShuffle(
        order=order,
        attention=attention,
        shuffled=shuffled,
        restored=restored,
        output_error=_error(output_restored, output),
        attention_error=_error(restored, attention),
    )


def _pieces(token: str) -> list[str]:
    marked = f"<{token.lower()}>"
    return sorted({marked, *(marked[i : i + 3] for i in range(len(marked) - 2))})


def _piece_vector(piece: str) -> Array:
    value = 0xCBF29CE484222325  # FNV-1a, 64 bits
    for byte in piece.encode("utf-8", "surrogatepass"):
        value = (value ^ byte) * 0x100000001B3 % 2**64
    for shift, factor in ((33, 0xFF51AFD7ED558CCD), (33, 0xC4CEB9FE1A85EC53), (33, 1)):  # mix every bit into all
        value = (value ^ (value >> shift)) * factor % 2**64
    return np.array([1.0 if value >> bit & 1 else -1.0 for bit in range(DIMENSIONS)])


def _error(value: Array, reference: Array) -> float:
    return float(np.linalg.norm(value - reference) / np.linalg.norm(reference))
