"""Tune the bundled stem's layer3 together with its attention, past the frozen features.

    python -m attn.training.tune_stage --images bsds500/train

In the papers attention is never trained on frozen features: the layers below learn with it. Here layer3, dilated to
stride 8, learns together with q and k of the AttnBlock with position by the `ranking_loss` of train_grouping; earlier
layers stay frozen and are computed once. Several trainings that start from the same weights and see the photographs
in another order end near each other, and the mean of their weights is better than each of them
(https://arxiv.org/abs/2203.05482). The seven mechanisms then learn on the tuned features as train_grouping has it,
q and k of the AttnBlock with position excepted, which are already there.

`--alone xca` gives the same chance to a channel mechanism: layer3 learns together with that mechanism instead, and one
row with its AUC goes into figures.json. Nothing else of it is kept.
"""

import argparse
import copy
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from attn.bundled import TUNED_FILES, WEIGHTS_DIR, load_bundled
from attn.mechanisms import MECHANISMS
from attn.mechanisms.position import SinusoidalEncoding2d
from attn.mechanisms.spatial import AttnBlock
from attn.stems import ResNetStem, dilate, trunk
from attn.training.grouping_auc import TRAINED, grouping_auc, held_out, load, summary
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
    write_figures,
    write_manifest,
)

STAGE = "layer3"
# Queries a photograph gives to one step.
QUERIES = 64
# Every channel of layer2 is made louder or softer by about this share, anew at every look.
CHANNEL_NOISE = 0.1
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


def dilated_stage() -> nn.Module:
    """The bundled stem's layer3 at stride 8, its BatchNorms not yet folded, statistics frozen."""
    layers = trunk("resnet18", STAGE)
    layers.load_state_dict({name: t.float() for name, t in load_bundled("stem.safetensors").items()}, strict=False)
    dilate(layers)
    return list(layers)[-1].eval().to(memory_format=torch.channels_last)


def features_of(stage: nn.Module, before: Tensor) -> Tensor:
    """The stage's output in float32 for what comes before it (C, h, w), computed in bfloat16."""
    with torch.autocast("cpu", torch.bfloat16):
        y = stage(before[None].float().contiguous(memory_format=torch.channels_last))
    return y.float()


def look(example: Example, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """What comes before the stage (C, h, w), with channel noise, and segments (annotators, h · w): all or a part."""
    before = example.features.float()
    segments = example.segments.unflatten(1, before.shape[1:])
    if rng.random() < 0.5:
        rows, columns = (max(2, int(side * rng.uniform(CROP, 1))) for side in before.shape[1:])
        top, left = (
            int(rng.integers(side - part + 1)) for side, part in zip(before.shape[1:], (rows, columns), strict=True)
        )
        before = before[:, top : top + rows, left : left + columns]
        segments = segments[:, top : top + rows, left : left + columns]
    return before * (1 + CHANNEL_NOISE * torch.randn(len(before), 1, 1)), segments.flatten(1)


def tune(
    stage: nn.Module,
    scores: nn.Module,
    photographs: list[list[Example]],
    *,
    steps: int,
    seed: int,
    batch: int = 4,
    rate: float = 1e-4,
) -> None:
    """Train `stage` and `scores` together on what comes before the stage."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    parameters = [*stage.requires_grad_(True).parameters(), *scores.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.2)
    clock, running = time.monotonic(), 0.0
    for step in range(steps):
        optimizer.zero_grad(set_to_none=True)
        for index in rng.choice(len(photographs), min(batch, len(photographs)), replace=False):
            views = photographs[index]
            before, segments = look(views[rng.integers(len(views))], rng)
            queries = torch.from_numpy(rng.permutation(segments.shape[1])[:QUERIES])
            loss = ranking_loss(scores(features_of(stage, before), queries), *targets(segments, queries)) / batch
            loss.backward()
            running += float(loss.detach())
        optimizer.step()
        schedule.step()
        if (step + 1) % 100 == 0:
            print(f"step {step + 1}/{steps} loss {running / 100:.4f}, {time.monotonic() - clock:.0f} s", flush=True)
            running = 0.0
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
    channel_mechanisms = [name for name in MECHANISMS if name != "spatial"]
    parser.add_argument("--alone", choices=channel_mechanisms, help="tune for this mechanism instead")
    parser.add_argument("--validation", type=Path, help="photographs to measure --alone on; never learnt from")
    parser.add_argument("--sides", type=int, nargs="+", default=[320, 256, 384], help="longest sides to learn at, px")
    parser.add_argument("--steps", type=int, default=1000, help="of each training")
    parser.add_argument("--members", type=int, default=3, help="trainings whose weights are averaged")
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
    before = ResNetStem("bundled", "layer2")
    photographs = cache(before, args.images, args.sides)
    unseen: list[list[Example]] = []
    if args.hold_out:
        paths = sorted(path for path in args.images.glob("*.jpg") if path.with_suffix(".npz").is_file())
        apart = held_out(args.images)
        unseen = [views for path, views in zip(paths, photographs, strict=True) if path in apart]
        photographs = [views for path, views in zip(paths, photographs, strict=True) if path not in apart]
    start = load(args.alone or "attn_position", 256, load_bundled(f"attention_{STAGE}.safetensors"))

    stages: list[nn.Module] = []
    learners: list[BlockScores | CosineScores] = []
    for seed in range(args.seed, args.seed + args.members):
        stage, learner = dilated_stage(), copy.deepcopy(start)
        scores: BlockScores | CosineScores
        scores = BlockScores(learner) if isinstance(learner, AttnBlock) else CosineScores(learner)
        kept = args.checkpoints / f"{args.alone or 'attn_position'}_{seed}.pt" if args.checkpoints else None
        if kept and kept.exists():
            states = torch.load(kept, weights_only=True)
            stage.load_state_dict(states["stage"])
            scores.load_state_dict(states["scores"])
        else:
            tune(stage, scores, photographs, steps=args.steps, seed=seed)
            if kept:
                kept.parent.mkdir(parents=True, exist_ok=True)
                torch.save({"stage": stage.state_dict(), "scores": scores.state_dict()}, kept)
        stages.append(stage)
        learners.append(scores)
        if unseen:
            print(f"seed {seed}: {judge(stage, scores, unseen).mean():.4f} on {len(unseen)} held out", flush=True)
    stage, scores = stages[0], learners[0]
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
            values = judge(stage, scores, cache(before, args.validation, [320]))
            row = summary(args.alone, values, scores.module, (27, 40))
            figures = {"rows": [asdict(row)], "seconds": round(time.monotonic() - clock, 1)}
            write_figures(args.output, STAGE, {"alone": {args.alone: figures}})
            print(f"{args.alone}: {row.auc:.4f} ({row.low:.4f}–{row.high:.4f})")
        return
    write_tuned(stage, scores, photographs, args.output, quick=args.quick, seed=args.seed)
    write_manifest(args.output)
    write_figures(args.output, STAGE, {"tuned_seconds": round(time.monotonic() - clock, 1)})


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
    tensors = {f"stem.{STAGE}.{name}": t for name, t in stage.state_dict().items() if "num_batches" not in name}
    with torch.no_grad():
        tuned = [
            [Example(features_of(stage, view.features)[0].half(), view.segments) for view in views[:2]]
            for views in photographs
        ]
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
