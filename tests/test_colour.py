"""A file's own colours arrive as sRGB: the values a browser shows, from profiles written by hand."""

import io
import struct
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from gradio.media import get_image
from numpy.typing import NDArray
from PIL import Image, ImageCms

from attn import Inspector
from attn.colour import matrix_profile
from attn.images import open_image
from tests import corpus

# sRGB's red, green and blue as X, Y, Z under D50 (IEC 61966-2-1, Bradford).
SRGB = np.array([[0.4360, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])
PIECES = [(200, 60, 60), (20, 200, 90), (255, 255, 255), (0, 0, 0), (128, 128, 128), (90, 20, 250), (250, 200, 10)]


def shown(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """sRGB's values, 0 to 255, of linear light 0 to 1; what lies outside is cut."""
    light = np.clip(light, 0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def expected(colour: tuple[int, ...], name: str) -> NDArray[np.float64]:
    primaries, gamma = corpus.WIDE[name]
    return shown(np.linalg.inv(SRGB) @ np.array(primaries).T @ (np.array(colour) / 255) ** gamma)


def seen(data: bytes) -> tuple[int, ...]:
    image = open_image(data)
    assert image.getextrema() == tuple((value, value) for value in image.getpixel((0, 0)))
    return image.getpixel((5, 5))


@pytest.mark.parametrize("colour", PIECES)
@pytest.mark.parametrize("name", corpus.WIDE)
def test_rgb_profiles(name: str, colour: tuple[int, int, int]) -> None:
    picture = Image.new("RGB", (16, 16), colour)
    value = seen(corpus.encoded(picture, "PNG", icc_profile=corpus.rgb_profile(name)))
    assert np.abs(value - expected(colour, name)).max() <= 1.5


@pytest.mark.parametrize("kind", ["jpeg", "webp", "tiff", "avif", "palette png"])
def test_every_format_carries_its_profile(kind: str) -> None:
    value = seen(corpus.wide_files()[f"p3 {kind}"])
    assert np.abs(value - expected((200, 60, 60), "Display P3")).max() <= 2


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_colours_are_converted_before_they_are_laid_on_white(kind: str) -> None:
    value = seen(corpus.wide_files()[f"p3 half-transparent {kind}"])
    share = 128 / 255
    assert np.abs(value - (share * expected((200, 60, 60), "Display P3") + 255 * (1 - share))).max() <= 2


@pytest.mark.parametrize("kind", ["grey png", "grey jpeg"])
def test_grey_profiles(kind: str) -> None:
    assert np.abs(seen(corpus.wide_files()[f"{kind} of gamma 1"]) - shown(np.array(128 / 255))).max() <= 1


def test_a_deep_grey_has_a_profile_too() -> None:
    data = corpus.encoded(Image.fromarray(corpus.ramp(65535, "uint16")), "PNG", icc_profile=corpus.grey_profile(1.0))
    row = np.asarray(open_image(data))[0, :, 0]
    assert np.abs(row - shown(np.linspace(0, 1, 256))).max() <= 1


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_profiles(format: str) -> None:
    profile = corpus.cmyk_profile((60.0, -20.0, -40.0))
    full_cyan = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    lightness, a, b = 60, -20, -40
    y = (lightness + 16) / 116
    xyz = np.array([0.9642 * (y + a / 500) ** 3, y**3, 0.8249 * (y - b / 200) ** 3])
    value = seen(
        corpus.encoded(full_cyan, format, icc_profile=profile, **({"quality": 100} if format == "JPEG" else {}))
    )
    assert np.abs(value - shown(np.linalg.inv(SRGB) @ xyz)).max() <= 2
    assert seen(corpus.encoded(Image.new("CMYK", (16, 16)), format, icc_profile=profile)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("name", "value"),
    [  # as Chromium draws them
        ("gAMA png", (229, 133, 133)),
        ("gAMA + cHRM png", (219, 37, 49)),
        ("cHRM png", (200, 60, 60)),
        ("sRGB + gAMA png", (200, 60, 60)),
        ("cICP png", (217, 42, 52)),
        ("cICP png of BT.709", (244, 0, 40)),
        ("nclx avif", (217, 42, 52)),
    ],
)
def test_what_files_say_without_a_profile(name: str, value: tuple[int, ...]) -> None:
    assert np.abs(np.subtract(seen(corpus.wide_files()[name]), value)).max() <= 1


def test_srgb_by_another_name_moves_nothing() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for format in ("PNG", "WEBP"):
        options = {"lossless": True} if format == "WEBP" else {}
        noise = Image.effect_noise((32, 32), 90).convert("RGB")
        assert np.array_equal(open_image(corpus.encoded(noise, format, icc_profile=profile, **options)), noise)


def _link() -> bytes:
    return corpus.rgb_profile("ProPhoto").replace(b"mntr", b"link")


@pytest.mark.parametrize(
    "profile",
    [
        b"no profile",
        corpus.rgb_profile("ProPhoto")[:200],
        corpus.grey_profile(1.0),
        corpus.cmyk_profile((9, 9, 9)),
        _link(),
    ],
    ids=["noise", "cut", "grey", "cmyk", "link"],
)
@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF"])
def test_a_profile_that_cannot_be_read_or_does_not_fit_is_left_aside(format: str, profile: bytes) -> None:
    picture = corpus.card()
    plain, with_profile = (corpus.encoded(picture, format, **more) for more in ({}, {"icc_profile": profile}))
    assert np.array_equal(open_image(plain), open_image(with_profile))


@pytest.mark.parametrize(("primaries", "transfer"), [(9, 16), (9, 18), (2, 13), (12, 2), (3, 13)])
def test_code_points_that_are_left_aside(primaries: int, transfer: int) -> None:
    rows = (b"\0" + bytes((200, 60, 60)) * 8) * 8
    assert seen(corpus.png(8, 8, 8, 2, rows, cICP=bytes((primaries, transfer, 0, 1)))) == (200, 60, 60)


def test_the_orientation_is_kept() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = corpus.card().transpose(Image.Transpose.ROTATE_90)
    image = open_image(
        corpus.encoded(picture, "JPEG", quality=95, exif=exif, icc_profile=corpus.rgb_profile("ProPhoto"))
    )
    # Outside of sRGB all three corners of ProPhoto are cut to those of sRGB.
    assert np.abs(np.subtract(image.getpixel((16, 16)), expected((255, 0, 0), "ProPhoto"))).max() <= 12
    assert np.abs(np.subtract(image.getpixel((48, 16)), expected((0, 255, 0), "ProPhoto"))).max() <= 12


def test_a_profile_of_a_pil_image_counts_and_stays() -> None:
    profile = corpus.rgb_profile("ProPhoto")
    picture = Image.new("RGB", (16, 16), (200, 60, 60))
    picture.info["icc_profile"] = profile
    assert np.abs(open_image(picture).getpixel((3, 3)) - expected((200, 60, 60), "ProPhoto")).max() <= 1.5
    assert picture.info["icc_profile"] == profile
    assert picture.getpixel((3, 3)) == (200, 60, 60)


def test_a_built_profile_has_the_published_columns() -> None:
    p3 = (0.3127, 0.3290, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
    profile = ImageCms.ImageCmsProfile(io.BytesIO(matrix_profile(p3, lambda value: value**2.2))).profile
    for name, column in zip(("red", "green", "blue"), corpus.WIDE["Display P3"][0], strict=True):
        assert np.abs(np.subtract(getattr(profile, f"{name}_colorant")[0], column)).max() < 2e-4
    assert struct.unpack(">I", profile.profile_id[:4]) == (0,)


@pytest.mark.parametrize("name", corpus.WIDE)
def test_maps_move_less_than_a_jpeg_of_the_same_photograph_moves_them(name: str) -> None:
    photograph = open_image(get_image("lion.jpg"))
    photograph.thumbnail((320, 320))
    srgb, own = ImageCms.createProfile("sRGB"), ImageCms.ImageCmsProfile(io.BytesIO(corpus.rgb_profile(name)))
    wide = ImageCms.profileToProfile(photograph, srgb, own)
    inspector = Inspector()

    def maps(source: Image.Image | bytes) -> NDArray[np.float32]:
        encoding = inspector.encode(source, 320)
        return encoding.attention_rows(range(0, len(encoding.queries), 7))

    def moved(source: Image.Image | bytes) -> float:
        """Total variation from the maps of the photograph, mean over queries: 0 = none, 1 = elsewhere altogether."""
        return float(np.abs(maps(source) - maps(photograph)).sum(axis=1).mean() / 2)

    by_jpeg = moved(corpus.encoded(photograph, "JPEG", quality=85))
    by_profile = moved(corpus.encoded(wide, "PNG", icc_profile=corpus.rgb_profile(name)))
    ignored = Image.fromarray(np.asarray(wide))
    assert by_profile < by_jpeg < 2 * moved(ignored)
    assert by_profile < moved(ignored) / 2


def test_pictures_of_one_profile_at_once_do_not_disturb_each_other() -> None:
    """They share one transform."""
    noise = np.random.default_rng(0).integers(0, 256, (8, 200, 300, 3), np.uint8)
    profile = corpus.rgb_profile("Display P3")
    files = [corpus.encoded(Image.fromarray(each), "PNG", icc_profile=profile) for each in noise]
    alone = [np.asarray(open_image(file)) for file in files]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            for value, file_alone in zip(pool.map(open_image, files), alone, strict=True):
                np.testing.assert_array_equal(np.asarray(value), file_alone)
