"""Parle with three replicas against one model: LeNet on MNIST, smallcnn on CIFAR-10 (JPEG).

    OMP_NUM_THREADS=1 python reproductions/parle_lenet.py [--data-dir DIR] [--only lenet|cifar10]

At equal total gradients (three replicas with a third each) and at equal gradients per replica
(three times as many in all, beside one model that takes just as many). Appends to
parle-lenet.jsonl and parle-cifar10.jsonl, and writes parle-lenet.md.
"""

import argparse
import copy
import itertools
import time

import torch
from _study import (
    ADAPTIVE_RATES,
    PARITY,
    RATES,
    Datasets,
    Log,
    at_kept_weights,
    error_of,
    errors_on,
    interval,
    machine,
    recipe_of,
    recompute,
    spread,
    versus,
    without_average,
)
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from wellposed.data import Batches
from wellposed.optim import SGD, Cosine, DiLoCo, GroupScheduler, Lookahead, Parle
from wellposed.recipe import build

TOTAL = 480  # gradients of one model, or of three replicas together; T below
TUNING_SEED = 100
NETS = {"lenet": "LeNet (20-50-500) on MNIST", "cifar10": "smallcnn on CIFAR-10, JPEG images"}
NESTEROV = {"momentum": 0.9, "nesterov": True}
# name: optimizer over groups and step size, replicas, gradients in all
ENTRANTS = {
    "SGD": (lambda g, lr: SGD(g, lr=lr, **NESTEROV), 1, TOTAL),
    "SGD-EMA": (lambda g, lr: SGD(g, lr=lr, **NESTEROV), 1, TOTAL),
    "Lookahead": (lambda g, lr: Lookahead(g, lr=lr), 1, TOTAL),
    "DiLoCo n=3": (lambda g, lr: DiLoCo(g, lr=lr, inner_steps=20, outer_momentum=0.5), 3, TOTAL),
    "Parle n=3": (lambda g, lr: Parle(g, lr=lr, inner_steps=20), 3, TOTAL),
    "SGD, 3 T": (lambda g, lr: SGD(g, lr=lr, **NESTEROV), 1, 3 * TOTAL),
    "DiLoCo n=3, 3 T": (
        lambda g, lr: DiLoCo(g, lr=lr, inner_steps=20, outer_momentum=0.5),
        3,
        3 * TOTAL,
    ),
    "Parle n=3, 3 T": (lambda g, lr: Parle(g, lr=lr, inner_steps=20), 3, 3 * TOTAL),
}
PUBLISHED = {  # top-1 error in per cent, from the annotations of the authors' plotting script
    "lenet": "LeNet, n = 6: SGD 0.50, Entropy-SGD 0.49, Elastic-SGD 0.48, Parle 0.44",
    "cifar10": "All-CNN, n = 3 (another network): SGD 6.15, Entropy-SGD 5.76, Parle 5.18",
}


def run(entrant, recipe, lr, data, *, test):
    """Train the replicas, each on its own order of the data, and evaluate their mean."""
    make, n, total = ENTRANTS[entrant]
    began = time.process_time()
    made = build(recipe, data=data)
    first, loss = made.problem.model, made.problem.loss
    torch.manual_seed(recipe.seed)
    models = [first, *(copy.deepcopy(first) for _ in range(n - 1))]
    groups = [{"params": list(m.parameters()), "replica": a} for a, m in enumerate(models)]
    optimizer = make(groups if n > 1 else groups[0]["params"], lr)
    steps = total // n
    size = made.plan.batch_size
    orders = [
        Batches(data.train, size, seed=1000 * recipe.seed + a, dtype=torch.bfloat16)
        for a in range(n)
    ]
    streams = [itertools.chain.from_iterable(map(o.epoch, itertools.count())) for o in orders]
    average = None
    if entrant == "SGD-EMA":
        average = AveragedModel(first, multi_avg_fn=get_ema_multi_avg_fn(0.98), use_buffers=True)
    objective = _descend(models, loss, optimizer, streams, steps, average)
    row = {"gradients": steps * n, "cpu_seconds": round(time.process_time() - began, 1)}
    if not objective.isfinite():
        return {**row, "diverged": "the objective is not finite at the end"}
    parts = ("validation", "test") if test else ("validation",)
    with at_kept_weights(optimizer):
        if hasattr(optimizer, "at_anchor"):
            recompute(first, orders[0])
        last = errors_on(first, data, parts, loss)
    if average is None:
        return row | last
    row |= errors_on(average.module, data, parts, loss)
    return row | {f"last_{key}": value for key, value in last.items()}


def row_of(entrant, recipe, key, log, data):
    """A row, from the log or made; SGD's is that of SGD-EMA without the average."""
    test = key["part"] == "final"
    if entrant != "SGD":
        return log.once(key, lambda: run(entrant, recipe, key["lr"], data(recipe), test=test))
    averaged = row_of("SGD-EMA", recipe, {**key, "method": "SGD-EMA"}, log, data)
    plain = without_average(averaged)
    return log.once(key, lambda: {k: value for k, value in plain.items() if k not in key})


def _descend(models, loss, optimizer, streams, steps, average):
    """All steps, one gradient of each replica in each; the last objective."""
    schedule = GroupScheduler(optimizer, Cosine(warmup=0.05), steps)
    for model in models:
        model.train()
    for _ in range(steps):
        optimizer.zero_grad()
        for model, stream in zip(models, streams, strict=True):
            inputs, targets = next(stream)
            with torch.autocast("cpu", torch.bfloat16):
                objective = loss(model(inputs), targets).mean()
            objective.backward()
        optimizer.step()
        schedule.step()
        if average is not None:
            average.update_parameters(models[0])
    return objective


def tuned(entrant, recipe, log, data):
    """The step size with the smallest validation error; with 3 T gradients that of T."""
    entrant = {"SGD, 3 T": "SGD"}.get(entrant, entrant.removesuffix(", 3 T"))
    trials, one = {}, recipe.override([f"seed={TUNING_SEED}"])
    for lr in ADAPTIVE_RATES if entrant.startswith("DiLoCo") else RATES:
        key = {"part": "tuning", "method": entrant, "lr": lr, "seed": TUNING_SEED}
        trials[lr] = error_of(row_of(entrant, one, key, log, data), "validation")
    return min(trials, key=trials.get)


def study(net, log, data, seeds):
    """All runs that are not in the log yet: tuning first, then seed by seed every entrant."""
    whole = recipe_of(f"parle-{net}")
    best = {m: tuned(m, whole.run("SGD", TUNING_SEED), log, data) for m in ENTRANTS}
    for seed in whole.compare.seeds[:seeds]:
        for entrant in ENTRANTS:
            one = whole.run("SGD", seed)
            key = {"part": "final", "method": entrant, "lr": best[entrant], "seed": seed}
            row_of(entrant, one, key, log, data)


def section(net, log):
    """The table of one network, and what may be said."""
    rows = {m: log.find(part="final", method=m) for m in ENTRANTS}
    rows = {m: found for m, found in rows.items() if found}
    against = {}
    for reference in ("SGD", "SGD, 3 T"):
        same = [m for m in rows if ENTRANTS[m][2] == ENTRANTS[reference][2]]
        against |= versus({m: rows[m] for m in same}, reference)
    lines = [
        f"## {NETS[net]}",
        "",
        "| entrant | gradients in all | per replica | step size (of 3) | seeds | test error, % "
        "| 95 % interval | CPU s | against SGD with as many gradients, points |",
        "|---|--:|--:|--:|--:|--:|---|--:|---|",
    ]
    for m, found in rows.items():
        errors = [error_of(row, "test") for row in found]
        _, n, total = ENTRANTS[m]
        lines.append(
            f"| {m} | {total:,} | {total // n:,} | {found[0]['lr']:g} | {len(found)} "
            f"| **{spread(errors)}** | {interval(errors)} "
            f"| {sum(row['cpu_seconds'] for row in found) / len(found):.0f} "
            f"| {against.get(m, '')} |"
        )
    return [*lines, "", f"The authors: {PUBLISHED[net]} (%).", ""]


def table(logs):
    """The document of the study."""
    lines = [
        "# Parle with three replicas, at equal gradients in all and per replica",
        "",
        "Written by `reproductions/parle_lenet.py`; the logs are parle-lenet.jsonl and "
        "parle-cifar10.jsonl, the recipes the .toml files of the same names.",
        "",
        f"**Scaled down**: T = {TOTAL} gradients of 50 images, half a pass and less, where the "
        "authors take many passes; their figures are not expected to be met. Parle with n "
        "replicas consumes n gradients where SGD takes one, so it stands in two places: with T "
        "gradients in all, each replica taking a third, and with T in each replica, 3 T in all, "
        "beside one SGD that takes 3 T, too. The authors compare the latter with SGD of T: that is "
        "a gain in time on n devices, not in gradients. The mean of the replicas is evaluated. "
        "Step sizes: the best of three after T gradients on 10,000 held-out images, one seed.",
        "",
    ]
    for net, log in logs.items():
        if log.find(part="final"):
            lines += section(net, log)
    lines += [
        "± is the standard deviation over seeds. Differences are means over pairs of the same "
        "seed, with intervals that hold together at 95 % for as many gradients: positive is "
        f"worse; parity if all of it lies within {PARITY} points.",
        "",
    ]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", help="where MNIST and CIFAR-10 are")
    parser.add_argument("--only", choices=NETS, help="one of the two networks")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--table", action="store_true", help="write the table of what there is")
    arguments = parser.parse_args()
    logs = {net: Log(f"parle-{net}") for net in NETS}
    data = Datasets(arguments.data_dir)
    for net in [arguments.only] if arguments.only else NETS:
        if not arguments.table:
            study(net, logs[net], data, arguments.seeds)
    text = table(logs) + machine(tuning=TUNING_SEED)
    (logs["lenet"].path.parent / "parle-lenet.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
