"""What a file says its colours are, and the way from there to sRGB, as a browser shows them.

Looked at in the order browsers follow: code points (PNG's cICP, AVIF's nclx box), an ICC profile, PNG's sRGB chunk,
PNG's gamma and chromaticities. A profile that cannot be read, or does not fit the picture, is left aside; so are HDR
code points (PQ, HLG), whose way to a white of 255 is a matter of taste.
"""

import contextlib
import functools
import io
import struct
from collections.abc import Callable
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

# x, y of white, red, green and blue by their number in ITU-T H.273, table 2.
_D65 = (0.3127, 0.3290)
SRGB_PRIMARIES = (*_D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
_PRIMARIES = {
    1: SRGB_PRIMARIES,
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*_D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    7: (*_D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    9: (*_D65, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    12: (*_D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
}
_HEAD = 64 * 1024  # cICP and nclx stand near a file's beginning
_KEPT_BYTES = 64 * 1024  # of a profile whose transform is kept: a display's has a few thousand
# By ICC's classes: input, display, output and colour space. Links, abstract and named colours describe no picture.
_CLASSES = {"scnr", "mntr", "prtr", "spac"}
_FITTING = {"RGB": {"RGB", "RGBA", "RGBX", "RGBa", "P", "PA", "1", "L", "LA", "La"}, "CMYK": {"CMYK"}}
_FITTING["GRAY"] = {"1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"}
_MODE_OF = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_D50 = np.array([0.9642, 1.0, 0.8249])

Convert = Callable[[Image.Image], Image.Image]
Curve = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def to_srgb(image: Image.Image, stream: BinaryIO | None = None) -> Convert | None:
    """What turns a piece of ``image``, 8 bits a channel and opaque, into sRGB; None where that changes nothing.

    ``stream`` holds the file that ``image`` was opened from, for what Pillow does not tell of it.
    """
    # Whatever is wrong with a profile, the picture is still a picture.
    with contextlib.suppress(Exception):
        profile = _profile(image, stream)
        if not profile:
            return None
        # Working a transform out takes longer than the picture; most pictures have one of a few profiles.
        find = _from_profile if len(profile) <= _KEPT_BYTES else _from_profile.__wrapped__
        convert, modes = find(profile)
        return convert if image.mode in modes else None
    return None


@functools.lru_cache(maxsize=16)
def _from_profile(data: bytes) -> tuple[Convert | None, set[str]]:
    """What turns a picture with this profile into sRGB, None where that changes nothing, and the modes it is for."""
    profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
    space = profile.profile.xcolor_space.strip()
    if profile.profile.device_class not in _CLASSES:
        return None, set()
    mode = _MODE_OF[space]
    # What makes a transform fast joins a grey's curve from 33 points, up to 10 values beside it.
    flags = ImageCms.Flags.NOOPTIMIZE if mode == "L" else ImageCms.Flags.NONE
    transform = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB", flags=flags)

    def convert(piece: Image.Image) -> Image.Image:
        return transform.apply(piece.convert(mode))

    probe = _probe(mode)
    moved = np.asarray(convert(probe)).astype(int) - np.asarray(probe.convert("RGB"))
    return convert if np.abs(moved).max() > 1 else None, _FITTING[space]  # 1: sRGB by another name, and rounding


def matrix_profile(primaries: tuple[float, ...], curve: Curve) -> bytes:
    """An ICC profile of a display with these primaries, x, y of white, red, green and blue.

    ``curve`` gives the light, 0 to 1, that a value of 0 to 1 stands for.
    """
    white, *colours = (
        np.array([x / y, 1.0, (1 - x - y) / y]) for x, y in zip(primaries[::2], primaries[1::2], strict=True)
    )
    columns = np.stack(colours, axis=1)
    columns = columns * np.linalg.solve(columns, white)
    columns = np.linalg.inv(_BRADFORD) @ np.diag(_BRADFORD @ _D50 / (_BRADFORD @ white)) @ _BRADFORD @ columns
    steps = np.clip(np.rint(65535 * curve(np.linspace(0, 1, 4096))), 0, 65535).astype(">u2").tobytes()
    tone = b"curv\0\0\0\0" + struct.pack(">I", 4096) + steps
    tags = {b"wtpt": _xyz(_D50), b"rTRC": tone, b"gTRC": tone, b"bTRC": tone}
    tags |= {name: _xyz(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns.T, strict=True)}
    start, table, body = 132 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data
    head = struct.pack(">I4xI", start + len(body), 0x02400000) + b"mntrRGB XYZ "
    head += struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _xyz(_D50)[8:]
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def _xyz(values: NDArray[np.float64]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(float(value) * 65536) for value in values))


def _profile(image: Image.Image, stream: BinaryIO | None) -> bytes | None:
    data = _coded(image.format, stream) if stream else None
    data = image.info.get("icc_profile") if data is None else data
    if data is None and image.format == "PNG" and "srgb" not in image.info:
        data = _gamma_and_primaries(image)
    return data


def _coded(format: str | None, stream: BinaryIO) -> bytes | None:
    """The profile that code points of ITU-T H.273 name; b"" for those that are left aside, None without any."""
    position = stream.tell()
    stream.seek(0)
    head = stream.read(_HEAD)
    stream.seek(position)
    if format == "PNG" and (content := _png_chunk(head, b"cICP")):
        primaries, transfer, matrix, full = content
        if matrix or not full:
            return None
    elif format == "AVIF" and b"colrnclx" in head:
        primaries, transfer = struct.unpack_from(">HH", head, head.index(b"colrnclx") + 8)
        # As browsers do: photographs that say BT.709 mean what every screen shows, which is sRGB.
        transfer = 13 if transfer in (1, 6, 14, 15) else transfer
    else:
        return None
    curve = _CURVES.get(transfer)
    if 2 in (primaries, transfer):  # "unspecified"
        return None
    return matrix_profile(_PRIMARIES[primaries], curve) if curve and primaries in _PRIMARIES else b""


def _png_chunk(head: bytes, kind: bytes) -> bytes | None:
    """The content of the first chunk of this kind, if it stands before the pixels."""
    at = 8
    while at + 8 <= len(head) and head[at + 4 : at + 8] != b"IDAT":
        length = int.from_bytes(head[at : at + 4], "big")
        if head[at + 4 : at + 8] == kind:
            return head[at + 8 : at + 8 + length]
        at += 12 + length
    return None


def _gamma_and_primaries(image: Image.Image) -> bytes | None:
    """The profile that PNG's gAMA and cHRM describe. Primaries without a gamma are left aside, as by browsers."""
    gamma, primaries = image.info.get("gamma"), image.info.get("chromaticity")
    if not gamma or (primaries is None and abs(gamma - 1 / 2.2) < 0.001):  # how writers say sRGB in one number
        return None
    return matrix_profile(primaries or SRGB_PRIMARIES, lambda value: value ** (1 / gamma))


def _probe(mode: str) -> Image.Image:
    """Every grey, and colours from all over the cube."""
    steps = np.linspace(0, 255, 7).astype(np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    greys = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2)
    return Image.fromarray(np.concatenate([greys, cube], axis=1)).convert(mode)


def _srgb(value: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


# By number in ITU-T H.273, table 3.
_CURVES: dict[int, Curve] = {
    # BT.709 gives what a camera does; what a screen makes of it is BT.1886.
    **dict.fromkeys((1, 6, 14, 15), lambda value: value**2.4),
    4: lambda value: value**2.2,
    5: lambda value: value**2.8,
    8: lambda value: value,
    13: _srgb,
}
