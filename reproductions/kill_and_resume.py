"""Kill training with SIGKILL at random moments, resume it, and compare bit by bit.

    python reproductions/kill_and_resume.py [--kills 20] [--out reproductions]

Two trainings on digits, EntropySGD with noise and AdamW with a moving average, both with
augmentation, dropout and batch norm, write a checkpoint every third step. Each is run once without
interruption, and then once per kill: killed after a random share of that time (every fourth kill
waits for the write of a checkpoint to begin, and strikes inside it), and resumed. The final
weights, the last checkpoint's tensors and log.jsonl must be equal to the uninterrupted run's, byte
for byte. Writes kill-and-resume.jsonl (one line per kill) and kill-and-resume.md (a table).

Needs a system with fork (Linux, macOS). Takes about two minutes.
"""

import argparse
import json
import os
import platform
import random
import signal
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from wellposed.data import Dataset, Digits, Shift, load
from wellposed.losses import CrossEntropy
from wellposed.optim import AdamW, Cosine, EntropySGD, GroupScheduler
from wellposed.problem import Problem
from wellposed.runs import RunFolder
from wellposed.train import Plan, fit

INNER = 5
PLANS = {
    "EntropySGD": Plan(batch_size=32, augment=(Shift(1),), checkpoint_every=3),
    "AdamW": Plan(batch_size=32, augment=(Shift(1),), checkpoint_every=3, ema=0.95),
}


def train(name: str, dataset: Dataset, path: Path) -> None:
    """Train into the folder, or go on there; everything is a function of the name."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2),
        nn.Linear(288, 10),
    )  # fmt: skip
    weights = model.parameters()
    optimizer = {
        "EntropySGD": lambda: EntropySGD(weights, lr=0.05, inner_steps=INNER, temperature=1e-5),
        "AdamW": lambda: AdamW(weights, lr=0.003),
    }[name]()
    plan = PLANS[name]
    schedule = GroupScheduler(optimizer, Cosine(warmup=0.1), plan.total_steps(len(dataset.train)))
    if (path / "run.json").exists():
        folder = RunFolder.open(path)
    else:
        folder = RunFolder.create(path, kind="run", recipe="", provenance={})
    fit(
        Problem(dataset, model, CrossEntropy()),
        optimizer,
        plan,
        schedulers=[schedule],
        folder=folder,
    )


def start(name: str, dataset: Dataset, path: Path) -> int:
    """Train in a new process, forked from this one, which has torch loaded; its number."""
    if child := os.fork():
        return child
    status = 1
    try:
        train(name, dataset, path)
        status = 0
    finally:
        os._exit(status)


def run_to_the_end(name: str, dataset: Dataset, path: Path) -> float:
    """Train without interruption; seconds it took."""
    begin = time.monotonic()
    _, status = os.waitpid(start(name, dataset, path), 0)
    if status != 0:
        sys.exit(f"training {name} in {path} failed")
    return time.monotonic() - begin


def is_writing(path: Path) -> bool:
    """Whether a checkpoint is being written."""
    try:
        return any(n.startswith(".writing") for n in os.listdir(path / "checkpoints"))  # noqa: PTH208
    except FileNotFoundError:
        return False


def kill(name: str, dataset: Dataset, path: Path, after: float, *, inside_a_write: bool) -> bool:
    """Start, wait, and kill; False if the training came to its end before."""
    child = start(name, dataset, path)
    moment = time.monotonic() + after
    while time.monotonic() < moment or (inside_a_write and not is_writing(path)):
        if os.waitpid(child, os.WNOHANG) != (0, 0):
            return False
        if not inside_a_write:
            time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def found_in(name: str, path: Path) -> dict[str, object]:
    """Where a killed training stands."""
    log = path / "log.jsonl"
    lines = log.read_bytes().splitlines(keepends=True) if log.exists() else []
    whole = [json.loads(line) for line in lines if line.endswith(b"\n")]
    saved = sorted(p.name for p in (path / "checkpoints").glob("step-*"))
    step = int(saved[-1][5:]) if saved else 0
    return {
        "checkpoint": step,
        "inner_index": step % INNER if name == "EntropySGD" else None,
        "log_step": whole[-1]["step"] if whole else 0,
        "inside_checkpoint_write": is_writing(path),
    }


def content(path: Path) -> dict[str, bytes]:
    """What must not differ."""
    last = max((path / "checkpoints").glob("step-*"))
    return {
        "weights.safetensors": (path / "weights.safetensors").read_bytes(),
        "log.jsonl": (path / "log.jsonl").read_bytes(),
        "last checkpoint": (last / "tensors.safetensors").read_bytes(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="per optimizer")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    arguments = parser.parse_args()
    for name, plan in PLANS.items():
        PLANS[name] = replace(plan, epochs=arguments.epochs)
    torch.set_num_threads(1)  # a process with more could not be forked
    dataset = load(Digits())
    chance = random.Random(arguments.seed)
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        train("AdamW", dataset, Path(temporary, "warm-up"))  # imports that no fork need repeat
        for name in PLANS:
            reference = Path(temporary, name)
            seconds = run_to_the_end(name, dataset, reference)
            expected = content(reference)
            number = 0
            while number < arguments.kills:
                path = Path(temporary, f"{name}-{len(rows)}-{chance.random()}")
                after = chance.uniform(0.02, 0.98) * seconds
                if not kill(name, dataset, path, after, inside_a_write=number % 4 == 1):
                    continue  # it was faster this time: draw again
                row = {"optimizer": name, "kill": number, "seconds": after, **found_in(name, path)}
                run_to_the_end(name, dataset, path)
                found = content(path)
                row["equal"] = {what: found[what] == expected[what] for what in expected}
                rows.append(row)
                print(json.dumps(row), flush=True)
                number += 1
    write(arguments.out, rows)
    if not all(all(row["equal"].values()) for row in rows):
        sys.exit("a resumed training differs from the uninterrupted one")


def write(out: Path, rows: list[dict]) -> None:
    """The lines, and the table."""
    (out / "kill-and-resume.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    lines = [
        "# Killed and resumed",
        "",
        "`python reproductions/kill_and_resume.py` trains on digits with augmentation, dropout",
        "and batch norm, kills the process with SIGKILL, resumes, and compares with a training",
        "that was not killed: final weights, last checkpoint and log.jsonl, byte for byte.",
        "",
        "| optimizer | kills | inside an inner cycle | inside a checkpoint write "
        "| weights, checkpoint and log all equal |",
        "|---|--:|--:|--:|--:|",
    ]
    for name in PLANS:
        own = [row for row in rows if row["optimizer"] == name]
        inner = sum(row["inner_index"] > 0 for row in own) if name == "EntropySGD" else "-"
        inside = sum(row["inside_checkpoint_write"] for row in own)
        equal = sum(all(row["equal"].values()) for row in own)
        lines.append(f"| {name} | {len(own)} | {inner} | {inside} | {equal} |")
    cpu = f"{platform.system()} on {platform.machine()}"
    lines += [
        "",
        '"Inside an inner cycle": the checkpoint that training went on from lies between two',
        'steps of the anchor. "Inside a checkpoint write": a half-written one was left behind.',
        f"Python {platform.python_version()}, torch {torch.__version__}, {cpu}.",
    ]
    (out / "kill-and-resume.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
