"""AttnBlock against the note's own code: time, peak memory, share of the machine's matrix-product peak.

    python -m benchmarks.attn_block
    python -m benchmarks.attn_block --threads 1 --channels 512 --positions 784 1024 --rounds 31
    python -m benchmarks.attn_block --bfloat16

Prints a Markdown table. Both blocks hold the same weights, see the same input (one image, fp32, no gradients) and
run alternately, with a large fp32 matrix product between them; a ratio is taken within each round, so that whatever
else the machine does touches both. Cells give the median and, in brackets, the quartiles. With one thread the
thread's processor time is counted, which holds on a busy machine; with more, the wall clock.

With `--bfloat16` our block after `.bfloat16()`, input and output too, against itself in fp32, and how far the output is
off: worth it where the processor multiplies bfloat16 (`lscpu` says avx512_bf16 or amx_bf16).
"""

import argparse
import copy
import math
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from attn.mechanisms.spatial import AttnBlock

MIB = 2**20
PEAK_SIDE = 2048


class NoteBlock(nn.Module):
    """The block as the note has it."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(num_groups=32, num_channels=in_channels, eps=1e-6, affine=True)
        self.q = nn.Conv2d(in_channels, in_channels, kernel_size=1, stride=1, padding=0)
        self.k = nn.Conv2d(in_channels, in_channels, kernel_size=1, stride=1, padding=0)
        self.v = nn.Conv2d(in_channels, in_channels, kernel_size=1, stride=1, padding=0)
        self.proj_out = nn.Conv2d(in_channels, in_channels, kernel_size=1, stride=1, padding=0)

    def forward(self, x: Tensor) -> Tensor:
        h_ = x
        h_ = self.norm(h_)
        q = self.q(h_)
        k = self.k(h_)
        v = self.v(h_)
        b, c, h, w = q.shape
        q = q.reshape(b, c, h * w).permute(0, 2, 1)
        k = k.reshape(b, c, h * w)
        w_ = torch.bmm(q, k)
        w_ = w_ * (int(c) ** (-0.5))
        w_ = torch.nn.functional.softmax(w_, dim=2)
        v = v.reshape(b, c, h * w)
        w_ = w_.permute(0, 2, 1)
        h_ = torch.bmm(v, w_)
        h_ = h_.reshape(b, c, h, w)
        return x + self.proj_out(h_)


BLOCKS: dict[str, type[nn.Module]] = {"ours": AttnBlock, "note": NoteBlock}


def main() -> None:
    parser = argparse.ArgumentParser(description="AttnBlock against the note's own code.")
    parser.add_argument("--channels", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--positions", type=int, nargs="+", default=[196, 784, 1024, 2304, 4096], help="squares")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, help="default: what torch takes")
    parser.add_argument("--bfloat16", action="store_true", help="ours in bfloat16 against ours in fp32")
    parser.add_argument("--memory", nargs=3, metavar=("BLOCK", "CHANNELS", "POSITIONS"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.memory:
        print(own_peak(args.memory[0], int(args.memory[1]), int(args.memory[2])))
        return
    if args.threads:
        torch.set_num_threads(args.threads)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}, {args.rounds} rounds\n")
    if args.bfloat16:
        print("| C | N | time, bfloat16 / fp32 | fp32, ms | largest error, of the largest change |")
        print("| --- | --- | --- | --- | --- |")
        for channels in args.channels:
            for positions in args.positions:
                print(bfloat16_row(channels, positions, args.rounds), flush=True)
        return
    print(
        "| C | N | time, ours / note's | note's, ms | peak memory, ours / note's | ours, MiB | of matrix-product peak |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for channels in args.channels:
        for positions in args.positions:
            print(row(channels, positions, args.rounds), flush=True)


def row(channels: int, positions: int, rounds: int) -> str:
    """One line of the table."""
    side = grid_side(positions)
    torch.manual_seed(0)
    ours, note = AttnBlock(channels).eval(), NoteBlock(channels).eval()
    note.load_state_dict(ours.state_dict())
    x = torch.randn(1, channels, side, side)
    square = torch.randn(PEAK_SIDE, PEAK_SIDE)
    ratios, notes, shares = [], [], []
    with torch.inference_mode():
        torch.testing.assert_close(ours(x), note(x), atol=1e-5, rtol=0)
        for _ in range(rounds):
            repeats = max(1, 1024 // positions)
            note_s = seconds(lambda: note(x), repeats)
            peak_s = seconds(lambda: square @ square, 1)
            ours_s = seconds(lambda: ours(x), repeats)
            ratios.append(ours_s / note_s)
            notes.append(note_s * 1e3)
            shares.append((ours.multiply_adds(side, side) / ours_s) / (PEAK_SIDE**3 / peak_s))
    memory = {name: child_peak(name, channels, positions) / MIB for name in BLOCKS}
    cells = [
        str(channels),
        str(positions),
        spread(ratios),
        spread(notes),
        f"{memory['ours'] / memory['note']:.2f} (1/{memory['note'] / memory['ours']:.1f})",
        f"{memory['ours']:.1f}",
        spread(shares),
    ]
    return f"| {' | '.join(cells)} |"


def bfloat16_row(channels: int, positions: int, rounds: int) -> str:
    """One line of the table of half precision."""
    side = grid_side(positions)
    torch.manual_seed(0)
    full = AttnBlock(channels).eval()
    half = copy.deepcopy(full).bfloat16()
    x = torch.randn(1, channels, side, side)
    short = x.bfloat16()
    ratios, fulls = [], []
    with torch.inference_mode():
        right = full(short.float())  # the same input: what is counted is the block's own rounding
        error = (half(short).float() - right).abs().max() / (right - short.float()).abs().max()
        for _ in range(rounds):
            repeats = max(1, 1024 // positions)
            fulls.append(seconds(lambda: full(x), repeats) * 1e3)
            ratios.append(seconds(lambda: half(short), repeats) * 1e3 / fulls[-1])
    return f"| {channels} | {positions} | {spread(ratios)} | {spread(fulls)} | {error:.3f} |"


def seconds(run: Callable[[], object], repeats: int) -> float:
    """Mean seconds of a run."""
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    start = clock()
    for _ in range(repeats):
        run()
    return (clock() - start) / repeats


def spread(values: list[float]) -> str:
    """Median and quartiles."""
    low, middle, high = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
    digits = 2 if middle < 10 else 0
    return f"{middle:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def grid_side(positions: int) -> int:
    side = math.isqrt(positions)
    if side**2 != positions:
        raise SystemExit(f"expected a square number of positions, got {positions}")
    return side


def child_peak(block: str, channels: int, positions: int) -> float:
    """Peak bytes of one forward, measured in a fresh process."""
    command = [sys.executable, "-m", __spec__.name, "--memory", block, str(channels), str(positions)]
    root = Path(__file__).resolve().parents[1]
    return float(subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout)


def own_peak(block: str, channels: int, positions: int) -> int:
    """Bytes this process grows by, at its highest, in one forward: everything but the weights and the input."""
    side = grid_side(positions)
    module, x = BLOCKS[block](channels).eval(), torch.randn(1, channels, side, side)
    with torch.inference_mode():
        module(x[:, :, :8, :8].contiguous())  # threads and library buffers come up outside the measurement
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak that Linux keeps
        before = resident("VmRSS")
        module(x)
    return resident("VmHWM") - before


def resident(field: str) -> int:
    found = re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    if found is None:
        raise SystemExit("peak memory is read from /proc and needs Linux")
    return int(found[1]) * 1024


if __name__ == "__main__":
    main()
