"""What an optimizer's update costs beside torch's fused SGD: run `python benchmarks/update.py`.

1. The update alone, on gradients at hand, for the parameter lists of LeNet-5 (10 tensors, 61,706
   weights) and ResNet-18 (62 tensors, 11.69 million): every member of `wellposed.optim` that takes
   a gradient per step, against the bandwidth model of `updates/members.py`, and peers.
2. Memory: what a step allocates beyond what is kept, on ResNet-18's list.
3. A whole training step of LeNet-5 at batch 128, per gradient.

All candidates run in turn within each repeat, so that a change of the machine's speed hits all of
them; a repeat is a cycle of 20 calls. Times are CPU seconds of the process, which other processes
disturb least (with one thread they are wall seconds on an idle machine). The figures are medians
over the repeats of a candidate's time and of its ratio to fused SGD in the same repeat.

Targets: within 1.15 of the model, or of what torch's kernels for the same passes take in this run;
ahead of every peer with the same method; no temporaries in a step; a training step at most 1.10
times SGD's, 1.15 with noise. Exit code 1 if one is missed.
"""

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from updates import tables
from updates.entrant import Entrant, training, update
from updates.kernels import passes
from updates.lists import lenet_shapes, resnet18_shapes
from updates.measure import CALLS, Timing, peak_of_cycle, timed
from updates.members import BASELINE, MEMBERS, TORCH
from updates.peers import peers

BATCH = 128


def cpu_model() -> str:
    """The processor's name, as Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((ln.split(":")[1].strip() for ln in lines if ln.startswith("model name")), "?")


def updates(
    entrants: dict[str, Entrant], shapes: list[tuple[int, ...]], repeats: int
) -> tuple[dict[str, Timing], dict[str, Timing]]:
    """Of the update alone: all entrants, and torch's kernels, each in turn."""
    running = {name: update(entrant, shapes) for name, entrant in entrants.items()}
    kernels = {f"kernel {name}": (call, 1) for name, call in passes(shapes).items()}
    candidates = {name: (r.step, r.gradients) for name, r in running.items()} | kernels
    found = timed(candidates, BASELINE, repeats)
    own = {name.removeprefix("kernel "): t for name, t in found.items() if name in kernels}
    return {name: found[name] for name in entrants}, own


def temporaries(entrants: dict[str, Entrant], shapes: list[tuple[int, ...]]) -> dict[str, float]:
    """Peak of a step's allocations over the bytes of the weights, of one replica."""
    size = 4 * sum(torch.Size(shape).numel() for shape in shapes)
    return {
        name: peak_of_cycle(update(entrant, shapes).step, CALLS if entrant.passes else 3) / size
        for name, entrant in entrants.items()
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Cost of an update beside torch's fused SGD.")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument(
        "--repeats", type=int, default=16, help="half of them for ResNet-18, default 16"
    )
    parser.add_argument("--threads", type=int, default=1, help="torch threads, default 1")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    others, versions = peers()
    load = os.getloadavg()[0]
    machine = {
        "cpu": cpu_model(), "python": platform.python_version(), "torch": torch.__version__,
        **versions, "threads": arguments.threads, "repeats": arguments.repeats,
        "load": f"{load:.1f} on {os.cpu_count()} cores",
    }  # fmt: skip
    print(", ".join(f"{key} {value}" for key, value in machine.items()))
    ours, n = {**TORCH, **MEMBERS}, arguments.repeats
    everyone = {**ours, **others}
    figures: dict[str, Any] = {"machine": machine}
    missed: list[str] = []
    lists = {
        "LeNet-5": (lenet_shapes(), 4 * n),
        "ResNet-18": (resnet18_shapes(), max(2, n // 2)),
    }
    for title, (shapes, repeats) in lists.items():
        found, kernels = updates(everyone, shapes, repeats)
        size = sum(torch.Size(shape).numel() for shape in shapes)
        tables.kernels(title, kernels, size)
        missed += tables.members(title, MEMBERS, found, kernels)
        missed += tables.peers(title, MEMBERS, {**TORCH, **others}, found)
        figures[title] = {name: asdict(t) for name, t in {**found, **kernels}.items()}
    held = temporaries(everyone, resnet18_shapes())
    missed += tables.memory(MEMBERS, held)
    running = {name: training(entrant, BATCH) for name, entrant in ours.items()}
    steps = {name: (r.step, r.gradients) for name, r in running.items()}
    found = timed(steps, BASELINE, 2 * n, calls=2)
    missed += tables.steps(f"Training step of LeNet-5, batch {BATCH}", MEMBERS, found)
    figures |= {"temporaries": held, "training": {name: asdict(t) for name, t in found.items()}}
    tables.verdict(missed)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
