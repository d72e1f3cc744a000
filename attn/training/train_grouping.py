"""Train attention on frozen features to put a query's attention on the query's own human segment.

    python -m attn.training.train_grouping --images bsds500/train --stage layer3

Trained are the AttnBlock without and with position encoding, and for a fair contrast on the same task SE, ECA,
CBAM's gate, CAM and XCA. Each learns two things:

- *where*: `ranking_loss` of a query's scores over all other positions, an AttnBlock's logits or, for a channel
  mechanism, the cosine of its output, as in `grouping_auc`;
- *what*: each position of the output is pulled toward the mean of the input over the position's own segment.

An AttnBlock learns them one after the other: q and k by gradient; then one factor on their logits, so that the
softmax covers as many positions as the segment has; then v and proj_out in closed form, as factors of
the linear map of the attended features that comes closest to the segments' means. A channel mechanism learns both at
once. CAM has a single number to learn, the weight of its one fixed mixture.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from attn.bundled import MANIFEST, WEIGHTS_DIR
from attn.images import open_image
from attn.mechanisms import CrossCovarianceAttention
from attn.mechanisms.position import SinusoidalEncoding2d
from attn.mechanisms.spatial import AttnBlock
from attn.stems import DETAILS, STEMS, ResNetStem
from attn.training.grouping_auc import TRAINED, affinity, build, load_segments

FIGURES = "figures.json"
# Queries a photograph gives to one step: its rows are much alike, photographs are not.
QUERIES = 48
# And the positions that those are compared with, where the grid has more: others tell nothing new of one photograph.
KEYS = 512
# Where q and k hear an encoding, their norm all but silences the content (QUIET); elsewhere it makes the content loud
# against the encoding. v undoes both. Without this the two share every channel and disturb each other.
LOUD, QUIET = 8.0, 0.05
# The waves that are heard, in cycles over the image: coarse ones for where in the picture, finer ones for nearness.
CYCLES, WAVES = (0.1, 2.0), 6
# Content has size 1 after the norm. Up to C^(1/4), q and k start as these multiples of the identity.
POSITION_SIZE = 2.0
CONTENT_START, POSITION_START = 0.15, 0.1
# What a segment error of 1 weighs against the ranking loss in a channel mechanism.
WHAT = 0.3


@dataclass(frozen=True)
class Example:
    """One view of a photograph: features (C, h, w) float16, segment of each position (annotators, N)."""

    features: Tensor
    segments: Tensor


def cache(stem: ResNetStem, folder: Path, sides: Sequence[int], layers: nn.Module | None = None) -> list[list[Example]]:
    """Features of the photographs `ID.jpg` + `ID.npz` in `folder`, computed once: a list of views per photograph.

    A view is one longest side in px, as it is or mirrored, computed in bfloat16. Features are those that `layers` give
    in place of the stem, where there are some; segments are on the grid of the stem all the same. ValueError where the
    folder holds no such pair.
    """
    network = stem if layers is None else layers
    photographs = []
    for path in sorted(folder.glob("*.jpg")):
        if not path.with_suffix(".npz").is_file():
            continue
        views = []
        for side in sides:
            pixels = stem.preprocess(open_image(path), side)
            grid = (pixels.shape[2] // stem.stride_px, pixels.shape[3] // stem.stride_px)
            segments = load_segments(path.with_suffix(".npz"), grid)
            for mirrored in (False, True):
                with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
                    features = network(pixels.flip(-1) if mirrored else pixels)[0].half().contiguous()
                seen = segments.unflatten(1, grid).flip(-1).flatten(1) if mirrored else segments
                views.append(Example(features, seen))
        photographs.append(views)
    if not photographs:
        raise ValueError(f"expected photographs ID.jpg with segments ID.npz in {folder}, found none")
    return photographs


def targets(segments: Tensor, queries: Tensor) -> tuple[Tensor, Tensor]:
    """For `queries` (Q,): uniform distributions over the own segment without the query, and over all others, (Q, N).

    Both are means over annotators (segments: annotators, N). An annotator with only one of the two has no say; where
    none has, rows are zero.
    """
    same = segments[:, queries, None] == segments[:, None, :]  # (annotators, Q, N)
    itself = torch.arange(segments.shape[1]) == queries[:, None]
    own, other = (same & ~itself).float(), (~same).float()
    says = ((own.sum(-1) > 0) & (other.sum(-1) > 0)).float()[..., None]
    share = says / says.sum(0).clamp_min(1)
    return (
        (own / own.sum(-1, keepdim=True).clamp_min(1) * share).sum(0),
        (other / other.sum(-1, keepdim=True).clamp_min(1) * share).sum(0),
    )


def segment_means(tokens: Tensor, segments: Tensor) -> Tensor:
    """Mean of `tokens` (N, C) over each position's own segment, mean over annotators, (N, C)."""
    means = torch.zeros_like(tokens)
    for segment in segments:
        member = F.one_hot(segment.unique(return_inverse=True)[1]).to(tokens)  # (N, segments)
        means += member @ (member.T @ tokens / member.sum(0)[:, None])
    return means / len(segments)


def ranking_loss(scores: Tensor, own: Tensor, other: Tensor) -> Tensor:
    """Logistic loss of scores (Q, N) around the midpoint between a query's two mean scores, both sides weighing 1.

    A smooth stand-in for 1 − AUC that costs N, not N², per query; `own`, `other` (Q, N) from `targets`.
    """
    midpoint = ((own + other) * scores).sum(-1, keepdim=True) / 2
    return (own * F.softplus(midpoint - scores) + other * F.softplus(scores - midpoint)).sum() / len(scores)


def hear_position(block: AttnBlock) -> Tensor:
    """Set the norm of a block with an encoding so that a few channels carry position and the rest content.

    Returns the size of what q and k see in each channel, (C,): LOUD for content, the encoding's amplitude for position.
    """
    encoding = block.encoding
    if not isinstance(encoding, SinusoidalEncoding2d):
        raise ValueError(f"expected a block with a SinusoidalEncoding2d, got {encoding}")
    axis = block.channels // 2  # channels of one axis, sine and cosine in turn
    cycles = encoding.extent / (2 * np.pi) * encoding.base ** (-np.arange(axis // 2) / (axis // 2))
    waves = np.abs(np.log(cycles[:, None] / np.geomspace(*CYCLES, WAVES))).argmin(axis=0)
    position = torch.zeros(block.channels, dtype=torch.bool)
    for start in (0, axis):
        for wave in waves.tolist():
            position[start + 2 * wave : start + 2 * wave + 2] = True
    with torch.no_grad():
        block.norm.weight.copy_(torch.where(position, QUIET, LOUD))
    return torch.where(position, encoding.amplitude, LOUD)


def train_where(
    block: AttnBlock,
    photographs: list[list[Example]],
    *,
    steps: int = 250,
    members: int = 12,
    share: float = 0.5,
    batch: int = 8,
    rate: float = 2e-3,
    noise: float = 0.5,
    seed: int = 0,
) -> None:
    """Train q and k: `members` times on another `share` of the photographs, then the mean of all.

    With z what q and k see, the logits are z form zᵀ + z·lean, linear in form and lean; so the mean of several blocks'
    logits is again one block's. That, and Gaussian `noise` on z drawn anew at every look, is what keeps 2 C² numbers
    from learning 200 photographs by heart.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    c = block.channels
    # The form is learnt for z / size, in which content has size 1 and position POSITION_SIZE.
    size, start = torch.ones(c), torch.full((c,), CONTENT_START)
    if block.encoding is not None:
        size = hear_position(block)
        position = size != LOUD
        size[position] /= POSITION_SIZE
        start[position] = POSITION_START
    form, lean = torch.zeros(c, c), torch.zeros(c)
    for _ in range(members):
        chosen = rng.permutation(len(photographs))[: max(1, round(share * len(photographs)))]
        query, key = torch.diag(start).requires_grad_(), torch.diag(start).requires_grad_()
        bias = torch.zeros(c, requires_grad=True)
        optimizer = torch.optim.AdamW([query, key, bias], lr=rate, betas=(0.9, 0.99), weight_decay=0.0)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.2)
        for examples in _batches([photographs[i] for i in chosen], steps, batch, rng):
            # Multiplied first, the two matrices cost a quarter of projecting every token by both.
            own_form, own_lean = query.T @ key, key.T @ bias
            loss = torch.zeros(())
            for example in examples:
                with torch.no_grad():
                    z = _seen(block, example.features) / size  # (N, C)
                    some = torch.from_numpy(rng.permutation(len(z))[:KEYS])
                    z = z[some]
                    z = z + noise * torch.randn_like(z)
                scores = z[:QUERIES] @ own_form @ z.T + z @ own_lean  # (Q, N)
                own_other = targets(example.segments[:, some], torch.arange(min(QUERIES, len(some))))
                loss = loss + ranking_loss(scores, *own_other) / len(examples)
            _step(loss, optimizer, schedule)
        form += (query.T @ key).detach() / members
        lean += (key.T @ bias).detach() / members
    set_form(block, form, lean, size)
    fit_factor(block, [view for views in _batches(photographs, 4, batch, rng) for view in views])


@torch.no_grad()
def set_form(block: AttnBlock, form: Tensor, lean: Tensor, size: Tensor) -> None:
    """Set q and k so that the logits are z form zᵀ + z·lean, with z what q and k see over `size` (C,)."""
    c = block.channels
    # The block divides its logits by √C.
    left, sizes, right = torch.linalg.svd(form * c**0.5)
    query, key = left * sizes.sqrt() / size[:, None], right.T * sizes.sqrt() / size[:, None]  # (in, out)
    bias = torch.linalg.lstsq(right.T * sizes.sqrt(), c**0.5 * lean[:, None]).solution[:, 0]
    # Every key's share of k's bias is the same for a query: the softmax does not see it.
    _set(block.k, key.T, torch.zeros(c))
    _set(block.q, query.T, bias)


@torch.no_grad()
def fit_factor(block: AttnBlock, examples: Sequence[Example]) -> None:
    """Scale q so that the softmax covers as many positions as a query's own segment has.

    Covers: its perplexity, as a share of the positions, in the median over queries; so the factor fits any grid. The
    least cross-entropy with the uniform distribution over the segment asks for a softmax twice as wide: a query that
    is sure and wrong costs it more than many that say little.
    """
    factors = torch.logspace(-1, 1, 41)
    widths: list[list[Tensor]] = [[] for _ in factors]
    sizes = []
    for example in examples:
        scores = affinity(block, example.features[None].float())[0]
        some = torch.arange(0, len(scores), 7)
        for width, factor in zip(widths, factors, strict=True):
            attention = (factor * scores[some]).softmax(-1)
            entropy = -(attention * attention.clamp_min(1e-30).log()).sum(-1)
            width.append(entropy - np.log(len(scores)))
        same = example.segments[:, some, None] == example.segments[:, None, :]
        sizes.append(same.float().mean(-1).mean(0).log())
    wanted = torch.cat(sizes).median()
    best = torch.stack([(torch.cat(width).median() - wanted).abs() for width in widths]).argmin()
    for parameter in block.q.parameters():
        parameter.mul_(factors[best])


@torch.no_grad()
def fit_what(block: AttnBlock, photographs: list[list[Example]], *, ridge: float = 1e-3) -> None:
    """Set v and proj_out to the linear map of the attended features that best gives segment mean − input.

    Least squares over every position of every view, with a ridge relative to the features' mean energy.
    """
    c = block.channels
    products, answers = torch.zeros(c + 1, c + 1).double(), torch.zeros(c + 1, c).double()
    for example in (view for views in photographs for view in views):
        x = example.features[None].float()
        tokens = x[0].flatten(1).T  # (N, C)
        normal = (block.norm(x)[0].flatten(1) / block.norm.weight[:, None]).T
        attended = affinity(block, x)[0].softmax(-1) @ normal
        attended = F.pad(attended, (0, 1), value=1.0)  # the last column is the bias
        products += (attended.T @ attended).double() / len(tokens)
        answers += (attended.T @ (segment_means(tokens, example.segments) - tokens)).double() / len(tokens)
    strength = ridge * products.diagonal()[:c].mean()
    penalty = torch.diag(F.pad(strength.expand(c), (0, 1)))
    solution = torch.linalg.solve(products + penalty, answers).float()  # (C + 1, C)
    left, sizes, right = torch.linalg.svd(solution[:c].T)  # out × in
    _set(block.proj_out, left * sizes.sqrt(), solution[c])
    _set(block.v, sizes.sqrt()[:, None] * right / block.norm.weight, torch.zeros(c))


def train_channel(
    module: nn.Module,
    photographs: list[list[Example]],
    *,
    steps: int = 400,
    batch: int = 8,
    rate: float = 3e-3,
    seed: int = 0,
) -> None:
    """Train a channel mechanism: `ranking_loss` of its cosines times a learned factor, plus some `segment_error`."""
    rng = np.random.default_rng(seed)
    if isinstance(module, CrossCovarianceAttention):
        nn.init.zeros_(module.proj.weight)  # XCA starts as its residual, the features themselves
    log_factor = torch.tensor(10.0).log().requires_grad_()
    optimizer = torch.optim.AdamW([*module.parameters(), log_factor], lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.2)
    module.train()
    for examples in _batches(photographs, steps, batch, rng):
        loss = torch.zeros(())
        for example in examples:
            x = example.features[None].float()
            y = module(x)
            tokens = F.normalize(y.flatten(2)[0].T, dim=1)  # (N, C)
            queries = torch.from_numpy(rng.permutation(len(tokens))[:QUERIES])
            scores = tokens[queries] @ tokens.T * log_factor.exp()
            where = ranking_loss(scores, *targets(example.segments, queries))
            loss = loss + (where + WHAT * segment_error(x, y, example.segments)) / len(examples)
        _step(loss, optimizer, schedule)
    module.eval()


def segment_error(x: Tensor, y: Tensor, segments: Tensor) -> Tensor:
    """Squared distance of y from the segments' means of x, over that of x itself: 1 = x unchanged, 0 = flat segments.

    x, y: (1, C, h, w).
    """
    tokens = x.flatten(2)[0].T
    means = segment_means(tokens, segments)
    return (y.flatten(2)[0].T - means).square().sum() / (tokens - means).square().sum().clamp_min(1e-12)


def train(
    mechanism: str,
    channels: int,
    photographs: list[list[Example]],
    *,
    quick: bool,
    seed: int,
    members: int = 12,
    steps: int = 400,
) -> nn.Module:
    """One of `TRAINED`, trained from `seed`, rounded to float16 as it will be stored, in eval mode.

    `quick`: a few steps only, to try things out. `members` of an AttnBlock: see `train_where`; `steps` of the others.
    """
    torch.manual_seed(seed)
    module = build(mechanism, channels)
    if isinstance(module, AttnBlock):
        train_where(module, photographs, seed=seed, **({"steps": 2, "members": 2} if quick else {"members": members}))
        fit_what(module, photographs)
    else:
        train_channel(module, photographs, seed=seed, steps=2 if quick else steps)
    return module.half().float().eval().requires_grad_(False)


def write_manifest(directory: Path) -> None:
    """Note the SHA-256 of every weight file in `directory`, which `attn.bundled` checks at load."""
    files = {
        path.name: {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()} for path in directory.glob("*.safetensors")
    }
    (directory / MANIFEST).write_text(json.dumps(files, indent=2, sort_keys=True) + "\n")


def write_figures(directory: Path, stage: str, figures: dict[str, Any]) -> None:
    """Put a stage's `figures` into `directory`'s figures.json, beside what it says of that and other stages."""
    path = directory / FIGURES
    known = json.loads(path.read_text()) if path.is_file() else {}
    known[stage] = known.get(stage, {}) | figures
    path.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n")


def _set(layer: nn.Conv2d, weight: Tensor, bias: Tensor) -> None:
    """Give a 1×1 convolution a matrix (out, in) and a bias (out,)."""
    layer.load_state_dict({"weight": weight[:, :, None, None], "bias": bias})


def _seen(block: AttnBlock, features: Tensor) -> Tensor:
    """What q and k see of features (C, h, w): tokens (N, C)."""
    h = block.norm(features[None].float())
    if block.encoding is not None:
        h = h + block.encoding(*h.shape[2:])
    return h.flatten(2)[0].T


def _batches(
    photographs: list[list[Example]], steps: int, batch: int, rng: np.random.Generator
) -> Iterator[list[Example]]:
    """`steps` times one view each of `batch` photographs, none twice."""
    for _ in range(steps):
        chosen = rng.choice(len(photographs), min(batch, len(photographs)), replace=False)
        yield [photographs[i][rng.integers(len(photographs[i]))] for i in chosen]


def _step(loss: Tensor, optimizer: torch.optim.Optimizer, schedule: torch.optim.lr_scheduler.LRScheduler) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    schedule.step()


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument(
        "--images", type=Path, required=True, help="photographs ID.jpg with segments ID.npz to learn from"
    )
    parser.add_argument("--stem", choices=STEMS, default="bundled")
    parser.add_argument("--stage", choices=("layer2", "layer3"), default="layer3")
    parser.add_argument("--detail", choices=DETAILS, default="fine")
    parser.add_argument("--mechanism", choices=TRAINED, nargs="+", default=list(TRAINED))
    parser.add_argument("--sides", type=int, nargs="+", default=[256, 320, 384], help="longest sides to learn at, px")
    parser.add_argument("--quick", action="store_true", help="a few steps only, to see that everything runs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="more than one pays on an idle machine only")
    parser.add_argument("--output", type=Path, default=WEIGHTS_DIR, help="folder of attention_STAGE.safetensors")
    args = parser.parse_args(arguments)

    torch.set_num_threads(args.threads)
    stem = ResNetStem(args.stem, args.stage, detail=args.detail)
    start = time.monotonic()
    photographs = cache(stem, args.images, args.sides)
    print(f"{len(photographs)} photographs, features cached in {time.monotonic() - start:.0f} s", flush=True)
    args.output.mkdir(parents=True, exist_ok=True)
    origin = {"stem": args.stem, "stage": args.stage, "recipe": "attn.training.train_grouping", "seed": str(args.seed)}
    weights: dict[str, Tensor] = {}
    seconds: dict[str, float] = {}
    for mechanism in args.mechanism:
        start = time.monotonic()
        module = train(mechanism, stem.channels, photographs, quick=args.quick, seed=args.seed)
        seconds[mechanism] = round(time.monotonic() - start, 1)
        print(f"{mechanism}: {seconds[mechanism]:.0f} s", flush=True)
        weights |= {f"{mechanism}.{name}": tensor.half().contiguous() for name, tensor in module.state_dict().items()}
        save_file(weights, args.output / f"attention_{args.stage}.safetensors", metadata=origin)
    write_manifest(args.output)
    details = {"sides_trained": args.sides, "detail_trained": args.detail, "seed": args.seed, "seconds": seconds}
    write_figures(args.output, args.stage, details)


if __name__ == "__main__":
    main()
