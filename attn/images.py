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
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from attn.colour import Convert, to_srgb
from attn.errors import PlainError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "ICO")
READABLE = ["JPEG", "PNG", "WebP", "GIF", "TIFF", "BMP", "AVIF", "ICO"]
SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".dib"),
    *(".avif", ".avifs", ".ico"),
)
# While it is decoded a picture takes up to 8 bytes a pixel, in WebP's and AVIF's decoders 16: 500 MB at the limit.
MAX_PIXELS = 64_000_000
MAX_PIXELS_OF = {"WEBP": MAX_PIXELS // 2, "AVIF": MAX_PIXELS // 2}
# The network sees about a thousand pixels a side at most; more only costs time and memory.
WORKING_PIXELS = 4_000_000
# A progressive JPEG may go over all its pixels any number of times; cameras and editors do it about ten times.
MAX_SCANNED_PIXELS = 12 * MAX_PIXELS
# Of a stream that cannot seek, more than this is not read.
MAX_BYTES = 256 * 1024 * 1024
# How much of a damaged picture may be missing.
MAX_MISSING = 0.1
# The numbers that are white, in pictures that say no more than their numbers.
_WHITES = (1, 255, 1023, 4095, 16383, 65535)

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


class ImageNotice(PlainError, UserWarning):  # noqa: N818 - nothing went wrong
    """What had to be guessed or left out to show a picture: a key and its values, like an error, but it is shown."""


def open_image(source: ImageSource, notices: list[ImageNotice] | None = None) -> Image.Image:
    """The picture in `source`, upright, as 8-bit sRGB.

    `source` is a path, the bytes of a file, a binary file object, a PIL image, or an array of bool, integers or
    floating point: (H, W) grey or (H, W, 1 | 2 | 3 | 4) grey, grey + alpha, RGB, RGB + alpha.

    Colours are converted to sRGB where the file says that they are others, EXIF orientation is applied, transparency
    is laid on white, and of an animation the first frame is taken. A picture above `WORKING_PIXELS` comes back
    reduced by a whole factor to below it. The source is left as it was.

    Numbers that are not 8 bits wide say nothing of what is white. One rule for all of them, in a file or an array:
    the smallest usual range that holds every number, 0 to 1 or 255, and for whole numbers also to 1023, 4095, 16383
    or 65535 (10 to 16 bits); where none does, from their minimum to their maximum.

    ``notices`` receives an `ImageNotice` where the range is not the one the type suggests (1 or 255 for floating
    point, 65535 for uint16, 255 or 65535 for other integers), and where a damaged file could be read all the same.

    Raises:
        ImageError: a picture that cannot be used.
    """
    notices = [] if notices is None else notices
    if isinstance(source, np.ndarray):
        source = _from_array(source, notices)
    with contextlib.ExitStack() as opened:
        if isinstance(source, Image.Image):
            opened.enter_context(_decoding)
            _check_size(*source.size)
            with _plain_error(ImageError("reasons.image.damaged", format=source.format or "given")):
                source.load()
                return _finished(source, None, notices)
        stream = _stream(source, opened)
        head = stream.read(32)
        if not head:
            raise ImageError("reasons.image.empty_file")
        stream.seek(0)
        opened.enter_context(_decoding)
        try:
            return _decoded(stream, head, notices)
        except ImageError as error:
            if error.key not in ("reasons.image.damaged", "reasons.image.unreadable"):
                raise
            with contextlib.suppress(ImageError):
                return _mended(stream, head, notices)
            raise


def _decoded(stream: BinaryIO, head: bytes, notices: list[ImageNotice], mended: bool = False) -> Image.Image:
    if head.startswith(b"\0\0\1\0"):
        stream = _largest_icon(stream)
    with contextlib.ExitStack() as opened:
        with _plain_error(_unreadable(head)):
            image = opened.enter_context(Image.open(stream, formats=FORMATS))
        if image.info.get("progressive"):
            _check_scans(stream, image.width * image.height)
        _check_size(*image.size, MAX_PIXELS_OF.get(image.format or "", MAX_PIXELS))
        with _plain_error(ImageError("reasons.image.damaged", format=image.format)):
            # JPEG can decode straight to 1/2, 1/4 or 1/8 of its size; other formats ignore this.
            factor = _reduction(*image.size)
            image.draft(image.mode, (max(1, image.width // factor), max(1, image.height // factor)))
            if image.info.get("default_image"):
                image.seek(1)  # an animation's first picture may be for those only who know no animations
            _scale_colour_key(image)
            frame = image.tile[0][1] if image.format == "GIF" and image.tile else None
            image.load()
            if mended and _missing(image) > MAX_MISSING:
                raise ImageError("reasons.image.damaged", format=image.format)
            return _finished(image, stream, notices, frame)


def _mended(stream: BinaryIO, head: bytes, notices: list[ImageNotice]) -> Image.Image:
    """A damaged picture as browsers show it, if little of it is missing. Raises ImageError."""
    stream.seek(0)
    data = stream.read(MAX_BYTES)
    if data.startswith(b"RIFF"):
        size = 8 + int.from_bytes(data[4:8], "little")
        data += bytes(size - len(data) if len(data) < size < len(data) / (1 - MAX_MISSING) else 0)
    elif data.startswith(b"\x89PNG"):
        data = _mended_png(data)
    elif data.startswith(b"\xff\xd8"):
        data += b"\xff\xd9"  # end of image
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = True  # for all of Pillow, but `_decoding` is held
    try:
        image = _decoded(io.BytesIO(data), head, notices, mended=True)
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before
    notices.append(ImageNotice("reasons.image.mended"))
    return image


def _mended_png(data: bytes) -> bytes:
    """`data` with those chunks only that show, if they are whole."""
    least = {
        b"tRNS": {b"\0": 2, b"\2": 6}.get(data[25:26], 1),
        b"gAMA": 4,
        b"cHRM": 32,
        b"sRGB": 1,
        b"iCCP": 3,
        b"cICP": 4,
    }
    least |= {b"acTL": 8, b"fcTL": 26, b"fdAT": 4, b"eXIf": 8}
    kept, at = [data[:8]], 8
    while at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        chunk = data[at : at + 12 + length]
        whole = chunk[-4:] == zlib.crc32(chunk[4:-4]).to_bytes(4, "big") and length >= least.get(kind, length + 1)
        if kind[0] < ord("a") or (whole and (kind != b"iCCP" or b"\0\0" in chunk[8:90])):  # zlib: method 0
            kept.append(chunk)
        at += 12 + length
    return b"".join(kept)


def _missing(image: Image.Image) -> float:
    """The share of rows that the decoder left as they are before it begins: 0 throughout, in JPEG mid-grey.

    Of an interlaced PNG, whose rows fill step by step, the share of pixels.
    """
    rows = [np.asarray(image.crop((0, top, image.width, top + 1))) for top in range(image.height)]
    if image.info.get("interlace"):
        return float(np.mean([(row.reshape(image.width, -1) == 0).all(axis=1).mean() for row in rows]))
    grey = 128 if image.format == "JPEG" else 0
    return float(np.mean([not row.any() or bool((row == grey).all()) for row in rows]))


def _largest_icon(stream: BinaryIO) -> BinaryIO:
    """The stream of an icon's largest picture, if that is a PNG; else the stream itself, its size checked.

    Pillow decodes an icon while it opens it, whatever size the picture inside has.
    """
    data = stream.read(MAX_BYTES)
    stream.seek(0)
    entries = [data[at : at + 16] for at in range(6, 6 + 16 * int.from_bytes(data[4:6], "little"), 16)]
    starts = {entry: int.from_bytes(entry[12:16], "little") for entry in entries if len(entry) == 16}
    png = b"\x89PNG\r\n\x1a\n"
    for start in starts.values():
        at, order = (start + 16, "big") if data[start : start + 8] == png else (start + 4, "little")
        width, height = (int.from_bytes(data[side : side + 4], order) for side in (at, at + 4))  # type: ignore[arg-type]
        _check_size(max(width, 1), max(height, 1))
    # A side of 256 is written as 0; of equal sizes the one of more colours.
    largest = max(starts, key=lambda entry: ((entry[0] or 256) * (entry[1] or 256), entry[6:8][::-1]), default=b"")
    start = starts.get(largest, 0)
    return io.BytesIO(data[start:]) if data[start : start + 8] == png else stream


def _scale_colour_key(image: ImageFile.ImageFile) -> None:
    """Brings PNG's transparent colour to the 8 bits that Pillow brings 2, 4 and 16 bits of grey and colour to."""
    key, layout = image.info.get("transparency"), image.tile[0][3] if image.format == "PNG" and image.tile else ""
    if isinstance(key, int) and layout in ("L;2", "L;4"):
        image.info["transparency"] = key * (85 if layout == "L;2" else 17)
    elif isinstance(key, tuple) and layout == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in key)


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


def _finished(
    image: Image.Image,
    stream: BinaryIO | None,
    notices: list[ImageNotice],
    frame: tuple[int, int, int, int] | None = None,
) -> Image.Image:
    """The loaded `image` as upright sRGB on white, at most `WORKING_PIXELS`.

    Worked in strips, so that only a strip is ever copied. Outside of `frame` (left, top, right, bottom) it is white.
    """
    width, height = image.size
    factor = _reduction(width, height)
    rows = factor * max(1, WORKING_PIXELS // (width * factor))
    convert = to_srgb(image, stream)
    tones = _tones(image, rows, notices)
    flat = Image.new("RGB", (math.ceil(width / factor), math.ceil(height / factor)))
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height)))
        if tones:
            strip = _toned(strip, *tones)
        strip = _on_white(strip, convert)
        if frame and frame != (0, 0, width, height):
            seen = (frame[0], max(frame[1] - top, 0), frame[2], max(frame[3] - top, 0))
            part, strip = strip.crop(seen), Image.new("RGB", strip.size, "white")
            strip.paste(part, seen[:2])
        flat.paste(strip.reduce(factor), (0, top // factor))
    return _upright(flat, image)


def _tones(image: Image.Image, rows: int, notices: list[ImageNotice]) -> tuple[float, float] | None:
    """The values that become black and white, for modes of more than 8 bits a channel; None for all others."""
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return None
    strips = (
        np.asarray(image.crop((0, top, image.width, min(top + rows, image.height))))
        for top in range(0, image.height, rows)
    )
    extremes = [(strip.min(), strip.max(), _whole(strip)) for strip in strips]
    low, high = min(low for low, _, _ in extremes), max(high for _, high, _ in extremes)
    usual = {"I": (255, 65535), "F": (1, 255)}.get(image.mode, (65535,))
    black, white = _range(float(low), float(high), all(whole for _, _, whole in extremes), usual, notices)
    # Pillow turns a TIFF of 8 bits whose 0 is white the right way round, but not a deeper one.
    inverted = image.format == "TIFF" and getattr(image, "tag_v2", {}).get(262, 1) == 0
    return (white, black) if inverted else (black, white)


def _range(
    low: float, high: float, whole: bool, usual: tuple[int, ...], notices: list[ImageNotice]
) -> tuple[float, float]:
    """The values that become black and white, by the rule that `open_image` states; a notice unless it is `usual`."""
    if low == high == 0:
        return 0.0, float(usual[0])
    fitting = [white for white in (_WHITES if whole else _WHITES[:2]) if low >= 0 and high <= white]
    black, white = (0.0, float(fitting[0])) if fitting else (low, high)
    if not fitting or fitting[0] not in usual:
        low_, high_, black_, white_ = (f"{value:g}" for value in (low, high, black, white))
        notices.append(ImageNotice("reasons.image.range", low=low_, high=high_, black=black_, white=white_))
    return black, white


def _whole(values: NDArray[Any]) -> bool:
    return not np.issubdtype(values.dtype, np.floating) or bool((values == np.rint(values)).all())


def _to_uint8(values: NDArray[Any], black: float, white: float) -> NDArray[np.uint8]:
    """`values` scaled linearly so that `black` is 0 and `white` is 255; a flat picture becomes black."""
    if not np.isfinite(values).all():
        raise ImageError("reasons.image.nan")
    span = white - black or 1.0
    return np.clip(np.rint((values.astype(np.float64) - black) * (255.0 / span)), 0, 255).astype(np.uint8)


def _toned(strip: Image.Image, black: float, white: float) -> Image.Image:
    values, key = np.asarray(strip), strip.info.get("transparency")
    toned = Image.fromarray(_to_uint8(values, black, white))
    if isinstance(key, int | float):
        toned.putalpha(Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8)))
    return toned


def _on_white(image: Image.Image, convert: Convert | None) -> Image.Image:
    if not image.has_transparency_data:
        return convert(image) if convert else image.convert("RGB")
    rgba = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
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


def _from_array(array: NDArray[Any], notices: list[ImageNotice]) -> Image.Image:
    """A PIL image of mode L, LA, RGB or RGBA."""
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in (1, 2, 3, 4):
        raise ImageError("reasons.image.array", shape=array.shape)
    _check_size(array.shape[1], array.shape[0])
    if array.dtype.kind not in "buif":
        raise ImageError("reasons.image.dtype", dtype=array.dtype)
    array = array.reshape(*array.shape[:2], channels)
    if array.dtype == np.bool_:
        array = np.where(array, np.uint8(255), np.uint8(0))
    elif array.dtype != np.uint8:
        usual = {"f": (1, 255)}.get(array.dtype.kind, (65535,) if array.dtype == np.uint16 else (255, 65535))
        colours, alpha = np.split(array, [channels - 1 if channels in (2, 4) else channels], axis=2)
        black, white = _range(float(colours.min()), float(colours.max()), _whole(colours), usual, notices)
        # Opaque is the colours' white, or the next range that holds what alpha says.
        opaque = min((top for top in _WHITES if top >= max(white, alpha.max(initial=0))), default=alpha.max(initial=1))
        array = np.concatenate([_to_uint8(colours, black, white), _to_uint8(alpha, 0, opaque)], axis=2)
    return Image.fromarray(np.ascontiguousarray(array[..., 0] if channels == 1 else array))
