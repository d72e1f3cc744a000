"""Upload the page to a Space on Hugging Face: ``python deploy/upload_space.py USER/NAME``.

A plain ``git push`` is refused there: files that are not text have to come through LFS, and the weights and pictures
here are not in LFS. The Hub's own client sends them the way the Hub wants them. With ``--dry-run`` nothing is sent and
no network is used: the files, their sizes and what is left out are listed.
"""

import argparse
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# What a Space has no use for; everything else that git tracks is sent.
LEFT_OUT = (".ci/*", ".gitignore", "benchmarks/*", "deploy/*", "examples/*", "tests/*", "requirements-*.txt")
THUMBNAIL = re.compile(r"^thumbnail: (?!https?://)(\S+)$", re.MULTILINE)


def tracked() -> list[str]:
    """Every file that git tracks, relative to the checkout."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout.decode()
    return sorted(path for path in listed.split("\0") if path and (ROOT / path).is_file())


def is_sent(path: str) -> bool:
    """Whether a Space needs this file."""
    return not any(fnmatch(path, pattern) for pattern in LEFT_OUT)


def is_binary(path: Path) -> bool:
    """Whether the Hub asks for it outside plain git, as git itself tells text from the rest."""
    return b"\0" in path.read_bytes()[:8000]


def readme(space: str) -> bytes:
    """README.md with the thumbnail's whole address: link previews take no other."""
    card = (ROOT / "README.md").read_text("utf-8")
    whole = rf"thumbnail: https://huggingface.co/spaces/{space}/resolve/main/\1"
    return THUMBNAIL.sub(whole, card, count=1).encode()


def main() -> int:
    """Send the files, or list them."""
    parser = argparse.ArgumentParser(description="Upload the page to a Space on Hugging Face.")
    parser.add_argument("space", help="USER/NAME; it is made if it does not exist")
    parser.add_argument("--dry-run", action="store_true", help="list what would be sent, send nothing")
    parser.add_argument("--private", action="store_true", help="if the Space is made now: private")
    args = parser.parse_args()
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", args.space):
        parser.error(f"expected USER/NAME, got {args.space!r}")
    files = tracked()
    sent = [path for path in files if is_sent(path)]
    if args.dry_run:
        for path in sent:
            size = (ROOT / path).stat().st_size
            print(f"{size:>10,}  {'LFS ' if is_binary(ROOT / path) else 'text'}  {path}")
        total = sum((ROOT / path).stat().st_size for path in sent)
        print(f"{total:>10,}  bytes in {len(sent)} files to the Space {args.space}")
        print(f"left out ({len(files) - len(sent)} files): {', '.join(LEFT_OUT)}, and what git does not track")
        return 0
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    hub = HfApi()
    hub.create_repo(args.space, repo_type="space", space_sdk="gradio", private=args.private, exist_ok=True)
    there = set(hub.list_repo_files(args.space, repo_type="space")) - {".gitattributes"}
    operations: list[object] = [
        CommitOperationAdd(path, readme(args.space) if path == "README.md" else ROOT / path) for path in sent
    ]
    operations += [CommitOperationDelete(path) for path in sorted(there - set(sent))]
    revision = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    message = f"Attention window at {revision.stdout.decode().strip()}"
    print(hub.create_commit(args.space, operations, commit_message=message, repo_type="space").commit_url)
    return 0


if __name__ == "__main__":
    sys.exit(main())
