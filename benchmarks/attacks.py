"""Robust accuracy beside AutoAttack, and PGD beside foolbox, torchattacks and ART.

    OMP_NUM_THREADS=1 python benchmarks/attacks.py --peers DIR ... [--data-dir DIR] [--cache DIR]

Four pairs of networks, each plain and trained robustly (`attacking/networks.py`); those that the
cache lacks are trained first. Task "autoattack": the ladder `standard` with three seeds, before,
between and after pyautoattack's AutoAttack-standard and our own `autoattack`, on the first 500 test
images. Task "pgd": 40 steps of a thirtieth of the radius, from random starts, five times in turn,
on the first pair. Everything on one thread, in one process; CPU seconds.

What an entrant hands out is judged by one forward pass of the network itself, in float32, as a user
would make it. Evaluations are counted by a wrapper around the network, the same for all: inputs
that went through it, with a gradient or without.

It appends a line per call to attacks.jsonl, goes on from there, and writes attacks.md. The exit
code is 1 if a target is missed.
"""

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).parent
LOG, TABLE = HERE / "attacks.jsonl", HERE / "attacks.md"
IMAGES = 500
TURNS = (
    ("standard", 0), ("pyautoattack", 0), ("standard", 1), ("autoattack", 0), ("standard", 2),
)  # fmt: skip
REPEATS = 5


def measured(call: Any, victim: Any, seed: int) -> dict[str, Any]:
    """What it takes and what it breaks."""
    from attacking.counted import Counted

    model = Counted(victim.model).eval()
    began = time.process_time()
    found = call(model, victim, seed)
    seconds = time.process_time() - began
    change = (found.examples.double() - victim.inputs.double()).abs().amax(dim=(1, 2, 3))
    with torch.no_grad():
        kept = victim.model(found.examples).argmax(1) == victim.labels
    return {
        "robust": float(kept.double().mean()),
        "kept": kept.nonzero().squeeze(1).tolist(),
        "outside": int((change > victim.eps).sum()),
        "forwards": model.count.forwards,
        "gradients": model.count.gradients,
        "cpu_seconds": seconds,
        **({"remarks": found.remarks} if found.remarks else {}),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", nargs="*", default=[], help="folders with the peers")
    parser.add_argument("--data-dir", help="where the data are")
    default = Path.home() / ".cache" / "wellposed" / "benchmarks"
    parser.add_argument("--cache", type=Path, default=default, help="of trained networks")
    parser.add_argument("--nets", nargs="*", help="beginnings of names; all if left out")
    parser.add_argument("--tasks", nargs="*", default=["autoattack", "pgd"])
    parser.add_argument("--skip", nargs="*", default=[], help="entrants to leave out")
    parser.add_argument("--first", type=int, default=0, help="of the test images")
    parser.add_argument("--table", action="store_true", help="only write the table")
    arguments = parser.parse_args()
    sys.path.extend(arguments.peers)
    torch.set_num_threads(1)
    from attacking.entrants import AUTOATTACK, PGDS, versions
    from attacking.networks import KINDS, PAIRS, victim
    from attacking.tables import document, missed

    rows = [json.loads(line) for line in LOG.read_text().splitlines()] if LOG.exists() else []
    turns = {
        "autoattack": [(AUTOATTACK, *turn) for turn in TURNS],
        "pgd": [(PGDS, name, seed) for seed in range(REPEATS) for name in PGDS],
    }
    images = (arguments.first, arguments.first + IMAGES)
    wanted = [
        (task, pair, kind, *turn)
        for task in arguments.tasks
        for pair in (PAIRS if task == "autoattack" else list(PAIRS)[:1])
        for kind in KINDS
        for turn in turns[task]
        if turn[1] not in arguments.skip
        and any(f"{pair}, {kind}".startswith(net) for net in arguments.nets or [""])
    ]
    known = {(r["task"], r["net"], r["entrant"], r["seed"], r["first"]) for r in rows}
    now = None
    for task, pair, kind, entrants, name, seed in [] if arguments.table else wanted:
        net = f"{pair}, {kind}"
        if (task, net, name, seed, images[0]) in known:
            continue
        if now is None or now.name != net:
            now = victim(pair, kind, images, arguments.cache, arguments.data_dir)
        row = {
            "task": task, "net": net, "entrant": name, "seed": seed, "first": images[0],
            **measured(entrants[name], now, seed),
            "eps": now.eps, "clean": now.clean, "weights": now.weights, "recipe": now.recipe,
            "machine": {
                "processor": platform.machine(), "python": platform.python_version(),
                "torch": torch.__version__, **versions(),
                "load": f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores",
            },
        }  # fmt: skip
        rows.append(row)
        with LOG.open("a") as file:
            file.write(json.dumps(row) + "\n")
        shown = ("task", "net", "entrant", "seed", "robust", "forwards", "gradients", "cpu_seconds")
        print({key: row[key] for key in shown}, flush=True)
    if rows:
        TABLE.write_text(document(rows))
    for words in (wrong := missed(rows)):
        print(f"missed: {words}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
