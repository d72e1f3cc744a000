"""Any picture a stranger brings, as the upright RGB photograph the network should see.

Pillow is offered a short list of formats only, the size is checked before a pixel is decoded, and
whatever goes wrong inside a decoder leaves here as one plain sentence.
"""

import contextlib
import io
import math
import re
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from attn.colour import Convert, to_srgb
from attn.errors import PlainError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")
READABLE = "JPEG, PNG, WebP, GIF, TIFF, BMP or AVIF"
# While it is decoded a picture takes up to 8 bytes a pixel, in WebP's and AVIF's decoders 16: 500 MB at the limit.
MAX_PIXELS = 64_000_000
MAX_PIXELS_OF = {"WEBP": MAX_PIXELS // 2, "AVIF": MAX_PIXELS // 2}
# The network sees about a thousand pixels a side at most; more only costs time and memory.
WORKING_PIXELS = 4_000_000
# A progressive JPEG may go over all its pixels any number of times; cameras and editors do it about ten times.
MAX_SCANNED_PIXELS = 12 * MAX_PIXELS
# Of a stream that cannot seek, more than this is not read.
MAX_BYTES = 256 * 1024 * 1024

# One picture is decoded at a time: it bounds memory, and `catch_warnings` is not thread-safe.
_decoding = threading.Lock()

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Any marker with a length after it: not a stuffed byte, a restart, or the start of the image.
_JPEG_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}

ImageSource = str | Path | bytes | BinaryIO | Image.Image | NDArray[Any]


class ImageError(PlainError, ValueError):
    """A picture that cannot be used."""


def open_image(source: ImageSource) -> Image.Image:
    """The picture in `source`, upright, as 8-bit RGB.

    `source` is a path, the bytes of a file, a binary file object, a PIL image, or an array: (H, W) grey or
    (H, W, 1 | 2 | 3 | 4) grey, grey + alpha, RGB, RGB + alpha; bool, uint8 0–255, uint16 0–65535, or floating
    point 0–1 (0–255 when a value is above 1).

    Colours are converted to sRGB where the file says that they are others, EXIF orientation is applied,
    transparency is laid on white, 16-bit and floating-point greys are scaled to
    8 bits, and of an animation the first frame is taken. A picture above `WORKING_PIXELS` comes back reduced
    by a whole factor to below it. The source is left as it was. Raises ImageError.
    """
    if isinstance(source, np.ndarray):
        source = _from_array(source)
    with contextlib.ExitStack() as opened:
        stream = None
        if isinstance(source, Image.Image):
            opened.enter_context(_decoding)
            image = source
        else:
            stream = _stream(source, opened)
            head = stream.read(32)
            if not head:
                raise ImageError("reasons.image.empty_file")
            stream.seek(0)
            opened.enter_context(_decoding)
            with _plain_error(_unreadable(head)):
                image = opened.enter_context(Image.open(stream, formats=FORMATS))
            if image.info.get("progressive"):
                _check_scans(stream, image.width * image.height)
        _check_size(*image.size, MAX_PIXELS_OF.get(image.format or "", MAX_PIXELS))
        with _plain_error(ImageError("reasons.image.damaged", format=image.format or "given")):
            if image is not source:
                # JPEG can decode straight to 1/2, 1/4 or 1/8 of its size; other formats ignore this.
                factor = _reduction(*image.size)
                image.draft(image.mode, (max(1, image.width // factor), max(1, image.height // factor)))
            image.load()
            return _upright(_flat(image, to_srgb(image, stream)), image)


@contextlib.contextmanager
def _plain_error(plain: ImageError) -> Iterator[None]:
    """Turns whatever Pillow raises into this error, and keeps Pillow's warnings in.

    Decoders fed with damaged files raise nearly anything: OSError, SyntaxError, struct.error, IndexError,
    MemoryError. So this is the one place that catches every Exception.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except ImageError:
            raise
        except Image.DecompressionBombError as error:
            raise ImageError("reasons.image.bomb", millions=100, limit=MAX_PIXELS // 10**6) from error
        except Exception as error:
            raise plain from error


def _unreadable(head: bytes) -> ImageError:
    if head[4:8] == b"ftyp" and head[8:12] in _HEIC_BRANDS:
        return ImageError("reasons.image.heic")
    return ImageError("reasons.image.unreadable", formats=READABLE)


def _check_size(width: int, height: int, limit: int = MAX_PIXELS) -> None:
    if width < 1 or height < 1:
        raise ImageError("reasons.image.empty", width=width, height=height)
    if width * height > limit:
        millions = round(width * height / 1e6)
        raise ImageError("reasons.image.size", width=width, height=height, millions=millions, limit=limit // 10**6)


def _check_scans(stream: BinaryIO, pixels: int) -> None:
    """Refuses a progressive JPEG that would keep the decoder busy for minutes."""
    position = stream.tell()
    stream.seek(0)
    data = stream.read(MAX_BYTES)
    stream.seek(position)
    scans, at = 0, 2
    while (marker := _JPEG_MARKER.search(data, at)) and marker[0] != b"\xff\xd9":  # end of image
        scans += marker[0] == b"\xff\xda"
        at = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")
    if scans * pixels > MAX_SCANNED_PIXELS:
        raise ImageError("reasons.image.scans", millions=f"{pixels / 1e6:.0f}", scans=scans)


def _reduction(width: int, height: int) -> int:
    """The smallest whole factor that brings the picture to `WORKING_PIXELS` or below."""
    return max(1, math.ceil(math.sqrt(width * height / WORKING_PIXELS)))


def _stream(source: str | Path | bytes | BinaryIO, opened: contextlib.ExitStack) -> BinaryIO:
    """A seekable stream at the file's beginning, closed with `opened` if it was opened here."""
    if isinstance(source, str | Path):
        path = Path(source)
        try:
            if not path.is_file():
                raise ImageError("reasons.image.missing", name=path.name or path)
            return opened.enter_context(path.open("rb"))
        except (OSError, ValueError) as error:  # ValueError: a null byte in the name
            if isinstance(error, ImageError):
                raise
            raise ImageError("reasons.image.closed") from error
    if isinstance(source, bytes | bytearray | memoryview):
        return io.BytesIO(source)
    if not hasattr(source, "read"):
        raise ImageError("reasons.image.kind", kind=type(source).__name__)
    if source.seekable():
        source.seek(0)
        return source
    data = source.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ImageError("reasons.image.bytes", limit=MAX_BYTES // 2**20)
    return io.BytesIO(data)


def _flat(image: Image.Image, convert: Convert | None) -> Image.Image:
    """`image` as sRGB on white, at most `WORKING_PIXELS`; worked in strips, so that only a strip is ever copied."""
    width, height = image.size
    factor = _reduction(width, height)
    rows = factor * max(1, WORKING_PIXELS // (width * factor))
    tones = _tones(image)
    flat = Image.new("RGB", (math.ceil(width / factor), math.ceil(height / factor)))
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height)))
        if tones:
            strip = Image.fromarray(_to_uint8(np.asarray(strip), *tones))
        flat.paste(_on_white(strip, convert).reduce(factor), (0, top // factor))
    return flat


def _tones(image: Image.Image) -> tuple[float, float] | None:
    """The values that become black and white, for modes of more than 8 bits a channel; None for all others.

    A file does not say what its numbers mean, so the smallest usual range that holds them all is taken
    (0–1, 0–255, 0–65535), or else their own minimum and maximum.
    """
    if image.mode.startswith("I;16"):
        return 0.0, 65535.0
    if image.mode not in ("I", "F"):
        return None
    low, high = cast("tuple[float, float]", image.getextrema())  # one channel: not a pair per channel
    return _usual_range(float(low), float(high), (1, 255) if image.mode == "F" else (255, 65535))


def _usual_range(low: float, high: float, tops: tuple[int, ...]) -> tuple[float, float]:
    fitting = [float(top) for top in tops if low >= 0 and high <= top]
    return (0.0, fitting[0]) if fitting else (low, high)


def _to_uint8(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """`values` scaled linearly so that `low` is 0 and `high` is 255; a flat picture becomes black."""
    if not np.isfinite(values).all():
        raise ImageError("reasons.image.nan")
    span = high - low or 1.0
    return np.rint((values.astype(np.float64) - low) * (255.0 / span)).astype(np.uint8)


def _on_white(image: Image.Image, convert: Convert | None) -> Image.Image:
    if not image.has_transparency_data:
        return convert(image) if convert else image.convert("RGB")
    rgba = image.convert("RGBA")
    opaque = rgba.convert("RGB")
    white = Image.new("RGB", image.size, "white")
    white.paste(convert(opaque) if convert else opaque, mask=rgba.getchannel("A"))
    return white


def _upright(picture: Image.Image, original: Image.Image) -> Image.Image:
    """`picture` turned as the EXIF orientation of `original` asks."""
    # A photograph whose EXIF cannot be read is still a photograph.
    with contextlib.suppress(Exception):
        turn = _UPRIGHT.get(original.getexif().get(_ORIENTATION_TAG, 1))
        return picture if turn is None else picture.transpose(turn)
    return picture


def _from_array(array: NDArray[Any]) -> Image.Image:
    """A PIL image of mode L, LA, RGB or RGBA."""
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in (1, 2, 3, 4):
        raise ImageError("reasons.image.array", shape=array.shape)
    _check_size(array.shape[1], array.shape[0])
    if array.ndim == 3 and channels == 1:
        array = array[..., 0]
    if array.dtype == np.bool_:
        array = _to_uint8(array, 0, 1)
    elif array.dtype == np.uint16:
        array = _to_uint8(array, 0, 65535)
    elif np.issubdtype(array.dtype, np.floating):
        low, high = float(array.min()), float(array.max())
        if low < 0 or high > 255:
            raise ImageError("reasons.image.range", low=f"{low:g}", high=f"{high:g}")
        array = _to_uint8(array, 0, 1 if high <= 1 else 255)
    elif array.dtype != np.uint8:
        raise ImageError("reasons.image.dtype", dtype=array.dtype)
    return Image.fromarray(np.ascontiguousarray(array))
