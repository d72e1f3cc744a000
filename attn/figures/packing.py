"""How arrays travel to the browser, from a server or inside a file."""

import gzip
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save


def pack_arrays(arrays: Mapping[str, NDArray[Any]], level: int = 1) -> bytes:
    """One gzip file of safetensors: uint8, int8, uint16, int16, int32 and float32 arrays in C order.

    ``level`` is gzip's. 0 stores: right for quantised noise, on which compression costs more time than it saves;
    the browser inflates either as it arrives.

    Raises:
        ValueError: an array of another type, which `readSafetensors` in ``web/arrays.js`` could not read.
    """
    readable = ("uint8", "int8", "uint16", "int16", "int32", "float32")
    for name, array in arrays.items():
        if array.dtype.name not in readable:
            raise ValueError(f"expected one of {', '.join(readable)} for {name!r}, got {array.dtype.name}")
    data = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    return gzip.compress(data, compresslevel=level, mtime=0)
