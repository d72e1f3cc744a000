"""How arrays travel to the browser, from a server or inside a file: as bytes, averaged, in one gzip file."""

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

Array = NDArray[np.float32]

GZIP_WINDOW = 16 + zlib.MAX_WBITS  # zlib's largest window, in gzip's wrapping


def pack_arrays(arrays: Mapping[str, NDArray[Any]], level: int = 1, strategy: int = zlib.Z_DEFAULT_STRATEGY) -> bytes:
    """One gzip file of safetensors: uint8, int8, uint16, int16, int32 and float32 arrays in C order.

    ``level`` and ``strategy`` are zlib's. Level 0 stores: right for noise, on which compression costs more time than it
    saves; the browser inflates either as it arrives.

    Raises:
        ValueError: an array of another type, which `readSafetensors` in ``web/safetensors.js`` could not read.
    """
    readable = ("uint8", "int8", "uint16", "int16", "int32", "float32")
    for name, array in arrays.items():
        if array.dtype.name not in readable:
            raise ValueError(f"expected one of {', '.join(readable)} for {name!r}, got {array.dtype.name}")
    data = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    packer = zlib.compressobj(level, zlib.DEFLATED, GZIP_WINDOW, zlib.DEF_MEM_LEVEL, strategy)
    return packer.compress(data) + packer.flush()


def quantise_rows(rows: Array, levels: int = 256) -> tuple[NDArray[np.uint8], Array, Array]:
    """Codes (R, M) below ``levels``, uint8, with low and step (R,): value = low + step · code, off by at most step / 2.

    A row's least and greatest value are kept exactly, so zeros of a ReLU stay zeros; a constant row has step 0.
    """
    low, high = rows.min(axis=1), rows.max(axis=1)
    step = (high - low) / np.float32(levels - 1)
    scaled = np.divide(rows - low[:, None], step[:, None], out=np.zeros_like(rows), where=step[:, None] > 0)
    return np.rint(scaled).clip(0, levels - 1).astype(np.uint8), low.astype(np.float32), step.astype(np.float32)


def pool_grid(maps: Array, pool: int) -> Array:
    """(C, h, w) averaged over blocks of pool × pool positions; blocks at the far edges may be smaller."""
    if pool == 1:
        return maps
    return pool_axis(pool_axis(maps, pool, 1), pool, 2)


def pool_axis(values: NDArray[Any], pool: int, axis: int) -> NDArray[Any]:
    starts = np.arange(0, values.shape[axis], pool)
    counts = np.diff(starts, append=values.shape[axis])
    shape = [1] * values.ndim
    shape[axis] = -1
    return np.add.reduceat(values, starts, axis=axis) / counts.reshape(shape).astype(values.dtype)
