"""Pictures and weight files as strangers bring them, good and bad, made by code and the same every time."""

import functools
import io
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from safetensors.torch import save

# Quadrants: red, green / blue, white. Large enough that lossy formats keep the middle of each.
COLOURS = {(0, 0): (255, 0, 0), (0, 1): (0, 255, 0), (1, 0): (0, 0, 255), (1, 1): (255, 255, 255)}
SIDE = 64


def card(side: int = SIDE) -> Image.Image:
    """The RGB picture that most good files show."""
    pixels = np.zeros((side, side, 3), np.uint8)
    half = side // 2
    for (row, col), colour in COLOURS.items():
        pixels[row * half : (row + 1) * half, col * half : (col + 1) * half] = colour
    return Image.fromarray(pixels)


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def png(width: int, height: int, bits: int, colour_type: int, rows: bytes, **chunks: bytes) -> bytes:
    """A PNG written by hand, for what Pillow does not write: 16-bit colour, false sizes, `chunks` before the pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    first = chunk(b"IHDR", header) + b"".join(chunk(kind.encode(), content) for kind, content in chunks.items())
    return b"\x89PNG\r\n\x1a\n" + first + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


def icc(space: bytes, tags: dict[bytes, bytes], kind: bytes = b"mntr", connection: bytes = b"XYZ ") -> bytes:
    """An ICC profile, version 2, written by hand: of an RGB, GRAY or CMYK space with these tags."""
    start, table, body = 132 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data
    head = struct.pack(">I4xI", start + len(body), 0x02400000) + kind + space + connection
    head += struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def icc_xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


def icc_gamma(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


# Red, green and blue as X, Y, Z under D50, and the exponent: as the profiles of these names have them.
WIDE = {
    "Display P3": (((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841)), 2.2),
    "Adobe RGB": (((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446)), 2.2),
    "ProPhoto": (((0.7977, 0.2880, 0.0), (0.1352, 0.7119, 0.0), (0.0313, 0.0001, 0.8249)), 1.8),
}


def rgb_profile(name: str) -> bytes:
    """The ICC profile of one of `WIDE`."""
    primaries, gamma = WIDE[name]
    tags = {b"wtpt": icc_xyz((0.9642, 1.0, 0.8249)), **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), icc_gamma(gamma))}
    return icc(b"RGB ", tags | dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(icc_xyz, primaries), strict=True)))


def grey_profile(gamma: float) -> bytes:
    return icc(b"GRAY", {b"wtpt": icc_xyz((0.9642, 1.0, 0.8249)), b"kTRC": icc_gamma(gamma)})


def cmyk_profile(cyan: tuple[float, float, float]) -> bytes:
    """A press that prints full cyan as this L*, a*, b* and every other mixture of full inks as a grey or black."""
    corners = np.zeros((2, 2, 2, 2, 3), np.uint8)  # by C, M, Y, K: none or full
    for inks in np.ndindex(2, 2, 2, 2):
        lightness = 0 if inks[3] else 255 - 85 * sum(inks[:3])
        corners[inks] = (lightness, 128, 128)
    corners[1, 0, 0, 0] = (round(cyan[0] * 2.55), round(cyan[1] + 128), round(cyan[2] + 128))
    unit = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    ramp = bytes(range(256))
    table = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + unit + 4 * ramp + corners.tobytes() + 3 * ramp
    return icc(b"CMYK", {b"wtpt": icc_xyz((0.9642, 1.0, 0.8249)), b"A2B0": table}, b"prtr", b"Lab ")


def _png_16_bit_rgb() -> bytes:
    pixels = np.asarray(card()).astype(">u2") * 257
    return png(SIDE, SIDE, 16, 2, b"".join(b"\0" + row.tobytes() for row in pixels))


def _ycck_jpeg() -> bytes:
    """A CMYK JPEG whose Adobe marker says that C, M, Y are stored as Y, Cb, Cr: as Photoshop writes them."""
    # Photoshop stores ink inverted (255 = none), and YCCK turns C, M, Y into Y, Cb, Cr as if they were 255 - R, G, B.
    y, cb, cr = ImageOps.invert(card()).convert("YCbCr").split()
    no_ink = Image.new("L", (SIDE, SIDE), 255)
    # Pillow inverts CMYK on the way into the file; inverting here as well leaves these planes as they are.
    planes = Image.merge("CMYK", [ImageOps.invert(plane) for plane in (y, cb, cr, no_ink)])
    data = encoded(planes, "JPEG", quality=95)
    transform = data.index(b"Adobe") + 11
    return data[:transform] + b"\x02" + data[transform + 1 :]


def _transparent() -> Image.Image:
    """RGB + alpha: the lower right quadrant is black and fully transparent, so white on white paper."""
    image = card().convert("RGBA")
    image.paste((0, 0, 0, 0), (SIDE // 2, SIDE // 2, SIDE, SIDE))
    return image


def _palette_with_transparency() -> bytes:
    image = card().quantize(8)
    white = image.getpixel((SIDE - 1, SIDE - 1))
    image.putpalette([0 if i // 3 == white else value for i, value in enumerate(image.getpalette() or [])])
    return encoded(image, "PNG", transparency=white)


def _orientation(value: int, format: str) -> bytes:
    """The card turned away, with the EXIF orientation that turns it back."""
    away = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[value]
    image = card() if away is None else card().transpose(away)
    exif = Image.Exif()
    exif[0x0112] = value
    return encoded(image, format, exif=exif)


def _animated_behind_another() -> bytes:
    """An animation that begins with the card; only what knows no animations shows black."""
    others = [card(), Image.new("RGB", (SIDE, SIDE), "yellow")]
    return encoded(Image.new("RGB", (SIDE, SIDE)), "PNG", save_all=True, default_image=True, append_images=others)


def _animated(format: str) -> bytes:
    others = [Image.new("RGB", (SIDE, SIDE), colour) for colour in ("black", "yellow")]
    return encoded(card(), format, save_all=True, append_images=others, duration=100)


@functools.cache
def colour_files() -> dict[str, bytes]:
    """Files that all show `card()`."""
    image = card()
    files = {
        "jpeg": encoded(image, "JPEG", quality=95),
        "jpeg progressive": encoded(image, "JPEG", quality=95, progressive=True),
        "png": encoded(image, "PNG"),
        "webp": encoded(image, "WEBP", quality=95),
        "webp lossless": encoded(image, "WEBP", lossless=True),
        "gif": encoded(image, "GIF"),
        "tiff": encoded(image, "TIFF"),
        "tiff deflate": encoded(image, "TIFF", compression="tiff_adobe_deflate"),
        "bmp": encoded(image, "BMP"),
        "avif": encoded(image, "AVIF", quality=95),
        "mpo": encoded(image, "MPO", save_all=True, append_images=[Image.new("RGB", (SIDE, SIDE))], quality=95),
        "cmyk jpeg": encoded(image.convert("CMYK"), "JPEG", quality=95),
        "cmyk tiff": encoded(image.convert("CMYK"), "TIFF"),
        "ycck jpeg": _ycck_jpeg(),
        "16-bit rgb png": _png_16_bit_rgb(),
        "palette png": encoded(image.quantize(8), "PNG"),
        "palette png with transparency": _palette_with_transparency(),
        "rgba png": encoded(_transparent(), "PNG"),
        "rgba webp": encoded(_transparent(), "WEBP", lossless=True),
        "rgba tiff": encoded(_transparent(), "TIFF"),
        "transparent gif": encoded(_transparent(), "GIF"),
        "colour-key png": encoded(_transparent().convert("RGB"), "PNG", transparency=(0, 0, 0)),
        "animated gif": _animated("GIF"),
        "animated webp": _animated("WEBP"),
        "animated png": _animated("PNG"),
        "animated png behind another picture": _animated_behind_another(),
        "animated avif": _animated("AVIF"),
    }
    for value in range(1, 9):
        files[f"jpeg orientation {value}"] = _orientation(value, "JPEG")
    for format in ("PNG", "WEBP", "TIFF"):
        files[f"{format.lower()} orientation 6"] = _orientation(6, format)
    return files


def ramp(top: float, dtype: str) -> NDArray[np.generic]:
    """(16, 256): every row rises evenly from 0 to `top`."""
    return np.tile(np.linspace(0, top, 256), (16, 1)).astype(dtype)


@functools.cache
def grey_files() -> dict[str, bytes]:
    """Files that all show a ramp from black, on the left, to white."""
    grey = Image.fromarray(ramp(255, "uint8"))
    return {
        "grey jpeg": encoded(grey, "JPEG", quality=95),
        "grey png": encoded(grey, "PNG"),
        "grey + alpha png": encoded(Image.merge("LA", [grey, Image.new("L", grey.size, 255)]), "PNG"),
        "16-bit png": encoded(Image.fromarray(ramp(65535, "uint16")), "PNG"),
        "16-bit tiff": encoded(Image.fromarray(ramp(65535, "uint16")), "TIFF"),
        "32-bit tiff": encoded(Image.fromarray(ramp(65535, "int32")), "TIFF"),
        "32-bit tiff with large values": encoded(Image.fromarray(ramp(10_000_000, "int32") - 5_000_000), "TIFF"),
        "float tiff to 1": encoded(Image.fromarray(ramp(1, "float32")), "TIFF"),
        "float tiff to 255": encoded(Image.fromarray(ramp(255, "float32")), "TIFF"),
        "float tiff of heights": encoded(Image.fromarray(ramp(4000, "float32") + 300), "TIFF"),
    }


@functools.cache
def wide_files() -> dict[str, bytes]:
    """Files in other colours than sRGB, all of them one flat colour but where the name says "photograph"."""
    flat = Image.new("RGB", (SIDE, SIDE), (200, 60, 60))
    rows = b"".join(b"\0" + row.tobytes() for row in np.asarray(flat))
    see_through = Image.new("RGBA", (SIDE, SIDE), (200, 60, 60, 128))
    grey = Image.new("L", (SIDE, SIDE), 128)
    profile = rgb_profile("Display P3")
    p3 = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
    avif = encoded(flat, "AVIF", quality=100, subsampling="4:4:4")
    codes = avif.index(b"colrnclx") + 8
    return {
        **{f"{name} png": encoded(flat, "PNG", icc_profile=rgb_profile(name)) for name in WIDE},
        "p3 jpeg": encoded(flat, "JPEG", quality=100, subsampling=0, icc_profile=profile),
        "p3 webp": encoded(flat, "WEBP", lossless=True, icc_profile=profile),
        "p3 tiff": encoded(flat, "TIFF", icc_profile=profile),
        "p3 avif": encoded(flat, "AVIF", quality=100, subsampling="4:4:4", icc_profile=profile),
        "p3 palette png": encoded(flat.quantize(4), "PNG", icc_profile=profile),
        "p3 half-transparent png": encoded(see_through, "PNG", icc_profile=profile),
        "p3 half-transparent webp": encoded(see_through, "WEBP", lossless=True, icc_profile=profile),
        "grey png of gamma 1": encoded(grey, "PNG", icc_profile=grey_profile(1.0)),
        "grey jpeg of gamma 1": encoded(grey, "JPEG", quality=100, icc_profile=grey_profile(1.0)),
        "grey + alpha png of gamma 1": encoded(Image.merge("LA", [grey, grey]), "PNG", icc_profile=grey_profile(1.0)),
        "gAMA png": png(SIDE, SIDE, 8, 2, rows, gAMA=struct.pack(">I", 100000)),
        "gAMA + cHRM png": png(SIDE, SIDE, 8, 2, rows, gAMA=struct.pack(">I", 45455), cHRM=p3),
        "cHRM png": png(SIDE, SIDE, 8, 2, rows, cHRM=p3),
        "sRGB + gAMA png": png(SIDE, SIDE, 8, 2, rows, sRGB=b"\0", gAMA=struct.pack(">I", 100000)),
        "cICP png": png(SIDE, SIDE, 8, 2, rows, cICP=bytes((12, 13, 0, 1))),
        "cICP png of BT.709": png(SIDE, SIDE, 8, 2, rows, cICP=bytes((9, 1, 0, 1))),
        "nclx avif": avif[:codes] + struct.pack(">HH", 12, 13) + avif[codes + 4 :],
    }


def _rows(values: NDArray[np.generic], bits: int) -> bytes:
    """PNG's rows, no filter, of (h, w) or (h, w, channels) values with this many bits each."""
    if bits >= 8:
        return b"".join(b"\0" + row.astype(f">u{bits // 8}").tobytes() for row in values)
    lines = ("".join(format(int(value), f"0{bits}b") for value in row) for row in values)
    return b"".join(b"\0" + int(line, 2).to_bytes(len(line) // 8) for line in lines)


@functools.cache
def see_through_files() -> dict[str, tuple[bytes, list[int]]]:
    """Files 8 pixels wide whose rows are equal and grey, and the greys a row shows on white paper."""
    steps = np.tile(np.arange(8), (8, 1))
    palette = bytes(value for step in range(8) for value in (step * 30,) * 3)
    eight, sixteen = steps * 30, steps * 30 * 257
    half = np.full_like(steps, 128)
    ramp_down = (7 - steps) * 36
    files: dict[str, tuple[bytes, NDArray[np.generic]]] = {}
    for bits, scale in ((1, 255), (2, 85), (4, 17), (8, 1)):
        shades = steps % 2**bits
        for key in (0, 1):
            data = png(8, 8, bits, 0, _rows(shades, bits), tRNS=struct.pack(">H", key))
            files[f"grey of {bits} bits, {key} is clear"] = (data, np.where(shades == key, 255, shades * scale))
    for key in (0, 3 * 30 * 257):
        deep = png(8, 8, 16, 0, _rows(sixteen * 255 // 210, 16), tRNS=struct.pack(">H", key * 255 // 210))
        files[f"grey of 16 bits, {key} is clear"] = (deep, np.where(sixteen == key, 255, steps * 255 / 7))
        for bits, shades in ((8, eight), (16, sixteen)):
            data = png(
                8,
                8,
                bits,
                2,
                _rows(shades[..., None].repeat(3, 2), bits),
                tRNS=struct.pack(">H", key // 257 if bits == 8 else key) * 3,
            )
            files[f"colour of {bits} bits, {key} is clear"] = (data, np.where(sixteen == key, 255, eight))
    for alphas in ([0], [0, 128], [255, 0], [255, 40, 0, 77]):
        alpha = np.array([*alphas, *[255] * (8 - len(alphas))])[steps] / 255
        data = png(8, 8, 8, 3, _rows(steps, 8), PLTE=palette, tRNS=bytes(alphas))
        files[f"palette with {alphas}"] = (data, eight * alpha + 255 * (1 - alpha))
    for bits, scale in ((8, 1), (16, 257)):
        over = eight * ramp_down / 255 + 255 - ramp_down
        files[f"grey + alpha of {bits} bits"] = (
            png(8, 8, bits, 4, _rows(np.stack([eight, ramp_down], -1) * scale, bits)),
            over,
        )
        colours = np.stack([eight, eight, eight, ramp_down], -1) * scale
        files[f"colour + alpha of {bits} bits"] = (png(8, 8, bits, 6, _rows(colours, bits)), over)
    rgba = Image.fromarray(np.stack([eight, eight, eight, half], -1).astype(np.uint8))
    faint = eight * 128 / 255 + 255 - 128
    files["lossless webp"] = (encoded(rgba, "WEBP", lossless=True, exact=True), faint)
    files["tiff"] = (encoded(rgba, "TIFF"), faint)
    files["icon with a png"] = (encoded(rgba, "ICO", sizes=[(8, 8)]), faint)
    files["icon with a bitmap"] = (encoded(rgba, "ICO", sizes=[(8, 8)], bitmap_format="bmp"), faint)
    # A GIF whose only frame covers the columns 2 to 5.
    frame = Image.fromarray(np.full((8, 4), 1, np.uint8), "P")
    frame.putpalette([255, 0, 0, 90, 90, 90])
    small = encoded(frame, "GIF")
    wide = small[:6] + struct.pack("<HH", 8, 8) + small[10:]
    at = wide.index(b"\x2c\0\0\0\0\x04\0\x08\0")
    files["gif of a small frame"] = (
        wide[: at + 1] + struct.pack("<HH", 2, 0) + wide[at + 5 :],
        np.array([[255] * 2 + [90] * 4 + [255] * 2]),
    )
    return {name: (data, [round(float(value)) for value in shown[0]]) for name, (data, shown) in files.items()}


def _chunk(kind: bytes, content: bytes, check: int | None = None) -> bytes:
    check = zlib.crc32(kind + content) if check is None else check
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


@functools.cache
def slightly_damaged_files() -> dict[str, bytes]:
    """Files that show `card()` but for their last rows at most, as browsers do."""
    plain = encoded(card(), "PNG")
    jpeg, progressive = (encoded(card(), "JPEG", quality=95, progressive=each) for each in (False, True))
    damaged = {
        "tEXt with a wrong check sum": _chunk(b"tEXt", b"a\0b", check=7),
        "iCCP that is no stream": _chunk(b"iCCP", b"x\0\0nonsense"),
        "iCCP packed in another way": _chunk(b"iCCP", b"x\0\7" + zlib.compress(b"abc")),
        "iCCP of 3 MB": _chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(3 << 20))),
        "zTXt of 3 MB": _chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(3 << 20))),
        "short gAMA": _chunk(b"gAMA", b"\0"),
        "short cHRM": _chunk(b"cHRM", b"\0\0\0"),
        "short tRNS": _chunk(b"tRNS", b"\0"),
        "short pHYs": _chunk(b"pHYs", b"\0"),
        "eXIf of noise": _chunk(b"eXIf", b"zz"),
    }
    return {
        **{f"png, {name}": plain[:33] + chunk + plain[33:] for name, chunk in damaged.items()},
        "png without its end": plain[:-12],
        "png, wrong check sum of the pixels": plain[:-16] + bytes(4) + plain[-12:],
        "png, more behind it": plain + b"more" * 20,
        "jpeg without its end": jpeg[:-2],
        "jpeg cut by 3 bytes": jpeg[:-3],
        "jpeg, more behind it": jpeg + bytes(50),
        "progressive jpeg cut by 3 bytes": progressive[:-3],
        "bmp cut by 20 bytes": encoded(card(), "BMP")[:-20],
        "gif without its end": encoded(card(), "GIF")[:-1],
    }


@functools.cache
def odd_files() -> dict[str, tuple[bytes, tuple[int, int]]]:
    """Files that open, and the (width, height) they open at."""
    black = Image.new("1", (33, 7))
    return {
        "1 × 1": (encoded(Image.new("RGB", (1, 1)), "PNG"), (1, 1)),
        "1 × 5000": (encoded(Image.new("RGB", (1, 5000)), "PNG"), (1, 5000)),
        "5000 × 1": (encoded(Image.new("RGB", (5000, 1)), "JPEG"), (5000, 1)),
        "1-bit png": (encoded(black, "PNG"), (33, 7)),
        "1-bit tiff": (encoded(black, "TIFF", compression="group4"), (33, 7)),
        "1-bit bmp": (encoded(black, "BMP"), (33, 7)),
        "icon of three sizes": (encoded(card(), "ICO", sizes=[(16, 16), (48, 48), (32, 32)]), (48, 48)),
        "flat float tiff": (encoded(Image.new("F", (9, 9), 7000), "TIFF"), (9, 9)),
        "12 million pixels": (encoded(Image.new("RGB", (4000, 3000)), "JPEG"), (2000, 1500)),
        "unreadable exif": (encoded(card(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff"), (SIDE, SIDE)),
    }


def _patched(data: bytes, at: int, size: str, width: int, height: int) -> bytes:
    """`data` with another width and height written at `at`."""
    numbers = struct.pack(size, width, height)
    return data[:at] + numbers + data[at + len(numbers) :]


def _repeated_scans() -> bytes:
    data = encoded(Image.new("L", (4000, 4000), 128), "JPEG", progressive=True)
    return data[:-2] + data[data.rindex(b"\xff\xda") : -2] * 200 + data[-2:]


def _icon_around(data: bytes) -> bytes:
    return b"\0\0\1\0\1\0" + bytes((16, 16, 0, 0)) + struct.pack("<HHII", 1, 32, len(data), 22) + data


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("picture.png", encoded(card(), "PNG"))
    return buffer.getvalue()


@functools.cache
def bad_files() -> dict[str, tuple[bytes, str]]:
    """Files that cannot be opened, and a part of the sentence that says why."""
    jpeg, gif, bmp, webp = (encoded(card(), format) for format in ("JPEG", "GIF", "BMP", "WEBP"))
    nan = ramp(1, "float32")
    nan[3, 5] = np.nan
    return {
        "empty": (b"", "is empty"),
        "one byte": (b"\x89", "not a picture"),
        "text": (b"Dear all,\n\nplease find the picture attached.\n", "not a picture"),
        "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'><rect width='9' height='9'/></svg>", "not a picture"),
        "zip": (_zip(), "not a picture"),
        "heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200), "HEIC"),
        "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", "not a picture"),
        # A real one: 50 MB of zeros unpack from 50 kB.
        "decompression bomb png": (png(20000, 20000, 1, 0, bytes(20000 * 2501)), "million pixels"),
        "66 million pixels png": (png(8200, 8050, 1, 0, bytes(8050 * 1026)), "8200 × 8050"),
        "claimed 100 million pixels png": (png(10000, 10000, 8, 2, b"\0"), "10000 × 10000"),
        "claimed size jpeg": (_patched(jpeg, jpeg.index(b"\xff\xc0") + 5, ">HH", 65535, 65535), "million pixels"),
        "claimed size gif": (_patched(gif, 6, "<HH", 65535, 65535), "million pixels"),
        "claimed size bmp": (_patched(bmp, 18, "<ii", 2**31 - 1, 2**31 - 1), "million pixels"),
        # Both sides are in the header: its decoder would take 16 bytes a pixel.
        "claimed 36 million pixels webp": (
            _patched(webp, webp.index(b"\x9d\x01\x2a") + 3, "<HH", 6000, 6000),
            "at most 32",
        ),
        "icon of 100 million pixels": (_icon_around(png(10000, 10000, 1, 0, bytes(10000 * 1251))), "10000 × 10000"),
        "jpeg of 200 scans": (_repeated_scans(), "times over"),
        "float tiff with nan": (encoded(Image.fromarray(nan), "TIFF"), "NaN"),
        "png without pixels": (png(64, 64, 8, 2, b""), "damaged"),
        **{
            f"truncated {format.lower()}": (data[: len(data) * 6 // 10], "")
            for format in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")
            for data in [encoded(Image.effect_noise((SIDE, SIDE), 80).convert("RGB"), format)]
        },
    }


def block_tensors(channels: int, prefix: str = "") -> dict[str, torch.Tensor]:
    """The ten tensors of one AttnBlock, from a fixed seed."""
    generator = torch.Generator().manual_seed(channels)
    tensors = {}
    for layer in ("norm", "q", "k", "v", "proj_out"):
        shape = (channels,) if layer == "norm" else (channels, channels, 1, 1)
        tensors[f"{prefix}{layer}.weight"] = torch.randn(shape, generator=generator)
        tensors[f"{prefix}{layer}.bias"] = torch.randn(channels, generator=generator)
    return tensors


class _Opens:
    """Unpickles by calling `open` on a path: harmless, but it shows that code ran."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, (self.path, "w")


@functools.cache
def bad_weights(channels: int = 64, marker: str = "/nonexistent/marker") -> dict[str, tuple[bytes, str]]:
    """Weight files that cannot be used for `channels` channels, and a part of the sentence that says why.

    Unpickling the pickle would create the file `marker`.
    """
    good = block_tensors(channels)
    data = save(good)
    checkpoint = io.BytesIO()
    torch.save(good, checkpoint)
    wrong_value = block_tensors(channels)
    wrong_value["k.weight"][3, 5] = torch.nan
    infinite = block_tensors(channels)
    infinite["norm.bias"][0] = torch.inf
    wrong_shape = block_tensors(channels)
    wrong_shape["v.weight"] = torch.zeros(channels, channels, 3, 3)
    return {
        "empty": (b"", "not a safetensors file"),
        "text": (b"just some words, nothing else", "not a safetensors file"),
        "pickle": (pickle.dumps(_Opens(marker)), "not a safetensors file"),
        "torch.save": (checkpoint.getvalue(), "not a safetensors file"),
        "2 GB header": (struct.pack("<Q", 2 * 2**30) + data[8:], "header of 2147483648 bytes"),
        "endless header": (struct.pack("<Q", 2**64 - 1) + data[8:], "header of"),
        "truncated": (data[: len(data) // 2], "damaged"),
        "cut in the header": (data[:100], "header of"),
        "broken header": (data[:9] + b"\xff" + data[10:], "damaged"),
        "nan": (save(wrong_value), "k.weight holds NaN"),
        "infinite": (save(infinite), "norm.bias holds NaN or infinite"),
        "wrong shape": (save(wrong_shape), "v.weight of shape (64, 64), got (64, 64, 3, 3)"),
        "other channels": (save(block_tensors(32)), "no block that takes 64 channels; it holds unnamed (32: –)."),
        "two blocks": (
            save(block_tensors(channels, "encoder.mid.attn_1.") | block_tensors(channels, "decoder.mid.attn_1.")),
            "please choose one: decoder.mid.attn_1 (64), encoder.mid.attn_1 (64).",
        ),
        "no block": (save({"fc.weight": torch.zeros(3)}), "no attention block in a known layout"),
        "part of a block": (save({name: t for name, t in good.items() if name != "k.bias"}), "unnamed lacks k.bias"),
        "integers": (save({name: t.int() for name, t in good.items()}), "numbers of type I32"),
        "overflow": (save({name: t * 1e20 for name, t in good.items()}), "what is computed with them overflows"),
        "two heads": (save(good, {"heads": "2"}), "unnamed has 2 heads"),
    }
