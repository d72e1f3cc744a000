"""The files that are served: written whole or not at all, whoever asks for the same thing at the same time."""

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from gradio.processing_utils import hash_bytes, hash_seed
from gradio.utils import get_upload_folder
from gradio_client.utils import strip_invalid_filename_characters


def store(data: bytes, name: str, folder: str | None = None) -> str:
    """Path of ``data`` in Gradio's cache, or another ``folder``; the same bytes under the same name give the same path.

    What is there already may be on its way to somebody and is left alone (Gradio's `save_bytes_to_cache` writes it
    anew, which cuts it short for them), only its age starts again. A new file is written beside its place and renamed.
    """
    path = Path(folder or get_upload_folder()) / hash_bytes(data) / Path(name).name
    if _is_here(path, len(data)):
        return str(path.resolve())
    with Arriving(folder) as file:
        file.write(data)
        return file.stored(path.name)


class Arriving:
    """A file that comes in parts: a context in which it is written, and moved to its place by `stored` once whole.

    What was not stored is gone afterwards; should the process be killed, the sweep finds it as it does Gradio's.

    Attributes:
        size: bytes so far.
    """

    def __init__(self, folder: str | None = None) -> None:
        self.size = 0
        self._folder = Path(folder or get_upload_folder())
        self._digest = hashlib.sha256(hash_seed)  # as `hash_bytes`

    def __enter__(self) -> "Arriving":
        self._folder.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=self._folder)
        self._beside = Path(beside)
        self._file = os.fdopen(handle, "wb")
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        with suppress(OSError):  # a full disk: what is not written yet does not matter any more
            self._file.close()
        self._beside.unlink(missing_ok=True)

    def write(self, part: bytes) -> None:
        """Takes the next bytes."""
        self._file.write(part)
        self._digest.update(part)
        self.size += len(part)

    def stored(self, name: str) -> str:
        """Its path, now that it is whole; of ``name`` only what a file can be called."""
        self._file.close()
        kept = strip_invalid_filename_characters(Path(name).name).lstrip(".") or "file"
        path = self._folder / self._digest.hexdigest() / kept
        if not _is_here(path, self.size):
            self._beside.chmod(0o644)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._beside.replace(path)
        return str(path.resolve())


def _is_here(path: Path, size: int) -> bool:
    """Whether it is there whole; its age then starts again."""
    with suppress(OSError):
        os.utime(path)
        return path.stat().st_size == size
    return False
