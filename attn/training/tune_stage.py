"""Tune the bundled stem's last stages together with its attention, past the frozen features.

    python -m attn.training.tune_stage --images bsds500/train --learn layer3 --members 2
    python -m attn.training.tune_stage --images bsds500/train --start assets/weights/tuned_layer3.safetensors \
        --photographs imagenet_sample_256

In the papers attention is never trained on frozen features: the layers below learn with it. Here layer3, dilated to
stride 8, and layer2 learn together with q and k of the AttnBlock with position by the `ranking_loss` of
train_grouping; earlier layers stay frozen and are computed once. Several trainings that start from the same weights
and see the photographs in another order end near each other, and the mean of their weights is no worse than the best
(https://arxiv.org/abs/2203.05482). The seven mechanisms then learn on the tuned features as train_grouping has it,
q and k of the AttnBlock with position excepted, which are already there.

With `--photographs` weights that were tuned before teach as well: on photographs without segments too, attention in one
pass is drawn to the mean of their logits over several scales and the mirror image, while its own input is noisy
(https://arxiv.org/abs/1503.02531, https://arxiv.org/abs/1911.04252). So one pass learns what many passes know.

`--alone xca` gives the same chance to a channel mechanism: the stages learn together with that mechanism instead, and
one row with its AUC goes into figures.json. Nothing else of it is kept.
"""

import argparse
import copy
import itertools
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from attn.bundled import TUNED_FILES, WEIGHTS_DIR, load_bundled
from attn.images import open_image
from attn.mechanisms import MECHANISMS
from attn.mechanisms.position import SinusoidalEncoding2d
from attn.mechanisms.spatial import AttnBlock
from attn.stems import ResNetStem, dilate, to_tensor, trunk
from attn.training.grouping_auc import TRAINED, drawn_queries, grouping_auc, held_out, load, summary
from attn.training.train_grouping import (
    LOUD,
    POSITION_SIZE,
    Example,
    cache,
    fit_factor,
    fit_what,
    hear_position,
    ranking_loss,
    set_form,
    targets,
    train,
    train_where,
    write_figures,
    write_manifest,
)

STAGE = "layer3"
# Queries a photograph gives to one step.
QUERIES = 64
# Every channel that enters the learning stages is made louder or softer by about this share, anew at every look.
CHANNEL_NOISE = 0.1
# What the divergence from the teachers' attention weighs against the ranking loss.
TAUGHT = 4.0
# The teachers see a photograph at these multiples of the longest side, the first at the first, the next at the next.
TAUGHT_SCALES = (0.5, 0.75, 1.0, 1.25, 1.5)
# Queries of a photograph whose attention is kept.
TAUGHT_QUERIES = 256
# The rate of every stage before the last, as a share.
SLOWER = 0.5
# Half of the looks are at a part of the photograph, at least this share of each side.
CROP = 0.6


class BlockScores(nn.Module):
    """Logits of an AttnBlock for features, up to one factor, with q and k to learn. See `train_where`."""

    def __init__(self, block: AttnBlock) -> None:
        super().__init__()
        self.block = [block]  # not a submodule: its own parameters stay as they are
        size = hear_position(block)
        content = size == LOUD
        self.size = size.where(content, size / POSITION_SIZE)
        root = block.channels**0.25
        self.query = nn.Parameter((block.q.weight.flatten(1) * self.size / root).detach().clone())
        self.key = nn.Parameter((block.k.weight.flatten(1) * self.size / root).detach().clone())
        self.bias = nn.Parameter((block.q.get_parameter("bias") / root).detach().clone())

    def forward(self, features: Tensor, queries: Tensor) -> Tensor:
        """Scores (Q, N) of features (1, C, h, w)."""
        (block,) = self.block
        h = block.norm(features)
        h = h if block.encoding is None else h + block.encoding(*h.shape[2:])
        z = h.flatten(2)[0].T / self.size  # (N, C)
        return (z[queries] @ self.query.T) @ (self.key @ z.T) + z @ (self.key.T @ self.bias)

    @torch.no_grad()
    def take_mean(self, others: "Sequence[BlockScores]") -> None:
        """Become the block whose logits are the mean of the others' on the same features.

        q and k themselves must not be averaged: a rotation of both changes no logit.
        """
        form = torch.stack([other.query.T @ other.key for other in others]).mean(0)
        lean = torch.stack([other.key.T @ other.bias for other in others]).mean(0)
        left, sizes, right = torch.linalg.svd(form)
        self.query.copy_((left * sizes.sqrt()).T)
        self.key.copy_(sizes.sqrt()[:, None] * right)
        self.bias.copy_(torch.linalg.lstsq(self.key.T, lean[:, None]).solution[:, 0])


class CosineScores(nn.Module):
    """Cosines of a channel mechanism's output, times a factor to learn."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module: nn.Module = module.requires_grad_(True)
        self.log_factor = nn.Parameter(torch.tensor(10.0).log())

    def forward(self, features: Tensor, queries: Tensor) -> Tensor:
        """Scores (Q, N) of features (1, C, h, w)."""
        tokens = F.normalize(self.module(features).flatten(2)[0].T, dim=1)  # (N, C)
        return tokens[queries] @ tokens.T * self.log_factor.exp()


@dataclass(frozen=True)
class Lesson:
    """What the teachers say of a photograph.

    before: what comes before the learning stages, of the photograph and of its mirror image, (2, C, h, w) float16.
    queries: (Q,) int64; logits: the teachers' (Q, N) float16.
    """

    before: Tensor
    queries: Tensor
    logits: Tensor


def dilated_layers(changed: dict[str, Tensor]) -> nn.Sequential:
    """The bundled stem to layer3 at stride 8, its BatchNorms not yet folded, statistics frozen.

    `changed` tensors "stem.{name}" are taken in place of its own.
    """
    layers = trunk("resnet18", STAGE)
    own = {name.removeprefix("stem."): tensor for name, tensor in changed.items() if name.startswith("stem.")}
    weights = {name: tensor.float() for name, tensor in {**load_bundled("stem.safetensors"), **own}.items()}
    layers.load_state_dict(weights, strict=False)
    dilate(layers)
    return layers.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def split(layers: nn.Sequential, learn: Sequence[str]) -> tuple[nn.Sequential, nn.Sequential]:
    """The layers that stay as they are, and those named in `learn`, which are the last ones."""
    named = OrderedDict(layers.named_children())
    after = OrderedDict((name, layer) for name, layer in named.items() if name in learn)
    if list(named)[-len(after) :] != list(after):
        raise ValueError(f"expected the last stages to learn, got {', '.join(learn)}")
    return nn.Sequential(OrderedDict((name, each) for name, each in named.items() if name not in after)), nn.Sequential(
        after
    )


class InBfloat16(nn.Module):
    """A module computed in bfloat16, its output in float32."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        """The module's output for x (b, C, h, w)."""
        with torch.autocast("cpu", torch.bfloat16):
            y: Tensor = self.module(x.float().contiguous(memory_format=torch.channels_last))
        return y.float()


def features_of(stage: nn.Module, before: Tensor) -> Tensor:
    """The stage's output for what comes before it (C, h, w)."""
    features: Tensor = InBfloat16(stage)(before[None])
    return features


@torch.no_grad()
def lessons(
    teachers: Sequence[tuple[nn.Module, nn.Module]], before: nn.Module, paths: Sequence[Path], longest_side: int
) -> list[Lesson]:
    """Of every photograph the mean of logits over TAUGHT_SCALES, each of them the next teacher's.

    A teacher is what gives features for pixels, and scores. Features are the mean over the mirror image. `before` is
    given the pixels at `longest_side`.
    """
    fine = ResNetStem("bundled", STAGE)
    found = []
    for path in paths:
        image = open_image(path)
        grid = fine.grid(image.size, longest_side)
        queries = drawn_queries(grid[0] * grid[1], TAUGHT_QUERIES)
        logits = torch.zeros(len(queries), grid[0] * grid[1])
        for scale, (layers, scores) in zip(TAUGHT_SCALES, itertools.cycle(teachers), strict=False):
            rows, columns = (max(1, round(scale * side)) * fine.stride_px for side in grid)
            pixels = to_tensor(image, (rows, columns))
            y = F.interpolate(layers(torch.cat([pixels, pixels.flip(-1)])), grid, mode="bilinear", antialias=True)
            logits += scores((y[:1] + y[1:].flip(-1)) / 2, queries) / len(TAUGHT_SCALES)
        pixels = fine.preprocess(image, longest_side)
        both = before(torch.cat([pixels, pixels.flip(-1)]))
        found.append(Lesson(both.half().contiguous(), queries, logits.half()))
    return found


def look(example: Example, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """What comes before the stages (C, h, w), with channel noise, and segments (annotators, N): all or a part."""
    before = example.features.float()
    finer = math.isqrt(before[0].numel() // example.segments.shape[1])  # the grid is so many times as fine
    grid = [side // finer for side in before.shape[1:]]
    segments = example.segments.unflatten(1, grid)
    if rng.random() < 0.5:
        rows, columns = (max(2, int(side * rng.uniform(CROP, 1))) for side in grid)
        top, left = (int(rng.integers(side - part + 1)) for side, part in zip(grid, (rows, columns), strict=True))
        before = before[:, finer * top : finer * (top + rows), finer * left : finer * (left + columns)]
        segments = segments[:, top : top + rows, left : left + columns]
    return noisy(before), segments.flatten(1)


def noisy(before: Tensor) -> Tensor:
    """`before` (C, h, w), each channel louder or softer."""
    return before * (1 + CHANNEL_NOISE * torch.randn(len(before), 1, 1))


def divergence(stage: nn.Module, scores: nn.Module, lesson: Lesson, rng: np.random.Generator) -> Tensor:
    """Kullback-Leibler divergence of attention from the teachers', mean over some queries of the photograph.

    Or of its mirror image, where the teachers' is mirrored.
    """
    some = torch.from_numpy(rng.permutation(len(lesson.queries))[:QUERIES])
    queries, logits = lesson.queries[some], lesson.logits[some].float()
    mirrored = int(rng.integers(2))
    if mirrored:
        height, width = lesson.before.shape[2:]
        columns = width // math.isqrt(height * width // logits.shape[1])
        logits = logits.unflatten(1, (-1, columns)).flip(-1).flatten(1)
        queries = queries + columns - 1 - 2 * (queries % columns)
    given = scores(features_of(stage, noisy(lesson.before[mirrored].float())), queries)
    return F.kl_div(given.log_softmax(-1), logits.softmax(-1), reduction="batchmean")


def tune(
    stage: nn.Module,
    scores: nn.Module,
    photographs: list[list[Example]],
    *,
    steps: int,
    seed: int,
    batch: int = 4,
    rate: float = 1e-4,
    taught: Sequence[Lesson] = (),
    lesson_batch: int = 6,
    watch: Callable[[int], None] | None = None,
) -> None:
    """Train `stage` and `scores` together on what comes before the stage.

    A step has `batch` photographs and, where there are any, `lesson_batch` lessons. `watch` is called after every 250
    steps.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    named = list(stage.requires_grad_(True).named_parameters())
    earlier = [parameter for name, parameter in named if name.startswith("layer2")]
    last = [parameter for name, parameter in named if not name.startswith("layer2")]
    rates = {rate: [*last, *scores.parameters()], SLOWER * rate: earlier}
    rates = {each: parameters for each, parameters in rates.items() if parameters}
    optimizer = torch.optim.AdamW([{"params": p, "lr": r} for r, p in rates.items()], weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, list(rates), total_steps=steps, pct_start=0.2)
    clock, running = time.monotonic(), np.zeros(2)
    for step in range(steps):
        optimizer.zero_grad(set_to_none=True)
        for index in rng.choice(len(photographs), min(batch, len(photographs)), replace=False):
            views = photographs[index]
            before, segments = look(views[rng.integers(len(views))], rng)
            queries = torch.from_numpy(rng.permutation(segments.shape[1])[:QUERIES])
            loss = ranking_loss(scores(features_of(stage, before), queries), *targets(segments, queries)) / batch
            loss.backward()
            running[0] += float(loss.detach())
        for index in rng.choice(len(taught), min(lesson_batch, len(taught)), replace=False) if taught else ():
            loss = divergence(stage, scores, taught[index], rng) / lesson_batch
            (TAUGHT * loss).backward()
            running[1] += float(loss.detach())
        optimizer.step()
        schedule.step()
        if (step + 1) % 50 == 0:
            losses = " ".join(f"{each:.4f}" for each in running / 50)
            print(f"step {step + 1}/{steps} losses {losses}, {time.monotonic() - clock:.0f} s", flush=True)
            running[:] = 0.0
        if watch and (step + 1) % 250 == 0:
            watch(step + 1)
    stage.requires_grad_(False)


@torch.no_grad()
def mean_weights(modules: Sequence[nn.Module]) -> dict[str, Tensor]:
    """The mean of several modules' tensors of the same names."""
    states = [module.state_dict() for module in modules]
    return {
        name: torch.stack([state[name] for state in states]).mean(0) if first.is_floating_point() else first
        for name, first in states[0].items()
    }


@torch.no_grad()
def judge(stage: nn.Module, scores: nn.Module, photographs: list[list[Example]]) -> NDArray[np.floating]:
    """AUC of each photograph's first view."""
    aucs = []
    for view, *_ in photographs:
        features = features_of(stage, view.features)
        aucs.append(grouping_auc(scores(features, torch.arange(view.segments.shape[1])), view.segments))
    return np.array(aucs)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument(
        "--images", type=Path, required=True, help="photographs ID.jpg with segments ID.npz to learn from"
    )
    parser.add_argument("--hold-out", action="store_true", help="learn from all but 40 and say how well those go")
    parser.add_argument("--start", type=Path, help="a file of this command to go on from; else the frozen stem")
    parser.add_argument("--learn", choices=("layer2", STAGE), nargs="+", default=["layer2", STAGE])
    parser.add_argument("--photographs", type=Path, nargs="+", help="more of them, without segments, to be taught on")
    parser.add_argument("--teachers", type=Path, nargs="+", help="files of this command that teach; else --start")
    channel_mechanisms = [name for name in MECHANISMS if name != "spatial"]
    parser.add_argument("--alone", choices=channel_mechanisms, help="tune for this mechanism instead")
    parser.add_argument("--validation", type=Path, help="photographs to measure --alone on; never learnt from")
    parser.add_argument("--sides", type=int, nargs="+", default=[320, 256, 384], help="longest sides to learn at, px")
    parser.add_argument("--steps", type=int, default=1000, help="of each training")
    parser.add_argument("--batch", type=int, default=4, help="photographs with segments in a step")
    parser.add_argument("--rate", type=float, default=1e-4, help="highest, of the last stage and the mechanism")
    parser.add_argument("--members", type=int, default=1, help="trainings whose weights are averaged")
    parser.add_argument("--checkpoints", type=Path, help="folder where each training is kept, and taken from if there")
    parser.add_argument("--train-only", action="store_true", help="stop then: trainings may so run side by side")
    parser.add_argument("--quick", action="store_true", help="a few steps only, to see that everything runs")
    parser.add_argument("--seed", type=int, default=0, help="of the first training; the others follow")
    parser.add_argument("--threads", type=int, default=1, help="more than one pays on an idle machine only")
    parser.add_argument("--output", type=Path, default=WEIGHTS_DIR, help="folder of the weights and figures.json")
    args = parser.parse_args(arguments)

    if args.quick:
        args.steps, args.members = 2, min(2, args.members)
    torch.set_num_threads(args.threads)
    clock = time.monotonic()
    weights = load_file(args.start) if args.start else load_bundled(f"attention_{STAGE}.safetensors")
    layers = dilated_layers(weights)
    frozen, learning = split(layers, args.learn)
    photographs = cache(ResNetStem("bundled", STAGE), args.images, args.sides, frozen)
    paths = sorted(path for path in args.images.glob("*.jpg") if path.with_suffix(".npz").is_file())
    apart = set(held_out(args.images)) if args.hold_out else set()
    unseen = [views for path, views in zip(paths, photographs, strict=True) if path in apart]
    photographs = [views for path, views in zip(paths, photographs, strict=True) if path not in apart]
    name, seeds = args.alone or "attn_position", range(args.seed, args.seed + args.members)
    files = {seed: args.checkpoints / f"{name}_{seed}.pt" if args.checkpoints else None for seed in seeds}
    taught: list[Lesson] = []
    if args.photographs and not all(file and file.exists() for file in files.values()):
        if not args.start:
            parser.error("--photographs needs a --start, which teaches")
        known = [load_file(file) for file in args.teachers or [args.start]]
        teachers = [(InBfloat16(dilated_layers(each)), BlockScores(block_of(each))) for each in known]
        more = (path for folder in args.photographs for path in sorted(folder.glob("*.jpg")))
        seen = [*(path for path in paths if path not in apart), *more]
        taught = lessons(teachers, InBfloat16(frozen), seen, args.sides[0])
    start = load(name, 256, weights)
    if unseen and isinstance(start, AttnBlock) and not args.start:
        # The bundled block has seen those held out.
        train_where(start, tuned_examples(learning, photographs), members=4)
    print(f"{len(photographs)} photographs, {len(taught)} lessons, {time.monotonic() - clock:.0f} s", flush=True)

    stages: list[nn.Module] = []
    learners: list[BlockScores | CosineScores] = []
    for seed, kept in files.items():
        stage, learner = copy.deepcopy(learning), copy.deepcopy(start)
        scores: BlockScores | CosineScores
        scores = BlockScores(learner) if isinstance(learner, AttnBlock) else CosineScores(learner)

        def watch(step: int) -> None:
            if unseen:
                auc = judge(stage, scores, unseen).mean()  # noqa: B023 - only called below
                print(f"step {step}: {auc:.4f} on {len(unseen)} held out", flush=True)
            if kept:  # noqa: B023
                kept.parent.mkdir(parents=True, exist_ok=True)  # noqa: B023
                state = {"stage": stage.state_dict(), "scores": scores.state_dict()}  # noqa: B023
                torch.save(state, kept.with_suffix(".part"))  # noqa: B023

        if kept and kept.exists():
            states = torch.load(kept, weights_only=True)
            stage.load_state_dict(states["stage"])
            scores.load_state_dict(states["scores"])
        else:
            watch(0)
            how = {"steps": args.steps, "seed": seed, "batch": args.batch, "rate": args.rate}
            tune(stage, scores, photographs, **how, taught=taught, watch=watch)
            watch(args.steps)
            if kept:
                kept.with_suffix(".part").rename(kept)
        stages.append(stage)
        learners.append(scores)
    stage, scores = copy.deepcopy(learning), learners[0]
    stage.load_state_dict(mean_weights(stages))
    if isinstance(scores, BlockScores):
        scores.take_mean([each for each in learners if isinstance(each, BlockScores)])
    else:
        scores.load_state_dict(mean_weights(learners))
    if unseen:
        print(f"mean of {len(stages)}: {judge(stage, scores, unseen).mean():.4f} on {len(unseen)} held out", flush=True)

    if args.train_only:
        return
    if isinstance(scores, CosineScores):
        if args.validation:
            values = judge(stage, scores, cache(ResNetStem("bundled", STAGE), args.validation, [320], frozen))
            row = summary(args.alone, values, scores.module, (27, 40))
            figures = {"rows": [asdict(row)], "seconds": round(time.monotonic() - clock, 1)}
            write_figures(args.output, STAGE, {"alone": {args.alone: figures}})
            print(f"{args.alone}: {row.auc:.4f} ({row.low:.4f}–{row.high:.4f})")
        return
    write_tuned(stage, scores, photographs, args.output, quick=args.quick, seed=args.seed)
    write_manifest(args.output)
    write_figures(args.output, STAGE, {"tuned_seconds": round(time.monotonic() - clock, 1)})


def block_of(weights: dict[str, Tensor]) -> AttnBlock:
    """The AttnBlock with position of a file's tensors."""
    block = load("attn_position", 256, weights)
    assert isinstance(block, AttnBlock)
    return block


@torch.no_grad()
def tuned_examples(stage: nn.Module, photographs: list[list[Example]], views: int = 2) -> list[list[Example]]:
    """The stage's features in place of what comes before it, of each photograph's first views."""
    return [
        [Example(features_of(stage, view.features)[0].half(), view.segments) for view in photograph[:views]]
        for photograph in photographs
    ]


def write_tuned(
    stage: nn.Module,
    scores: BlockScores,
    photographs: list[list[Example]],
    directory: Path,
    *,
    quick: bool,
    seed: int,
) -> None:
    """Train the mechanisms on the tuned features of each photograph's first size, and write all in float16."""
    directory.mkdir(parents=True, exist_ok=True)
    metadata = {"stem": "bundled", "stage": STAGE, "recipe": "attn.training.tune_stage", "seed": str(seed)}
    tensors = {f"stem.{name}": t for name, t in stage.state_dict().items() if "num_batches" not in name}
    tuned = tuned_examples(stage, photographs)
    module: nn.Module
    # The AttnBlocks first: they are what the tuning is for.
    for mechanism in reversed(TRAINED):
        if mechanism == "attn_position":
            block = AttnBlock(256, encoding=SinusoidalEncoding2d(256))
            hear_position(block)
            set_form(block, scores.query.T @ scores.key, scores.key.T @ scores.bias, scores.size)
            fit_factor(block, [views[0] for views in tuned[::4]])
            fit_what(block, tuned)
            module = block
        else:
            module = train(mechanism, 256, tuned, quick=quick, seed=seed, members=4, steps=200)
        tensors |= {f"{mechanism}.{name}": tensor for name, tensor in module.state_dict().items()}
        stored = {name: t.half().contiguous() for name, t in tensors.items()}
        save_file(stored, directory / TUNED_FILES[STAGE], metadata)
        print(mechanism, flush=True)


if __name__ == "__main__":
    main()
