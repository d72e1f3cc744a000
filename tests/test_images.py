import io
import threading
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from attn import images
from attn.images import MAX_PIXELS, ImageError, ImageNotice, open_image
from tests import corpus


def assert_shows_card(image: Image.Image, tolerance: int = 12) -> None:
    assert image.mode == "RGB"
    assert image.size == (corpus.SIDE, corpus.SIDE)
    quarter, half = corpus.SIDE // 4, corpus.SIDE // 2
    for (row, col), colour in corpus.COLOURS.items():
        seen = image.getpixel((col * half + quarter, row * half + quarter))
        assert np.abs(np.subtract(seen, colour)).max() <= tolerance, f"{(row, col)}: {seen}, expected {colour}"


@pytest.mark.parametrize("name", corpus.colour_files())
def test_every_kind_of_file_shows_the_same_picture(name: str) -> None:
    assert_shows_card(open_image(corpus.colour_files()[name]))


@pytest.mark.parametrize("name", corpus.grey_files())
def test_greys_of_any_depth_are_scaled_not_clipped(name: str) -> None:
    pixels = np.asarray(open_image(corpus.grey_files()[name])).astype(int)
    assert pixels.shape == (16, 256, 3)
    expected = np.broadcast_to(np.arange(256)[:, None], pixels.shape)
    assert np.abs(pixels - expected).max() <= (3 if "jpeg" in name else 1)


@pytest.mark.parametrize("name", corpus.see_through_files())
def test_what_is_transparent_is_white_in_every_mode(name: str) -> None:
    data, shown = corpus.see_through_files()[name]
    pixels = np.asarray(open_image(data)).astype(int)
    assert np.abs(pixels - np.array(shown)[None, :, None]).max() <= 1


@pytest.mark.parametrize("name", corpus.slightly_damaged_files())
def test_what_browsers_show_of_a_damaged_file_is_shown(name: str) -> None:
    notices: list[ImageNotice] = []
    image = open_image(corpus.slightly_damaged_files()[name], notices)
    assert_shows_card(image)
    assert {notice.key for notice in notices} <= {"reasons.image.mended"}


def test_a_damaged_file_that_is_shown_says_so_and_leaves_pillow_strict() -> None:
    notices: list[ImageNotice] = []
    open_image(corpus.slightly_damaged_files()["jpeg cut by 3 bytes"], notices)
    assert [str(notice) for notice in notices] == [
        "The file is damaged or cut short: what could be read of it is shown."
    ]
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


@pytest.mark.parametrize("format", ["JPEG", "PNG", "BMP"])
def test_little_may_be_missing_but_no_more(format: str) -> None:
    options = {"compress_level": 0} if format == "PNG" else {}
    data = corpus.encoded(Image.effect_noise((256, 256), 80).convert("RGB"), format, **options)
    open_image(data[: len(data) * 95 // 100])
    with pytest.raises(ImageError, match="damaged or cut short"):
        open_image(data[: len(data) * 85 // 100])


@pytest.mark.parametrize("name", corpus.odd_files())
def test_odd_but_valid_files_open(name: str) -> None:
    data, size = corpus.odd_files()[name]
    image = open_image(data)
    assert (image.mode, image.size) == ("RGB", size)


@pytest.mark.parametrize("name", corpus.bad_files())
def test_bad_files_end_in_one_sentence(name: str) -> None:
    data, part = corpus.bad_files()[name]
    with pytest.raises(ImageError) as caught:
        open_image(data)
    sentence = str(caught.value)
    assert part in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert len(sentence) < 200


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    data, _ = corpus.bad_files()["66 million pixels png"]
    tracemalloc.start()
    with pytest.raises(ImageError, match=f"at most {MAX_PIXELS // 10**6} million"):
        open_image(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_large_pictures_come_back_reduced(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "WORKING_PIXELS", 10_000)
    image = open_image(corpus.encoded(corpus.card(256), format))
    assert 2_500 <= image.width * image.height <= 10_000
    assert_shows_card(image.resize((corpus.SIDE, corpus.SIDE), Image.Resampling.BOX))


def test_a_large_16_bit_picture_is_worked_in_strips_without_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "WORKING_PIXELS", 10_000)
    rows = np.linspace(0, 65535, 300)[:, None].repeat(100, axis=1).astype(np.uint16)
    pixels = np.asarray(open_image(corpus.encoded(Image.fromarray(rows), "PNG"))).astype(int)
    assert pixels.shape == (150, 50, 3)
    expected = rows.astype(float).reshape(150, 2, 100).mean(axis=(1, 2)) / 257
    assert np.abs(pixels - expected[:, None, None]).max() <= 1


def test_half_transparent_black_on_white_paper_is_mid_grey() -> None:
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 128))
    assert open_image(image).getpixel((1, 1)) == (127, 127, 127)


class TestSources:
    def test_path_string_bytes_and_stream_agree(self, tmp_path: Path) -> None:
        data = corpus.encoded(corpus.card(), "PNG")
        path = tmp_path / "picture.png"
        path.write_bytes(data)
        stream = io.BytesIO(data)
        stream.seek(7)
        for source in (path, str(path), data, bytearray(data), stream):
            assert_shows_card(open_image(source))  # type: ignore[arg-type]
        assert not stream.closed

    def test_a_stream_that_cannot_seek(self) -> None:
        class Pipe(io.BytesIO):
            def seekable(self) -> bool:
                return False

        assert_shows_card(open_image(Pipe(corpus.encoded(corpus.card(), "PNG"))))

    def test_the_extension_does_not_matter(self, tmp_path: Path) -> None:
        path = tmp_path / "really-a-png.jpg"
        path.write_bytes(corpus.encoded(corpus.card(), "PNG"))
        assert_shows_card(open_image(path))

    @pytest.mark.parametrize("name", ["absent.png", ".", "nul\0l.png", "a" * 300])
    def test_paths_that_are_no_file(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(ImageError, match=r"no picture file|cannot be opened"):
            open_image(tmp_path / name)

    def test_a_pil_image_is_left_as_it_was(self) -> None:
        image = Image.open(io.BytesIO(corpus.colour_files()["jpeg orientation 6"]))
        before = image.copy()
        assert_shows_card(open_image(image))
        assert image.tobytes() == before.tobytes()
        large = Image.open(io.BytesIO(corpus.odd_files()["12 million pixels"][0]))
        assert open_image(large).size == (2000, 1500)
        assert large.size == (4000, 3000)
        plain = corpus.card()
        open_image(plain).putpixel((0, 0), (1, 2, 3))
        assert plain.getpixel((0, 0)) == (255, 0, 0)

    @pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "PA", "RGBA", "RGBa", "CMYK", "YCbCr", "LAB", "HSV", "I;16"])
    def test_every_mode_of_a_pil_image(self, mode: str) -> None:
        image = open_image(Image.new(mode, (5, 4)))
        assert (image.mode, image.size) == ("RGB", (5, 4))

    @pytest.mark.parametrize("mode", ["La", "RGBX", "I;16L", "I;16B", "I;16N", "I", "F"])
    def test_rarer_modes(self, mode: str) -> None:
        image = open_image(Image.new(mode, (5, 4)))
        assert (image.mode, image.size) == ("RGB", (5, 4))

    @pytest.mark.parametrize(
        ("mode", "colour", "key"),
        [
            ("1", 0, 0),
            ("L", 77, 77),
            ("P", 3, 3),
            ("P", 1, b"\xff\0"),
            ("RGB", (1, 2, 3), (1, 2, 3)),
            ("I;16", 9, 9),
            ("I", 9, 9),
        ],
    )
    def test_a_transparent_colour_of_a_pil_image(self, mode: str, colour: object, key: object) -> None:
        image = Image.new(mode, (5, 4), colour)  # type: ignore[arg-type]
        image.info["transparency"] = key
        assert open_image(image).getextrema() == ((255, 255),) * 3

    def test_something_else(self) -> None:
        with pytest.raises(ImageError, match="got int"):
            open_image(5)  # type: ignore[arg-type]


class TestArrays:
    @pytest.mark.parametrize(
        ("dtype", "white"), [("uint8", 255), ("uint16", 65535), ("bool", True), ("float32", 1.0), ("float64", 255.0)]
    )
    def test_dtypes(self, dtype: str, white: float) -> None:
        array = np.array(np.asarray(corpus.card()) > 0, dtype=dtype) * np.array(white, dtype=dtype)
        before = array.copy()
        notices: list[ImageNotice] = []
        assert_shows_card(open_image(array, notices), tolerance=0)
        assert np.array_equal(array, before)
        assert notices == []

    @pytest.mark.parametrize("shape", [(6, 5), (6, 5, 1), (6, 5, 2), (6, 5, 3), (6, 5, 4)])
    def test_shapes(self, shape: tuple[int, ...]) -> None:
        array = np.full(shape, 255, np.uint8)
        image = open_image(array)
        assert image.size == (5, 6)
        assert image.getextrema() == ((255, 255),) * 3

    @pytest.mark.parametrize("dtype", ["uint16", "float32", "int64"])
    @pytest.mark.parametrize("top", [255, 4095])
    def test_alpha_has_a_range_too(self, dtype: str, top: int) -> None:
        black = np.zeros((4, 4, 1), dtype)
        black[0] = top  # the colours' white
        for opaque in (top, 65535):
            array = np.concatenate([black, np.full_like(black, opaque)], axis=2)
            assert open_image(array).getpixel((2, 2)) == (0, 0, 0)
        assert open_image(np.concatenate([black, np.zeros_like(black)], axis=2)).getpixel((2, 2)) == (255, 255, 255)

    @pytest.mark.parametrize(
        ("array", "part"),
        [
            (np.zeros((3, 9, 9, 3)), r"got \(3, 9, 9, 3\)"),
            (np.zeros((3, 9, 9)), r"got \(3, 9, 9\)"),
            (np.zeros((0, 9, 3)), "empty: 9 × 0"),
            (np.zeros((9, 9, 3), np.complex64), "got complex64"),
            (np.full((9, 9), "white"), "got <U5"),
            (np.full((9, 9), np.nan), "NaN"),
            (np.full((9, 9), np.inf), "NaN or infinite"),
            (np.broadcast_to(np.uint8(0), (9000, 9000)), "9000 × 9000"),
        ],
    )
    def test_refusals_say_expected_and_actual(self, array: np.ndarray, part: str) -> None:
        with pytest.raises(ImageError, match=part):
            open_image(array)


class TestRanges:
    """One rule says what is black and what is white, whatever type the numbers have and wherever they come from."""

    @pytest.mark.parametrize("white", [255, 1023, 4095, 16383, 65535])
    @pytest.mark.parametrize(
        "kind", ["uint16", "int32", "int64", "float32", "16-bit png", "16-bit tiff", "32-bit tiff", "float tiff"]
    )
    def test_whole_numbers(self, kind: str, white: int) -> None:
        ramp = corpus.ramp(white, "float64").round()
        types = {"16-bit png": "uint16", "16-bit tiff": "uint16", "32-bit tiff": "int32", "float tiff": "float32"}
        array = ramp.astype(types.get(kind, kind))
        source = corpus.encoded(Image.fromarray(array), kind[-4:].strip().upper()) if kind in types else array
        notices: list[ImageNotice] = []
        pixels = np.asarray(open_image(source, notices)).astype(int)
        assert np.abs(pixels - np.arange(256)[:, None]).max() <= 1
        suggested = {"uint16": (65535,), "float32": (255,)}.get(array.dtype.name, (255, 65535))
        told = [(notice.key, notice.values["black"], notice.values["white"]) for notice in notices]
        assert told == ([] if white in suggested else [("reasons.image.range", "0", f"{white:g}")])

    @pytest.mark.parametrize(
        ("low", "high", "black", "white"),
        [(0, 0.7, 0, 1), (0.2, 200.5, 0, 255), (-1, 1, -1, 1), (300.5, 4300, 300.5, 4300), (-0.5, -0.5, -0.5, -0.5)],
    )
    @pytest.mark.parametrize("from_file", [False, True])
    def test_fractions(self, from_file: bool, low: float, high: float, black: float, white: float) -> None:
        array = np.linspace(low, high, 64).reshape(8, 8).astype(np.float32)
        source = corpus.encoded(Image.fromarray(array), "TIFF") if from_file else array
        notices: list[ImageNotice] = []
        pixels = np.asarray(open_image(source, notices))[..., 0].astype(int)
        expected = 255 * (array - black) / ((white - black) or 1)
        assert np.abs(pixels - expected).max() <= 1
        usual = (black, white) in ((0, 1), (0, 255))
        assert [notice.values for notice in notices] == (
            [] if usual else [{"low": f"{low:g}", "high": f"{high:g}", "black": f"{black:g}", "white": f"{white:g}"}]
        )

    def test_whole_numbers_below_zero_or_above_16_bits_are_stretched(self) -> None:
        for array in (np.arange(-5, 251), np.arange(256) * 1000):
            notices: list[ImageNotice] = []
            row = np.asarray(open_image(np.tile(array, (4, 1)), notices))[0, :, 0]
            assert np.abs(row - np.arange(256.0)).max() <= 1
            assert len(notices) == 1

    def test_black_is_black_without_a_notice(self) -> None:
        for dtype in ("uint16", "int64", "float32"):
            notices: list[ImageNotice] = []
            assert open_image(np.zeros((4, 4), dtype), notices).getextrema() == ((0, 0),) * 3
            assert notices == []

    def test_a_deep_tiff_whose_zero_is_white(self) -> None:
        data = corpus.encoded(Image.fromarray(corpus.ramp(65535, "uint16")), "TIFF", tiffinfo={262: 0})
        row = np.asarray(open_image(data))[0, :, 0].astype(int)
        assert np.abs(row - np.arange(256)[::-1]).max() <= 1

    def test_the_notice_is_said_in_each_language(self) -> None:
        notices: list[ImageNotice] = []
        open_image(np.array([[3, 1000]], np.uint16), notices)
        assert str(notices[0]) == (
            "The numbers of this picture go from 3 to 1000: 0 is shown as black and 1023 as white."
        )
        assert notices[0].sentence("zh") == "这张图片的数值从 3 到 1000：0 显示为黑，1023 显示为白。"


def test_no_warning_escapes_and_the_filters_stay_as_they_were() -> None:
    files = [data for data, _ in (*corpus.bad_files().values(), *corpus.odd_files().values())]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        before = list(warnings.filters)
        for data in files:
            try:
                open_image(data)
            except ImageError:
                continue
        assert list(warnings.filters) == before
    assert caught == []


def test_many_threads_at_once_each_get_their_own_picture() -> None:
    results: dict[int, object] = {}

    def work(shade: int) -> None:
        data = corpus.encoded(Image.new("RGB", (200, 200), (shade, 0, 0)), "PNG")
        results[shade] = open_image(data).getpixel((100, 100))

    threads = [threading.Thread(target=work, args=(shade,)) for shade in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {shade: (shade, 0, 0) for shade in range(16)}
