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

A fourth part makes the features finer. layer3 alone, dilated to stride 8, learns to give in one pass what the teacher
gives on average over a photograph, the photograph at double size (at stride 16: the same grid) and the mirror images
of both. Earlier layers stay as they are. The published stride, every second position of the dilated map, then has
those averages too. `--start stem.safetensors` goes straight to this part.
"""

import argparse
import copy
import itertools
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset
from torchvision.transforms.v2.functional import pil_to_tensor, resize

from attn.images import open_image
from attn.stems import MEAN, STD, dilate, to_tensor, trunk
from attn.training.grouping_auc import held_out

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


class Averages:
    """The teacher's layer3 at stride 8, mean over two scales and their mirror images."""

    def __init__(self, teacher: nn.Sequential) -> None:
        self.strided = teacher
        self.dilated = copy.deepcopy(teacher)
        dilate(self.dilated)

    @torch.inference_mode()
    def __call__(self, image: Image.Image, longest_side: int) -> tuple[Tensor, Tensor]:
        """The photograph at `longest_side`, (1, 3, H, W) pixels, and the averages (1, C, H / 8, W / 8)."""
        cells = longest_side // 8
        rows, cols = (max(1, round(side * cells / max(image.size))) for side in (image.height, image.width))
        x, double = to_tensor(image, (8 * rows, 8 * cols)), to_tensor(image, (16 * rows, 16 * cols))
        with torch.autocast("cpu", torch.bfloat16):
            seen, mirrored = (
                (self.dilated(torch.cat([x, x.flip(-1)])) + self.strided(torch.cat([double, double.flip(-1)]))) / 2
            ).chunk(2)
        return x, (seen.float() + mirrored.float().flip(-1)) / 2


def learn_averages(
    student: nn.Sequential,
    averages: Averages,
    paths: list[Path],
    *,
    steps: int,
    seed: int,
    longest_side: int = 320,
    batch: int = 4,
    rate: float = 3e-4,
) -> None:
    """Part four: layer3 of `student`, dilated, learns the `averages` of the photographs, as they are or mirrored."""
    before = nn.Sequential(*list(student)[:-1])
    dilated = copy.deepcopy(student)
    dilate(dilated)
    dilated.eval().requires_grad_(False)
    layer = list(dilated)[-1].requires_grad_(True)
    examples = []
    for path in paths:
        x, target = averages(open_image(path), longest_side)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            given = before(torch.cat([x, x.flip(-1)])).half()
        examples.append((given.clone(), torch.cat([target, target.flip(-1)]).half()))
    print(f"averages of {len(examples)} photographs", flush=True)
    (weights,) = channel_weights([torch.cat([t[:1].flatten(2) for _, t in examples[::40]], -1)[..., None].float()])
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.15)
    running = 0.0
    for step in range(steps):
        optimizer.zero_grad(set_to_none=True)
        for index in rng.choice(len(examples), min(batch, len(examples)), replace=False):
            given, target = (view[None].float() for view in _either(examples[index], rng))
            with torch.autocast("cpu", torch.bfloat16):
                y = layer(given.contiguous(memory_format=torch.channels_last))
            loss = ((y.float() - target).square() * weights).mean() / batch
            loss.backward()
            running += float(loss.detach())
        nn.utils.clip_grad_norm_(layer.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        if (step + 1) % 100 == 0:
            print(f"averages: step {step + 1}/{steps} loss {running / 100:.4f}", flush=True)
            running = 0.0
    student.load_state_dict(dilated.state_dict())


def _either(example: tuple[Tensor, Tensor], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """The photograph or its mirror image, of both tensors alike."""
    mirrored = int(rng.integers(2))
    return example[0][mirrored], example[1][mirrored]


@torch.inference_mode()
def r_squared_averages(student: nn.Sequential, averages: Averages, paths: list[Path], longest_side: int) -> float:
    """R² of the student's dilated layer3 in one pass against the averages, pooled as in `r_squared`."""
    dilated = copy.deepcopy(student).eval()
    dilate(dilated)
    error, squares, count, sums = 0.0, 0.0, 0, torch.zeros(())
    for path in paths:
        x, target = averages(open_image(path), longest_side)
        error += float((dilated(x) - target).square().sum())
        squares += float(target.double().square().sum())
        sums = sums + target.sum(dim=(0, 2, 3)).double()
        count += target.shape[2] * target.shape[3]
    return 1 - error / (squares - float((sums.square() / count).sum()))


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


def distil(student: nn.Sequential, teacher: nn.Sequential, args: argparse.Namespace) -> None:
    """Parts one to three, going on from the checkpoint where there is one."""
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--teacher", type=Path, required=True, help="safetensors with torchvision's names, to layer3")
    parser.add_argument("--images", type=Path, nargs="+", required=True, help="folders of photographs to learn from")
    parser.add_argument("--validation", type=Path, help="folder of photographs to measure R² on; never learnt from")
    parser.add_argument("--hold-out", type=Path, help="folder of which 40 photographs are not learnt from in part four")
    parser.add_argument("--start", type=Path, help="a stem that has been through parts one to three")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--average-steps", type=int, default=2400, help="of part four; 0 leaves it out")
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
    if args.start:
        student.load_state_dict({name: t.float() for name, t in load_file(args.start).items()}, strict=False)
    else:
        distil(student, teacher, args)
    student.eval()
    if args.average_steps:
        averages = Averages(teacher)
        paths = [path for folder in args.images for path in sorted(folder.glob("*.jpg"))]
        apart = held_out(args.hold_out) if args.hold_out else []
        seen = [path for path in paths if path not in apart]
        learn_averages(student, averages, seen, steps=args.average_steps, seed=args.seed)
        unseen = {"held out": apart, "validation": sorted(args.validation.glob("*.jpg")) if args.validation else []}
        for name, folder in unseen.items():
            if folder:
                score = r_squared_averages(student, averages, folder, 320)
                print(f"R² against the averages, {len(folder)} photographs {name}: {score:.4f}", flush=True)

    half = {name: t.half().contiguous() for name, t in student.state_dict().items() if "num_batches" not in name}
    args.output.parent.mkdir(parents=True, exist_ok=True)
    save_file(half, args.output, metadata={"arch": "resnet18", "recipe": "attn.training.distill_stem"})
    if args.validation:
        scores = r_squared(student, teacher, args.validation, 320)
        print("R² layer1–3, all photographs: " + " / ".join(f"{s:.4f}" for s in scores), flush=True)


if __name__ == "__main__":
    main()
