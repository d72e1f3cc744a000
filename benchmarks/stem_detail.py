"""What a finer grid costs: the bundled stem at coarse, fine and finest on one photograph's pixels.

    python -m benchmarks.stem_detail

Prints a Markdown table. The three run alternately on the same input (320 × 240 px, fp32) and a ratio is taken within
each round, so that whatever else the machine does touches all. With one thread, the default, the thread's processor
time is counted, which holds on a busy machine; with more, the wall clock. Cells give the median and the quartiles.
"""

import argparse
import statistics
import time

import torch

from attn.stems import DETAILS, ResNetStem


def quartiles(values: list[float]) -> str:
    """Median and quartiles in words."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.2f} ({low:.2f}–{high:.2f})"


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--stage", default="layer3")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    clock = time.thread_time if args.threads == 1 else time.perf_counter
    x = torch.randn(1, 3, 240, 320, generator=torch.Generator().manual_seed(0))
    stems = {detail: ResNetStem("bundled", args.stage, detail=detail) for detail in DETAILS}
    taken: dict[str, list[float]] = {detail: [] for detail in DETAILS}
    for round_ in range(args.rounds + 2):
        for detail, stem in stems.items():
            start = clock()
            stem(x)
            if round_ >= 2:  # the first two choose kernels and take memory
                taken[detail].append(1000 * (clock() - start))
    print("| detail | grid | ms | of coarse |\n| --- | --- | --- | --- |")
    for detail, each in taken.items():
        ratios = [a / b for a, b in zip(each, taken["coarse"], strict=True)]
        rows, cols = stems[detail].grid((320, 240), 320)
        print(f"| {detail} | {rows} × {cols} | {quartiles(each)} | {quartiles(ratios)} |")


if __name__ == "__main__":
    main()
