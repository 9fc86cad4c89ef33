"""Little data, wrong labels, large steps, a recurrent net: error over a range of 100 of the step.

    OMP_NUM_THREADS=1 python reproductions/where_gains_were_seen.py [--data-dir DIR] [--seeds N]

Fashion-MNIST, 800 gradients of 25 images for every run. The step size with the smallest error
on 5,000 validation images is the one whose test error is read. Appends to where-gains.jsonl and
writes where-gains.md and the figures where-gains-*.svg next to itself.
"""

import argparse
import math

import numpy as np
from _study import HERE, Datasets, Log, error_of, machine, recipe_of, run, spread, without_average

from wellposed.report import Frame, Line, line_chart, standalone

CONDITIONS = {
    "1k": ("1,000 examples", "LeNet", []),
    "1k-wrong": ("1,000 examples, 20 % wrong labels", "LeNet", ["data.wrong_labels=0.2"]),
    "10k": ("10,000 examples", "LeNet", ["data.examples=10000", "train.epochs=2"]),
    "10k-wrong": (
        "10,000 examples, 20 % wrong labels",
        "LeNet",
        ["data.examples=10000", "train.epochs=2", "data.wrong_labels=0.2"],
    ),
    "lstm": (
        "10,000 examples, rows read by an LSTM",
        "LSTM of 64 units",
        ["data.examples=10000", "train.epochs=2", "model={name='rowlstm', hidden=64}"],
    ),
}
ADAPTIVE = {"AdamW", "DiLoCo"}
STEPS = [10 ** (k / 3) for k in range(7)]  # a range of 100
LEAST, SCALE = 5e-3, 50 / 3  # of SGD's steps; Adam's are smaller by SCALE
UNDRAWN = {"SGD-EMA"}  # it lies on SGD's curve; the tables have it
NEAR = 0.02  # a step is still good if it errs at most two points more than the best


def rates(method):
    """The seven step sizes of a method."""
    return [float(f"{LEAST / (SCALE if method in ADAPTIVE else 1) * step:.3g}") for step in STEPS]


def study(conditions, methods, seeds, log, data):
    """All runs that are not in the log yet, seed by seed."""
    recipe = recipe_of("where-gains")
    for seed in seeds:
        for name in conditions:
            for method in methods or recipe.methods:
                for lr in rates(method):
                    key = {"condition": name, "method": method, "lr": lr, "seed": seed}
                    log.once(key, lambda key=key: make(recipe, log, data, key))


def make(recipe, log, data, key):
    """A row; SGD's is that of SGD-EMA without the average, which trains in the same way."""
    method = "SGD-EMA" if key["method"] == "SGD" else key["method"]
    one = recipe.run(method, key["seed"]).override(
        [*CONDITIONS[key["condition"]][2], f"optimizer.lr={key['lr']}"]
    )
    if key["method"] != "SGD":
        return run(one, data(one))
    averaged = log.once({**key, "method": method}, lambda: run(one, data(one)))
    return {name: value for name, value in without_average(averaged).items() if name not in key}


def curves(log, condition, methods):
    """All rows by method and step size, of the seeds that every method has run completely."""
    rows = {m: log.find(condition=condition, method=m) for m in methods}
    rows = {m: found for m, found in rows.items() if len(found) >= len(STEPS)}
    whole = [
        {s for s in {r["seed"] for r in found} if sum(r["seed"] == s for r in found) == len(STEPS)}
        for found in rows.values()
    ]
    seeds = set.intersection(*whole) if whole else set()
    return {
        m: {lr: [r for r in found if r["lr"] == lr and r["seed"] in seeds] for lr in rates(m)}
        for m, found in rows.items()
        if seeds
    }


def mean(rows, part):
    return float(np.mean([error_of(row, part) for row in rows]))


def figure(condition, found):
    """Validation error over the step size, one curve per method."""
    lines, said = [], []
    drawn = {m: by_lr for m, by_lr in found.items() if m not in UNDRAWN}
    for number, (method, by_lr) in enumerate(drawn.items()):
        errors = [mean(rows, "validation") for rows in by_lr.values()]
        unit = SCALE if method in ADAPTIVE else 1
        lines.append(Line(method, [unit * lr for lr in by_lr], errors, number))
        said.append(f"{method} lowest {100 * min(errors):.1f} %")
    frame = Frame(
        f"Validation error over the step size, {CONDITIONS[condition][0]}",
        "; ".join(said),
        x_name=f"step size (AdamW, DiLoCo: times {SCALE:.0f})",
        x_log=True,
        percent=True,
        log=True,
        width=740,
        height=360,
    )
    (HERE / f"where-gains-{condition}.svg").write_text(standalone(line_chart(frame, lines)))


def section(condition, found):
    """The table of one condition."""
    heading, net, _ = CONDITIONS[condition]
    lines = [
        f"## {heading} ({net})",
        "",
        f"![Validation error over the step size](where-gains-{condition}.svg)",
        "",
        "| method | seeds | best step | validation error, % | **test error there, %** "
        "| good steps, factor | error at twice, five times the best step, % | CPU s |",
        "|---|--:|--:|--:|--:|--:|---|--:|",
    ]
    for method, by_lr in found.items():
        errors = {lr: mean(rows, "validation") for lr, rows in by_lr.items()}
        best = min(errors, key=errors.get)
        good = [lr for lr, error in errors.items() if error <= errors[best] + NEAR]
        edge = "*" if best in {min(errors), max(errors)} else ""
        up = sorted(lr for lr in errors if lr > best)[:2]
        beyond = ", ".join(f"{100 * errors[lr]:.1f}" for lr in up) or "no larger one"
        cpu = np.mean([row["cpu_seconds"] for rows in by_lr.values() for row in rows])
        lines.append(
            f"| {method} | {len(by_lr[best])} | {best:g}{edge} | {100 * errors[best]:.2f} "
            f"| **{spread([error_of(row, 'test') for row in by_lr[best]])}** "
            f"| {max(good) / min(good):.0f} | {beyond} | {cpu:.0f} |"
        )
    return [*lines, "", verdict(found), ""]


def verdict(found):
    """One honest sentence: how far the others are from SGD, and what the test part can resolve."""
    tests = {}
    for method, by_lr in found.items():
        best = min(by_lr, key=lambda lr: mean(by_lr[lr], "validation"))
        tests[method] = {row["seed"]: error_of(row, "test") for row in by_lr[best]}
    reference = tests.pop("SGD", None)
    if reference is None:
        return ""
    error = float(np.mean(list(reference.values())))
    resolution = 1.96 * math.sqrt(2 * error * (1 - error) / 10_000)
    words = []
    for method, errors in tests.items():
        apart = [errors[seed] - reference[seed] for seed in errors.keys() & reference.keys()]
        clear = all(abs(d) > resolution and d * apart[0] > 0 for d in apart)
        word = ("behind" if apart[0] > 0 else "ahead") if clear else "no difference seen"
        words.append(f"{method} {100 * float(np.mean(apart)):+.2f} ({word})")
    seeds = len(reference)
    return (
        f"Against SGD, in points of test error: {', '.join(words)}. 10,000 test images alone make "
        f"two equal methods differ by up to {100 * resolution:.1f} points; ahead and behind mean "
        f"more than that in {'every one of ' + str(seeds) if seeds > 1 else 'the one'} "
        f"seed{'s' if seeds > 1 else ', which is little evidence'}."
    )


def table(log):
    """The document of the study."""
    methods = recipe_of("where-gains").methods
    lines = [
        "# Where the literature saw gains: little data, wrong labels, large steps, recurrence",
        "",
        "Written by `reproductions/where_gains_were_seen.py`; the log is where-gains.jsonl, the "
        "recipe where-gains.toml.",
        "",
        "Fashion-MNIST, 800 gradients of 25 images in every run, the same for every method; "
        'step sizes annealed by a cosine; seven step sizes over a range of 100. "Good steps" is '
        "the factor between the largest and the smallest step that err at most two points more "
        "than the best. Wrong labels are in the training part alone. *: at the end of the range.",
        "",
    ]
    for condition in CONDITIONS:
        found = curves(log, condition, methods)
        if found:
            figure(condition, found)
            lines += section(condition, found)
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", help="where Fashion-MNIST is")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=CONDITIONS, nargs="+", help="some of the conditions")
    parser.add_argument("--methods", nargs="+", help="some of the methods")
    parser.add_argument("--table", action="store_true", help="write the table of what there is")
    arguments = parser.parse_args()
    log = Log("where-gains")
    if not arguments.table:
        conditions = arguments.only or list(CONDITIONS)
        data = Datasets(arguments.data_dir)
        study(conditions, arguments.methods, range(arguments.seeds), log, data)
    text = table(log) + machine(seeds=sorted({row["seed"] for row in log.rows}))
    (HERE / "where-gains.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
