import io
import threading
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attn import images
from attn.images import MAX_PIXELS, ImageError, open_image
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
        assert_shows_card(open_image(array), tolerance=0)
        assert np.array_equal(array, before)

    @pytest.mark.parametrize("shape", [(6, 5), (6, 5, 1), (6, 5, 2), (6, 5, 3), (6, 5, 4)])
    def test_shapes(self, shape: tuple[int, ...]) -> None:
        array = np.full(shape, 255, np.uint8)
        image = open_image(array)
        assert image.size == (5, 6)
        assert image.getextrema() == ((255, 255),) * 3

    @pytest.mark.parametrize(
        ("array", "part"),
        [
            (np.zeros((3, 9, 9, 3)), r"got \(3, 9, 9, 3\)"),
            (np.zeros((3, 9, 9)), r"got \(3, 9, 9\)"),
            (np.zeros((0, 9, 3)), "empty: 9 × 0"),
            (np.zeros((9, 9, 3), np.int64), "got int64"),
            (np.full((9, 9), np.nan), "NaN"),
            (np.full((9, 9), np.inf), "NaN or infinite|got inf"),
            (np.full((9, 9), -0.5), "got -0.5 to -0.5"),
            (np.broadcast_to(np.uint8(0), (9000, 9000)), "9000 × 9000"),
        ],
    )
    def test_refusals_say_expected_and_actual(self, array: np.ndarray, part: str) -> None:
        with pytest.raises(ImageError, match=part):
            open_image(array)


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
