"""What every stem has: a stride, and the grid of positions that follows from it for a photograph."""

from collections.abc import Sequence

from torch import nn

from attn.errors import PlainError


class GridTooLarge(PlainError, ValueError):  # noqa: N818
    """More positions than can be shown. `largest_side` px is the longest side that would fit."""

    def __init__(self, grid: tuple[int, int], limit: tuple[int, int], largest_side: int) -> None:
        super().__init__(
            "reasons.stem.grid", rows=grid[0], cols=grid[1], max_rows=limit[0], max_cols=limit[1], side=largest_side
        )
        self.grid = grid
        self.limit = limit
        self.largest_side = largest_side


class Stem(nn.Module):
    """A network cut where it gives one feature map: (b, 3, H, W) normalised pixels → (b, channels, h, w).

    name, stage, detail: as they are shown; tuned: see `ResNetStem`. stride_px: input pixels between two positions.
    mean, std: of the pixels (0 to 1) that it was trained with.
    """

    name: str
    stage: str
    detail: str
    tuned: bool
    stride_px: int
    channels: int
    mean: Sequence[float]
    std: Sequence[float]

    def input_size(self, image_size: tuple[int, int], longest_side: int) -> tuple[int, int]:
        """(H, W) px the network gets for an image of `image_size` (W, H), both multiples of `stride_px`.

        The longer is the largest multiple within `longest_side`, the other keeps the photograph's shape to the
        nearest position, at least one. Raises ValueError where `longest_side` holds no position.
        """
        return tuple(cells * self.stride_px for cells in self.grid(image_size, longest_side))  # type: ignore[return-value]

    def grid(self, image_size: tuple[int, int], longest_side: int) -> tuple[int, int]:
        """(h, w) positions of the feature map for an image of `image_size` (W, H)."""
        width, height = image_size
        if width < 1 or height < 1:
            raise ValueError(f"expected an image of at least 1 × 1 px, got {width} × {height}")
        cells = int(longest_side) // self.stride_px
        if cells < 1:
            raise ValueError(f"expected a longest side of at least {self.stride_px} px, got {longest_side}")
        scale = cells / max(width, height)
        return max(1, round(height * scale)), max(1, round(width * scale))

    def largest_side_for(self, image_size: tuple[int, int], max_rows: int = 32, max_cols: int = 32) -> int:
        """The longest side in px whose grid has at most `max_rows` × `max_cols` positions; at least one position's."""
        for cells in range(max(max_rows, max_cols), 1, -1):
            rows, cols = self.grid(image_size, cells * self.stride_px)
            if rows <= max_rows and cols <= max_cols:
                return cells * self.stride_px
        return self.stride_px

    def check_grid(
        self, image_size: tuple[int, int], longest_side: int, max_rows: int = 32, max_cols: int = 32
    ) -> None:
        """Raises GridTooLarge, with the longest side that would fit, where the grid exceeds the limit."""
        rows, cols = self.grid(image_size, longest_side)
        if rows > max_rows or cols > max_cols:
            fits = self.largest_side_for(image_size, max_rows, max_cols)
            raise GridTooLarge((rows, cols), (max_rows, max_cols), fits)
