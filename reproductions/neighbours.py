"""The neighbours and the zeroth-order methods on digits: run `python reproductions/neighbours.py`.

scikit-learn's digits (8 x 8 pixels, 1,257 for training, 360 for testing), a perceptron 64-64-10
with ReLU, cross-entropy, batches of 32. Every method gets 600 gradients and a cosine schedule,
where it has no schedule of its own; those that see values only get 9,000 steps of two values each,
which is as much work as 6,000 gradients. The step size is the best of three by the loss on 257 of
the training images, kept out for that, with seed 100. Then seeds 0 to 4 on all training images.

A row of neighbours.jsonl is one run; neighbours.md is the table of means.
"""

import json
import statistics
import time
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from wellposed import optim
from wellposed.data import Digits, load
from wellposed.optim import Anchored, Cosine, GroupScheduler
from wellposed.regularizers import ElasticNet

HERE = Path(__file__).parent
GRADIENTS, VALUES_STEPS, BATCH, SEEDS, TUNING = 600, 9000, 32, range(5), 100
STEPS = (0.02, 0.05, 0.15)
METHODS = {
    "SGD": (partial(optim.SGD, momentum=0.9, nesterov=True), STEPS),
    "AdamW": (optim.AdamW, (1e-3, 3e-3, 1e-2)),
    "PolyakRuppert, tail 0.2": (partial(optim.PolyakRuppert, tail=0.2), STEPS),
    "LaplacianSmoothing": (optim.LaplacianSmoothing, STEPS),
    "AcceleratedSGD": (optim.AcceleratedSGD, STEPS),
    "GradientNoise": (optim.GradientNoise, STEPS),
    "ProximalSGD, l1 1e-4": (
        partial(optim.ProximalSGD, prox_=ElasticNet(l1=1e-4).prox_),
        (0.1, 0.3, 1.0),
    ),
    "SPSA": (optim.SPSA, (1e-3, 3e-3, 1e-2)),
    "MeZO": (optim.MeZO, (1e-3, 3e-3, 5e-3)),
}
SCHEDULED = METHODS.keys() - {"AcceleratedSGD", "SPSA"}  # these two have their own
DATA = load(Digits())


def run(name, lr, seed, count):
    """Train on the first `count` images; errors and losses on the others and on the test part."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = METHODS[name][0](model.parameters(), lr=lr)
    blind = getattr(optimizer, "loss_only", False)
    steps = VALUES_STEPS if blind else GRADIENTS
    scheduler = GroupScheduler(optimizer, Cosine(), steps) if name in SCHEDULED else None
    x, y = DATA.train.inputs, DATA.train.targets
    order = torch.Generator().manual_seed(seed)
    start = time.process_time()
    for _ in range(steps):
        rows = torch.randint(count, (BATCH,), generator=order)
        if blind:
            optimizer.step(lambda rows=rows: cross_entropy(model(x[rows]), y[rows]))
        else:
            optimizer.zero_grad()
            cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
        if scheduler is not None:
            scheduler.step()
    seconds = time.process_time() - start
    if isinstance(optimizer, Anchored):
        optimizer.eval()
    with torch.no_grad():
        wrong = (model(DATA.test.inputs).argmax(1) != DATA.test.targets).float().mean().item()
        held = cross_entropy(model(x[count:]), y[count:]).item() if count < len(y) else None
    return {
        "method": name, "lr": lr, "seed": seed, "held_out_loss": held, "test_error": wrong,
        "cpu_seconds": round(seconds, 2),
    }  # fmt: skip


def main():
    """All runs, and the table."""
    torch.set_num_threads(1)
    total, rows, table = len(DATA.train.targets), [], []
    for name, (_, lrs) in METHODS.items():
        tuning = [run(name, lr, TUNING, total - 257) for lr in lrs]
        lr = min(tuning, key=lambda r: r["held_out_loss"])["lr"]
        finals = [run(name, lr, seed, total) for seed in SEEDS]
        rows += tuning + finals
        errors = [100 * r["test_error"] for r in finals]
        seconds = statistics.mean(r["cpu_seconds"] for r in finals)
        mark = "*" if lr in {lrs[0], lrs[-1]} else ""
        table.append(
            f"| {name} | {lr:g}{mark} | {statistics.mean(errors):.2f} ± "
            f"{statistics.stdev(errors):.2f} | {seconds:.1f} |"
        )
    (HERE / "neighbours.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    about = (__doc__ or "").split("\n\n")[1]
    head = "| method | step size (of 3) | test error, % | CPU s |"
    text = "\n".join([
        "# Neighbours and zeroth-order methods on digits", "",
        "Printed by `python reproductions/neighbours.py`.", "", about, "",
        head, "|---|--:|--:|--:|", *table, "",
        "± is the standard deviation over five seeds; one test image is 0.28 points.",
        "*: at the end of the range tried, so that a better step may lie beyond.",
    ])  # fmt: skip
    (HERE / "neighbours.md").write_text(text + "\n")


if __name__ == "__main__":
    main()
