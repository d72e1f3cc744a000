"""The weight files that come with the project, read only if they are the ones the manifest names."""

import hashlib
import json
from pathlib import Path

import safetensors
import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from attn.errors import PlainError

_HERE = Path(__file__).resolve().parent
# An installed package carries the files inside; in a checkout they stand where a person looks for them.
WEIGHTS_DIR = _HERE / "_weights" if (_HERE / "_weights").is_dir() else _HERE.parent / "assets" / "weights"
MANIFEST = "manifest.json"
# For each stage that was tuned together with its attention: the bundled stem's weights of the stages that learnt
# under "stem.", and the seven mechanisms on its features.
TUNED_FILES = {"layer3": "tuned_layer3.safetensors"}


class WeightsUnavailable(PlainError, RuntimeError):  # noqa: N818 - says what happened, as StemUnavailable does
    """A bundled weight file cannot be used."""


class DamagedWeights(WeightsUnavailable):
    """A bundled weight file is there but is not the one the manifest names."""


def is_bundled(file: str) -> bool:
    """Whether there is such a file; not whether it is intact."""
    return (WEIGHTS_DIR / file).is_file()


def bundled_names(file: str) -> frozenset[str] | None:
    """The names of the tensors in `file`, read from its header alone; None where it cannot be read."""
    try:
        with safetensors.safe_open(WEIGHTS_DIR / file, framework="pt") as content:
            return frozenset(content.keys())
    except (SafetensorError, OSError):
        return None


def load_bundled(file: str) -> dict[str, Tensor]:
    """The tensors of `file` in `WEIGHTS_DIR`, as stored, after checking its SHA-256.

    Raises WeightsUnavailable where the file is missing, DamagedWeights where it is not what manifest.json says.
    """
    try:
        content = (WEIGHTS_DIR / file).read_bytes()
    except OSError as error:
        raise WeightsUnavailable("reasons.bundled.missing", file=file, folder=WEIGHTS_DIR.name) from error
    try:
        expected = json.loads((WEIGHTS_DIR / MANIFEST).read_text())[file]["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedWeights(
            "reasons.bundled.manifest", manifest=MANIFEST, file=file, folder=WEIGHTS_DIR.name
        ) from error
    actual = hashlib.sha256(content).hexdigest()
    if actual != expected:
        raise DamagedWeights("reasons.bundled.damaged", file=file, expected=str(expected)[:12], actual=actual[:12])
    try:
        return safetensors.torch.load(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise DamagedWeights("reasons.bundled.format", file=file) from error
