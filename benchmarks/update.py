"""What an optimizer's update costs beside torch's fused SGD: run `python benchmarks/update.py`.

The update alone, on gradients at hand, for the parameter lists of LeNet-5 (10 tensors, 61,706
weights) and ResNet-18 (62 tensors, 11.69 million); then a whole training step of LeNet-5 at batch
64. All candidates run in turn within each repeat, so that a change of the machine's speed hits all
of them; a repeat is one cycle of 20 steps, the outer step included. Times are CPU seconds of the
process, which other processes disturb least (with one thread they are wall seconds on an idle
machine). The figures are medians over the repeats of a candidate's time and of its ratio to fused
SGD in the same repeat, with the quartiles of that ratio. Exit code 1 if a target is missed.
"""

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wellposed.optim import SGD, AdamW, EntropySGD, Lookahead, Relaxation, memory

STEPS = 20  # of a repeat: one cycle
NESTEROV = {"lr": 1e-4, "momentum": 0.9, "nesterov": True}
BASELINE = "SGD, fused"

Make = Callable[[list[Tensor]], torch.optim.Optimizer]

CANDIDATES: dict[str, Make] = {
    BASELINE: lambda p: SGD(p, fused=True, **NESTEROV),
    "SGD, foreach": lambda p: SGD(p, foreach=True, **NESTEROV),
    "SGD, torch's default": lambda p: SGD(p, **NESTEROV),
    "AdamW, fused": lambda p: AdamW(p, lr=1e-4, fused=True),
    "Lookahead, k=20": lambda p: Lookahead(p, inner_steps=STEPS, **NESTEROV),
    "relaxation, no mean": lambda p: Relaxation(p, gamma=1e-4, inner_steps=STEPS, **NESTEROV),
    "EntropySGD": lambda p: EntropySGD(p, inner_steps=STEPS, **NESTEROV),
    "EntropySGD, AdamW inside": lambda p: EntropySGD(
        p, lr=1e-4, inner_steps=STEPS, base=lambda q, lr: AdamW(q, lr=lr, fused=True)
    ),
    "EntropySGD, noise": lambda p: EntropySGD(p, inner_steps=STEPS, temperature=1e-8, **NESTEROV),
}

TARGETS = {
    ("lenet", "relaxation, no mean"): 1.25,
    ("lenet", "EntropySGD"): 1.6,
    ("resnet18", "relaxation, no mean"): 1.6,
    ("resnet18", "EntropySGD"): 2.2,
    ("lenet training", "EntropySGD"): 1.10,
}


def lenet() -> nn.Sequential:
    """LeNet-5 with 61,706 weights for 28x28 pictures."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10),
    )  # fmt: skip


def lenet_shapes() -> list[tuple[int, ...]]:
    return [tuple(p.shape) for p in lenet().parameters()]


def resnet18_shapes() -> list[tuple[int, ...]]:
    """The parameters of the ImageNet ResNet-18, in order."""
    shapes: list[tuple[int, ...]] = [(64, 3, 7, 7), (64,), (64,)]
    width = 64
    for channels in (64, 128, 256, 512):
        for block in range(2):
            shapes += [(channels, width, 3, 3), (channels,), (channels,)]
            shapes += [(channels, channels, 3, 3), (channels,), (channels,)]
            if block == 0 and width != channels:
                shapes += [(channels, width, 1, 1), (channels,), (channels,)]
            width = channels
    return [*shapes, (1000, 512), (1000,)]


def updates(shapes: list[tuple[int, ...]], make: Make) -> tuple[Callable[[], None], int]:
    """A function that takes one update with constant gradients, and the optimizer's bytes."""
    generator = torch.Generator().manual_seed(0)
    params: list[Tensor] = []
    for shape in shapes:
        p = nn.Parameter(torch.randn(shape, generator=generator) * 0.01)
        p.grad = torch.randn(shape, generator=generator) * 1e-3
        params.append(p)
    optimizer = make(params)
    optimizer.step()
    return optimizer.step, memory(optimizer)  # type: ignore[return-value]


def training(make: Make) -> tuple[Callable[[], None], int]:
    """A function that takes one training step of LeNet-5 on 64 pictures."""
    torch.manual_seed(0)
    model = lenet()
    inputs, targets = torch.randn(64, 1, 28, 28), torch.randint(10, (64,))
    optimizer = make(list(model.parameters()))

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()

    step()
    return step, memory(optimizer)


def measure(named: dict[str, tuple[Callable[[], None], int]], repeats: int) -> list[dict[str, Any]]:
    """Seconds per step of each, interleaved."""
    times: dict[str, list[float]] = {name: [] for name in named}
    for step, _ in named.values():  # warm caches and clocks
        for _ in range(STEPS):
            step()
    for _ in range(repeats):
        for name, (step, _) in named.items():
            start = time.process_time()
            for _ in range(STEPS):
                step()
            times[name].append((time.process_time() - start) / STEPS)
    rows = []
    for name, (_, size) in named.items():
        ratios = sorted(t / b for t, b in zip(times[name], times[BASELINE], strict=True))
        low, median, high = statistics.quantiles(ratios, n=4)
        rows.append({
            "name": name, "seconds": statistics.median(times[name]), "ratio": median,
            "quartiles": [low, high], "repeats": repeats, "bytes": size,
        })  # fmt: skip
    return rows


def cpu_model() -> str:
    """The processor's name, as Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((ln.split(":")[1].strip() for ln in lines if ln.startswith("model name")), "?")


def show(title: str, key: str, rows: list[dict[str, Any]]) -> bool:
    """Print one table; whether all its targets are met."""
    print(f"\n{title}")
    print(f"{'':28}{'us/step':>10}{'x SGD':>8}{'quartiles':>16}{'MB state':>10}  target")
    met = True
    for row in rows:
        target = TARGETS.get((key, row["name"]))
        verdict = ""
        if target is not None:
            row["target"] = target
            fine = row["ratio"] <= target
            met &= fine
            verdict = f"{target:.2f} {'met' if fine else 'MISSED'}"
        low, high = row["quartiles"]
        print(
            f"{row['name']:28}{row['seconds'] * 1e6:10.1f}{row['ratio']:8.2f}"
            f"{f'{low:.2f} to {high:.2f}':>16}{row['bytes'] / 1e6:10.2f}  {verdict}"
        )
    return met


def main() -> int:
    parser = argparse.ArgumentParser(description="Cost of an update beside torch's fused SGD.")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--repeats", type=int, default=60, help="cycles of 20 steps, default 60")
    parser.add_argument("--threads", type=int, default=1, help="torch threads, default 1")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    machine = {
        "cpu": cpu_model(), "python": platform.python_version(), "torch": torch.__version__,
        "threads": arguments.threads, "repeats": arguments.repeats,
    }  # fmt: skip
    print(", ".join(f"{key} {value}" for key, value in machine.items()))

    def listed(shapes: list[tuple[int, ...]], repeats: int) -> list[dict[str, Any]]:
        return measure({name: updates(shapes, make) for name, make in CANDIDATES.items()}, repeats)

    n = arguments.repeats
    small = measure({name: training(make) for name, make in CANDIDATES.items()}, n)
    tables = {
        "lenet": ("Update alone, LeNet-5", listed(lenet_shapes(), 5 * n)),
        "resnet18": ("Update alone, ResNet-18", listed(resnet18_shapes(), max(2, n // 5))),
        "lenet training": ("Training step, LeNet-5, batch 64", small),
    }
    verdicts = [show(title, key, rows) for key, (title, rows) in tables.items()]
    if arguments.json:
        figures = {key: rows for key, (_, rows) in tables.items()}
        arguments.json.write_text(json.dumps({"machine": machine, **figures}, indent=2) + "\n")
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
