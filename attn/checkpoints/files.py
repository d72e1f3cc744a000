"""Tensors of a safetensors file, or of one spread over shards: known by their headers, read one by one."""

import json
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from attn.errors import PlainError

# Headers and indices of real checkpoints stay far below this; reading one costs several times its size.
MAX_HEADER_BYTES = 8 * 2**20
MAX_CONFIG_BYTES = 2**16
# The largest published models have a few thousand; looking through a file takes time in proportion to it.
MAX_TENSORS = 20_000
INDEX = ".safetensors.index.json"
# safetensors' name → what people call it; nothing else is read (integers, 4 bits, block scales).
DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8 e4m3",
    "F8_E5M2": "float8 e5m2",
    "F8_E4M3FNUZ": "float8 e4m3fnuz",
    "F8_E5M2FNUZ": "float8 e5m2fnuz",
}
_SHOWN_CHARACTERS = 60
_SHOWN_ITEMS = 8


class WeightsError(PlainError, ValueError):
    """A weights file that cannot be used; the message is one sentence for the person who brought it."""


class TensorFile:
    """The tensors of a safetensors file, an index with its shards, or a folder that holds one of the two.

    ``names`` holds every tensor's name, ``metadata`` the words stored beside them, ``config`` what a ``config.json``
    in the same folder says (empty where there is none). Shapes and types come from headers; only `tensor` reads data.
    """

    def __init__(self, path: Path, shards: dict[str, Path] | None, stack: ExitStack) -> None:
        self.path = path
        self.name = shown(path.name)
        self._stack = stack
        self._open: dict[Path, Any] = {}
        if shards is None:
            shards = dict.fromkeys(self._file(path).keys(), path)
        if len(shards) > MAX_TENSORS:
            raise WeightsError("reasons.weights.tensors", name=self.name, count=len(shards), limit=MAX_TENSORS)
        self._shards = shards
        self.names = shards.keys()
        self.metadata: dict[str, str] = {}
        if path in self._open:
            self.metadata = self._open[path].metadata() or {}
        self.config = _config(path.parent / "config.json")

    def shape(self, name: str) -> tuple[int, ...]:
        """A tensor's shape; () for a single number."""
        return tuple(self._slice(name).get_shape() or ())

    def dtype(self, name: str) -> str:
        """A tensor's type as in DTYPES, or the header's own word where it is none of them."""
        stored = self._slice(name).get_dtype()
        return DTYPES.get(stored, stored)

    def tensor(self, name: str) -> Tensor:
        """A tensor as float32.

        Raises WeightsError for a type that is not of DTYPES, and for values that float32 does not hold.
        """
        dtype = self.dtype(name)
        if dtype not in DTYPES.values():
            raise WeightsError("reasons.weights.dtype", name=self.name, tensor=shown(name), dtype=dtype)
        tensor = self._file(self._shards[name]).get_tensor(name).float()
        if not tensor.isfinite().all():
            raise WeightsError("reasons.weights.nan", name=self.name, tensor=shown(name))
        return tensor

    def _slice(self, name: str) -> Any:
        return self._file(self._shards[name]).get_slice(name)

    def _file(self, path: Path) -> Any:
        if path not in self._open:
            _check_header(path)
            self._open[path] = self._stack.enter_context(safe_open(path, framework="pt"))
        return self._open[path]


@contextmanager
def open_tensors(path: str | Path) -> Iterator[TensorFile]:
    """The tensors at ``path``: a .safetensors file, a ``….safetensors.index.json``, or a folder with one of these.

    Raises WeightsError, one sentence, for whatever is none of them, and for damage found at any time within.
    """
    path = Path(path)
    with ExitStack() as stack:
        try:
            if path.is_dir():
                path = _in_folder(path)
            shards = _shards(path) if path.name.endswith(INDEX) else None
            yield TensorFile(path, shards, stack)
        except WeightsError:
            raise
        except (SafetensorError, OSError, ValueError, RuntimeError) as error:
            raise WeightsError("reasons.weights.damaged", name=shown(path.name)) from error


def shown(name: str) -> str:
    """A name that somebody else gave, cut to what a sentence can hold."""
    return name if len(name) <= _SHOWN_CHARACTERS else name[: _SHOWN_CHARACTERS - 1] + "…"


def listed(items: list[str]) -> str:
    """The first few of many, and how many more there are."""
    more = len(items) - _SHOWN_ITEMS
    return ", ".join(items[:_SHOWN_ITEMS]) + (f", … (+{more})" if more > 0 else "")


def _in_folder(folder: Path) -> Path:
    """The one index, or else the one file, of a folder."""
    found = sorted(folder.glob(f"*{INDEX}")) or sorted(folder.glob("*.safetensors"))
    if not found:
        raise WeightsError("reasons.weights.folder", name=shown(folder.name))
    if len(found) > 1:
        raise WeightsError(
            "reasons.weights.files", name=shown(folder.name), files=listed([shown(path.name) for path in found])
        )
    return found[0]


def _shards(index: Path) -> dict[str, Path]:
    """Tensor → the file beside the index that holds it."""
    weights = _json(index, MAX_HEADER_BYTES).get("weight_map")
    if not (isinstance(weights, dict) and all(isinstance(file, str) for file in weights.values())):
        raise WeightsError("reasons.weights.index", name=shown(index.name))
    for file in sorted(set(weights.values())):
        # Only files of the same folder: an index is not to open others.
        if Path(file).name != file or not file.endswith(".safetensors") or not (index.parent / file).is_file():
            raise WeightsError("reasons.weights.shard", name=shown(index.name), file=shown(file))
    return {name: index.parent / file for name, file in weights.items()}


def _config(path: Path) -> dict[str, Any]:
    try:
        return _json(path, MAX_CONFIG_BYTES)
    except WeightsError:
        return {}


def _json(path: Path, limit: int) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
        read = json.loads(content) if len(content) <= limit else None
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError("reasons.weights.index", name=shown(path.name)) from error
    if not isinstance(read, dict):
        raise WeightsError("reasons.weights.index", name=shown(path.name))
    return read


def _check_header(path: Path) -> None:
    """Refuses what cannot be a safetensors file by its first eight bytes, the length of its header."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(9)
    except (OSError, ValueError) as error:
        raise WeightsError("reasons.weights.closed", name=shown(path.name)) from error
    if len(start) < 9 or start[8:] != b"{":
        raise WeightsError("reasons.weights.format", name=shown(path.name))
    (header,) = struct.unpack("<Q", start[:8])
    if header > min(size - 8, MAX_HEADER_BYTES):
        raise WeightsError("reasons.weights.header", name=shown(path.name), bytes=header)
