"""Distil ImageNet ResNet-18's layer1–3 into the bundled stem.

    python -m attn.training.distill_stem --teacher resnet18_to_layer3.safetensors \
        --images photographs/ more_photographs/ --validation bsds500/val

The student is a ResNet-18 trunk that starts from random weights. It never sees a label: it learns to
give the teacher's feature maps on the same crops, after FitNets' hints (https://arxiv.org/abs/1412.6550).
Three parts follow each other, because each makes the next converge:

1. *hints*: every residual block is fed the teacher's previous block, so seven shallow problems are
   learnt side by side instead of one deep one;
2. *end to end*: blocks are fed the student's own features;
3. *settle*: larger crops and frozen batch statistics, which is how the stem is used afterwards.
"""

import argparse
import itertools
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset
from torchvision.transforms.v2.functional import pil_to_tensor, resize

from attn.images import open_image
from attn.stems import MEAN, STD, to_tensor, trunk

MEAN_COLUMN = torch.tensor(MEAN).view(1, 3, 1, 1)
STD_COLUMN = torch.tensor(STD).view(1, 3, 1, 1)
# Shares of all steps: hints, end to end, settle.
HINTS_END, SETTLE_START = 0.375, 0.70
CROP, SETTLE_CROP = 128, 192


def fresh_trunk() -> nn.Sequential:
    """A ResNet-18 to layer3 with random weights."""
    return trunk("resnet18", "layer3").to(memory_format=torch.channels_last)


def units(net: nn.Sequential) -> list[nn.Module]:
    """The trunk as seven modules in a row: the opening convolution, then six residual blocks."""
    opening = nn.Sequential(*list(net)[:4])
    return [opening, *(block for stage in list(net)[4:] for block in stage.children())]


class Crops(IterableDataset):
    """Endless square crops at random scales, flipped and slightly re-lit. Yields uint8 (3, size, size)."""

    def __init__(self, folders: list[Path], size: int, seed: int) -> None:
        paths = sorted(p for folder in folders for p in folder.iterdir() if p.suffix.lower() in {".jpg", ".png"})
        if not paths:
            raise ValueError(f"no .jpg or .png in {', '.join(map(str, folders))}")
        self.photographs = [pil_to_tensor(open_image(p)) for p in paths]
        self.size = size
        self.seed = seed

    def __iter__(self) -> Iterator[Tensor]:
        rng = torch.Generator().manual_seed(self.seed)

        def uniform(low: float, high: float) -> float:
            return low + (high - low) * float(torch.rand((), generator=rng))

        while True:
            photograph = self.photographs[int(torch.randint(len(self.photographs), (), generator=rng))]
            side = min(int(self.size / uniform(0.5, 1.3)), *photograph.shape[1:])
            top = int(uniform(0, photograph.shape[1] - side + 1))
            left = int(uniform(0, photograph.shape[2] - side + 1))
            crop = photograph[:, top : top + side, left : left + side]
            crop = resize(crop, [self.size, self.size], antialias=True)
            if uniform(0, 1) < 0.5:
                crop = crop.flip(-1)
            gain, lift = uniform(0.75, 1.25), uniform(-20, 20)
            yield (crop * gain + lift).clamp(0, 255).to(torch.uint8)


def batches(folders: list[Path], size: int, batch: int, seed: int) -> Iterator[Tensor]:
    """Normalised batches (b, 3, size, size), prepared in one background process."""
    for crops in DataLoader(Crops(folders, size, seed), batch_size=batch, num_workers=1, prefetch_factor=4):
        yield ((crops / 255 - MEAN_COLUMN) / STD_COLUMN).contiguous(memory_format=torch.channels_last)


def channel_weights(targets: list[Tensor]) -> list[Tensor]:
    """1 / variance per channel, the deviation floored at 0.3 of its mean over channels.

    Without the floor the teacher's nearly dead channels dominate the loss and nothing converges.
    """
    weights = []
    for target in targets:
        deviation = target.float().std(dim=(0, 2, 3))
        floored = deviation.clamp_min(0.3 * deviation.mean())
        weights.append((1 / floored.square()).view(1, -1, 1, 1))
    return weights


@torch.inference_mode()
def r_squared(
    student: nn.Sequential, teacher: nn.Sequential, folder: Path, longest_side: int, most: int | None = None
) -> list[float]:
    """R² of the student's layer1–3 against the teacher's, every position and channel pooled over all photographs.

    SST is taken around each channel's own mean over all photographs: stricter than one common mean,
    which would credit the student for merely knowing which channels are large.
    """
    student.eval()
    squared_error = [0.0] * 3
    sums: list[Tensor | float] = [0.0] * 3
    squares = [0.0] * 3
    counts = [0] * 3
    for path in sorted(folder.glob("*.jpg"))[:most]:
        image = open_image(path)
        scale = longest_side / max(image.size)
        ours = theirs = to_tensor(image, (round(image.height * scale), round(image.width * scale)))
        outputs = []
        for index, (unit, reference) in enumerate(zip(units(student), units(teacher), strict=True)):
            ours, theirs = unit(ours), reference(theirs)
            if index in (2, 4, 6):
                outputs.append((ours, theirs))
        for stage, (y, t) in enumerate(outputs):
            squared_error[stage] += float((y - t).square().sum())
            sums[stage] = sums[stage] + t.sum(dim=(0, 2, 3)).double()
            squares[stage] += float(t.double().square().sum())
            counts[stage] += t.shape[2] * t.shape[3]
    totals = [
        sq - float((torch.as_tensor(s).square() / n).sum()) for sq, s, n in zip(squares, sums, counts, strict=True)
    ]
    return [1 - error / total for error, total in zip(squared_error, totals, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--teacher", type=Path, required=True, help="safetensors with torchvision's names, to layer3")
    parser.add_argument("--images", type=Path, nargs="+", required=True, help="folders of photographs to learn from")
    parser.add_argument("--validation", type=Path, help="folder of photographs to measure R² on; never learnt from")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoint", type=Path, default=Path("distill.ckpt"), help="resumed from when it exists")
    parser.add_argument("--output", type=Path, default=Path("assets/weights/stem.safetensors"))
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    teacher = fresh_trunk()
    teacher.load_state_dict(load_file(args.teacher), strict=False)
    teacher.eval().requires_grad_(False)
    student = fresh_trunk()
    optimizer = torch.optim.AdamW(student.parameters(), lr=2e-3, weight_decay=1e-4)

    def rate(step: int) -> float:
        warm = min(1.0, (step + 1) / 100)
        return warm * (0.5 + 0.5 * math.cos(math.pi * min(1.0, step / args.steps))) + 1e-3

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    start = 0
    seconds = 0.0
    if args.checkpoint.exists():
        saved = torch.load(args.checkpoint, weights_only=True)
        student.load_state_dict(saved["student"])
        optimizer.load_state_dict(saved["optimizer"])
        schedule.load_state_dict(saved["schedule"])
        start, seconds = saved["step"], saved["seconds"]
        print(f"resumed at step {start}")

    settle = int(args.steps * SETTLE_START)
    source = itertools.chain(
        itertools.islice(batches(args.images, CROP, args.batch, args.seed + start), max(0, settle - start)),
        batches(args.images, SETTLE_CROP, args.batch // 2, args.seed + start + 1),
    )
    weights: list[Tensor] | None = None
    clock = time.monotonic()
    running = 0.0
    for step, x in zip(range(start, args.steps), source, strict=False):
        hints, settling = step < args.steps * HINTS_END, step >= settle
        student.train(not settling)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            with torch.no_grad():
                targets = list(itertools.accumulate(units(teacher), lambda h, unit: unit(h), initial=x))[1:]
            if weights is None:
                weights = channel_weights(targets)
            h = x
            loss = torch.zeros(())
            for index, (unit, target) in enumerate(zip(units(student), targets, strict=True)):
                y = unit(h)
                loss = loss + ((y.float() - target.float()).square() * weights[index]).mean()
                h = target if hints else y
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(student.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        running += float(loss.detach())
        if (step + 1) % 50 == 0:
            spent = seconds + time.monotonic() - clock
            print(f"step {step + 1}/{args.steps} loss {running / 50 / 7:.4f} minutes {spent / 60:.1f}", flush=True)
            running = 0.0
        if (step + 1) % 500 == 0 or step + 1 == args.steps:
            spent = seconds + time.monotonic() - clock
            state: dict[str, Any] = {"student": student.state_dict(), "optimizer": optimizer.state_dict()}
            state |= {"schedule": schedule.state_dict(), "step": step + 1, "seconds": spent}
            torch.save(state, args.checkpoint)
            if args.validation:
                scores = r_squared(student, teacher, args.validation, 320, most=20)
                print("R² layer1–3 on 20 photographs: " + " / ".join(f"{s:.3f}" for s in scores), flush=True)

    half = {name: t.half().contiguous() for name, t in student.state_dict().items() if "num_batches" not in name}
    args.output.parent.mkdir(parents=True, exist_ok=True)
    save_file(half, args.output, metadata={"arch": "resnet18", "recipe": "attn.training.distill_stem"})
    if args.validation:
        scores = r_squared(student, teacher, args.validation, 320)
        print("R² layer1–3, all photographs: " + " / ".join(f"{s:.4f}" for s in scores), flush=True)


if __name__ == "__main__":
    main()
