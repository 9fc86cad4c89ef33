"""What the studies of this folder share: runs that are made once, and verdicts paired by seed.

A study is a recipe with a `[compare]` table. Every finished run is one line of its log; a study
that was stopped, by Ctrl-C or a closed laptop, goes on with the runs that are not in it.
"""

import json
import math
import os
import time
from contextlib import contextmanager, nullcontext
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from scipy.special import stdtrit
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from wellposed.data import Batches
from wellposed.optim import recompute_batch_norm
from wellposed.recipe import Recipe, build, dataset
from wellposed.runs import provenance
from wellposed.stats import mean_interval, paired_difference
from wellposed.train import evaluate, steps

HERE = Path(__file__).parent
ONE = 0.01  # points of error that one of 10,000 test images makes
PARITY = 0.2  # points of error: less is hardly a difference to anybody
RATES, ADAPTIVE_RATES = (0.03, 0.1, 0.3), (1e-3, 3e-3, 1e-2)
torch.set_num_threads(1)


class Log:
    """The rows of a study, appended as they come; a row with the same key is never made twice."""

    def __init__(self, name):
        self.path = HERE / f"{name}.jsonl"
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        self.rows = [json.loads(line) for line in lines]

    def once(self, key, make):
        """The row of that key, made by `make()` if there is none yet."""
        for row in self.rows:
            if all(row.get(name) == value for name, value in key.items()):
                return row
        began = time.time()
        row = {**key, **make()}
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        self.rows.append(row)
        print(f"{time.strftime('%H:%M:%S')} {time.time() - began:5.0f} s", row, flush=True)
        return row

    def find(self, **key):
        """All rows of that key."""
        return [r for r in self.rows if all(r.get(name) == value for name, value in key.items())]


def run(recipe, data, *, test=True):
    """Train as the recipe says and evaluate once, at the end; a run that diverged errs always.

    The loop of `wellposed.train.fit`, but for what costs time here: nothing is written or
    evaluated on the way, and the training part is not evaluated at the end.

    Args:
        recipe: Of one run.
        data: Its dataset.
        test: Whether the test part is looked at: not while something is still chosen.
    """
    began = time.process_time()
    made = build(recipe, data=data)
    plan = made.plan
    torch.manual_seed(plan.seed)
    dtype = torch.bfloat16 if plan.precision == "bf16" else None
    batches = Batches(
        data.train, plan.batch_size, seed=plan.seed, augment=plan.augment, dtype=dtype
    )
    average = None
    if plan.ema is not None:
        average = AveragedModel(
            made.problem.model, multi_avg_fn=get_ema_multi_avg_fn(plan.ema), use_buffers=True
        )
    gradients, objective, regime = _descend(made, batches, dtype, average)
    row = {"gradients": gradients, "cpu_seconds": round(time.process_time() - began, 1)}
    if not math.isfinite(objective):
        return {**row, "diverged": f"objective {objective} after {gradients} gradients"}
    row |= regime
    if hasattr(made.optimizer, "finish_cycle"):
        made.optimizer.finish_cycle()
        recompute(made.problem.model, batches)
    parts = ("validation", "test") if test else ("validation",)
    if average is None:
        return row | errors_on(made.problem.model, data, parts, made.problem.loss)
    last = errors_on(made.problem.model, data, parts, made.problem.loss)
    row |= errors_on(average.module, data, parts, made.problem.loss)
    return row | {f"last_{key}": value for key, value in last.items()}


def errors_on(model, data, parts, loss):
    """Error and loss on those parts that there are; in batches that fit into the cache."""
    row = {}
    for part in parts:
        if data.parts.get(part) is not None:
            found = evaluate(model, data.parts[part], loss, batch_size=250)
            row |= {f"{part}_error": found.error, f"{part}_loss": round(found.loss, 5)}
    return row


def without_average(row):
    """The row of the same training without its moving average, which did not change it."""
    kept = {key: value for key, value in row.items() if f"last_{key}" not in row}
    return {key.removeprefix("last_"): value for key, value in kept.items()}


def recompute(model, batches):
    """Batch-norm statistics of some training batches, at the weights the model holds."""
    recompute_batch_norm(model, (x.float() for x, _ in islice(batches.epoch(0), 40)))


@contextmanager
def at_kept_weights(optimizer):
    """The weights one keeps, in the model: the replicas' mean, an anchor, or what is there."""
    if hasattr(optimizer, "finish_cycle"):
        optimizer.finish_cycle()
    with optimizer.at_consensus() if hasattr(optimizer, "at_consensus") else nullcontext():
        yield


def _descend(made, batches, dtype, average):
    """All steps: gradients taken, the last objective, and the regime halfway."""
    cast = nullcontext() if dtype is None else torch.autocast("cpu", dtype)
    gradients, objective, regime = 0, math.nan, {}
    total = made.plan.total_steps(len(batches.examples))
    model = made.problem.model
    model.train()
    for step in steps(
        made.problem, made.optimizer, _epochs(batches, made.plan.epochs), autocast=cast
    ):
        gradients += step.gradients
        for scheduler in made.schedulers:
            scheduler.step()
        if average is not None:
            average.update_parameters(model)
        if step.index == total // 2:
            regime = _regime(made.optimizer)
        if step.index % 50 == 0 or step.index == total:
            objective = float(step.objective)
            if not math.isfinite(objective):
                break
    return gradients, objective, regime


def _epochs(batches, epochs):
    for epoch in range(epochs):
        yield from batches.epoch(epoch)


def _regime(optimizer):
    told = optimizer.diagnostics() if hasattr(optimizer, "diagnostics") else {}
    kept = {key: round(told[key], 5) for key in ("kappa", "noise_ratio") if key in told}
    return {key: value for key, value in kept.items() if math.isfinite(value)}


class Datasets:
    """Datasets by what a recipe says of them, the newest few kept in memory."""

    def __init__(self, data_dir, most=2):
        self.data_dir, self.most, self.kept = data_dir, most, {}

    def __call__(self, recipe):
        key = json.dumps([recipe.tables()["data"], recipe.seed])
        if not recipe.tables()["data"].get("validation", 0.1):
            key = json.dumps(recipe.tables()["data"])  # nothing is drawn
        if key not in self.kept:
            while len(self.kept) >= self.most:
                del self.kept[next(iter(self.kept))]
            self.kept[key] = dataset(recipe, data_dir=self.data_dir)
        return self.kept[key]


def error_of(row, part):
    """The error of a part, 1 where the run diverged."""
    return row.get(f"{part}_error", 1.0)


def versus(rows, name, part="test"):
    """What may be said of every other method against this one, seed by seed.

    Student's intervals on the differences, together at 95 % over the methods (Bonferroni):
    "behind" or "ahead" where 0 lies outside, "parity" where it lies inside and the interval
    within `PARITY`, otherwise "undecided".

    Args:
        rows: By method, a list of rows with "seed".
        name: Against which.
        part: Whose error is compared.
    """
    errors = {m: {row["seed"]: error_of(row, part) for row in found} for m, found in rows.items()}
    seeds = sorted(set.intersection(*map(set, errors.values()))) if name in errors else []
    if len(seeds) < 2:
        return {}
    level, found = 1 - 0.05 / max(1, len(errors) - 1), {}
    for method in errors.keys() - {name}:
        pair = [[100 * errors[m][seed] for seed in seeds] for m in (method, name)]
        low, high = paired_difference(*pair, level)
        difference, half = (low + high) / 2, (high - low) / 2
        rounding = ONE / math.sqrt(6 * len(seeds))  # equal differences in few seeds prove nothing
        half = max(half, rounding * float(stdtrit(len(seeds) - 1, 0.5 + level / 2)))
        low, high = difference - half, difference + half
        decided = "behind" if low > 0 else "ahead" if high < 0 else ""
        close = "parity" if max(-low, high) <= PARITY else "undecided"
        found[method] = f"{decided or close} ({difference:+.2f} [{low:+.2f}, {high:+.2f}])"
    return found


def spread(values, places=2):
    """Mean and standard deviation in per cent: `0.61 ± 0.03`."""
    values = 100 * np.asarray(values)
    text = f"{values.mean():.{places}f}"
    return text + (f" ± {values.std(ddof=1):.{places}f}" if len(values) > 1 else "")


def interval(values, places=2):
    """The 95 % interval of the mean in per cent, or nothing with a single seed."""
    if len(values) < 2:
        return ""
    low, high = mean_interval(100 * np.asarray(values))
    return f"[{max(low, 0):.{places}f}, {high:.{places}f}]"


def machine(**settings):
    """The last line of every table: where it was made, and how busy that machine was."""
    facts = json.dumps(provenance(settings))
    return (
        f"Load of the machine over the last 15 minutes: {os.getloadavg()[2]:.1f} processes for "
        f"its processors, this one included.\n\nMachine: {facts}\n"
    )


def recipe_of(name):
    """The recipe of a study, which `wellposed train` runs as well."""
    return Recipe.read(HERE / f"{name}.toml")
