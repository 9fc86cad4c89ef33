"""How the settings of the recipe fashion-mnist-input-gradient were chosen, without a test image.

    OMP_NUM_THREADS=1 python reproductions/fashion_mnist_input_gradient.py [--data-dir DIR]

First search: seed 0, 5,000 training images held out, of which 500 meet the ladder `fast` within
0.05 in the maximum norm. Its choice then met the test images in three seeds, and lost 0.33 points
of clean accuracy where 0.3 are allowed. Second search, for less loss: 10,000 training images held
out, others by seed, of which 2,000 are attacked, two seeds. It shows that trimming makes more
images robust, and that in the last of eight epochs the regularized network still gains when the
plain one no longer does. So the last choice trains for longer in both arms. It was confirmed in two
seeds on the images that its own trainings hold out, before any of its test results was read: those
rows are in the log of `fashion_mnist_robust.py`. Each finished training is a row of
fashion-mnist-input-gradient.jsonl; fashion-mnist-input-gradient.md is written from both logs.
"""

import argparse
import time
from functools import partial
from statistics import mean

import torch
from _study import HERE, Log, machine

from wellposed.perturb import Linf, ladder
from wellposed.recipe import Recipe, build
from wellposed.train import fit

NAME = "fashion-mnist-input-gradient"
TEST = "fashion-mnist-robust"
EPS = 0.05
FIRST = [
    (4, ""),
    (4, "norm='l2', weight=0.03, h=0.01, share=0.5"),
    (4, "norm='linf', weight=0.001, h=0.05, share=0.5"),
    (4, "norm='l2', weight=0.03, h=0.5, share=0.5"),
    (8, "norm='linf', weight=0.0003, h=0.05, share=0.5"),
    (8, ""),
    (8, "norm='linf', weight=0.0004, h=0.1, share=0.5"),
    (8, "norm='linf', weight=0.0006, h=0.05, share=0.5"),
    (8, "norm='l2', weight=0.06, h=0.5, share=0.5"),
    (8, "norm='linf', weight=0.0008, h=0.05, share=0.5, noise=0.05"),
    (8, "norm='linf', weight=0.0004, h=0.05, share=0.5, noise=0.05"),
    (12, "norm='linf', weight=0.0003, h=0.05, share=0.5, noise=0.05"),
    (8, "norm='linf', weight=0.0003, h=0.05, share=0.375, noise=0.02, steps=2"),
    (8, "norm='linf', weight=0.0004, h=0.05, share=0.375, noise=0.02, steps=2"),
]
NOISY = "h=0.05, noise=0.02, steps=2, share=0.375"
SECOND = [
    (8, "", (0, 1)),
    (8, f"norm='linf', weight=0.0004, {NOISY}", (0, 1)),
    (8, f"norm='linf', weight=0.0008, {NOISY}, trim=0.25", (0, 1)),
    (8, f"norm='linf', weight=0.0004, {NOISY}, trim=0.25", (0, 1)),
    (8, f"norm='linf', weight=0.0001, {NOISY}, trim=0.25", (0, 1)),
]
ARMS = ("first plain", "first input gradient", "plain", "input gradient")
HIDDEN = (
    "the ladder `fast` is weak: what it leaves is a bound from above. Within a search the "
    "settings share images and seeds, and the best of many looks better than it is. A difference "
    "of clean accuracies on 10,000 images has a standard error of 0.2 points, by images alone. "
    "Epochs, weight and trimming changed together: at twelve epochs nothing else was trimmed."
)


def tried(epochs, regularizer, seed, validation, attacked, data_dir):
    """What a setting is worth on training images that were held out."""
    table = f"{{name='inputgradient', {regularizer}}}" if regularizer else ""
    changes = [
        f"seed={seed}", f"train.epochs={epochs}", f"data.validation={validation}",
        f"regularizer=[{table}]",
    ]  # fmt: skip
    made = build(Recipe.read(NAME).override(changes), data_dir=data_dir)
    began = time.process_time()
    result = fit(made.problem, made.optimizer, made.plan, schedulers=made.schedulers)
    seconds = time.process_time() - began
    return {**held_out(result, made.problem.data, attacked), "cpu_seconds": seconds}


def held_out(result, data, attacked=500):
    """Accuracy on the validation part, and on some of it that the ladder `fast` attacks."""
    count = min(attacked, len(data.validation))
    inputs, targets = data.validation.take(torch.arange(count))
    found = ladder(result.model, inputs, targets, Linf(EPS), budget="fast", doubts=False)
    return {
        "clean": 1 - result.splits["validation"].error,
        "robust": float((~found.attacked[0].broken).double().mean()),
    }


def table(log):
    lines = [
        "# How fashion-mnist-input-gradient was chosen",
        "",
        f"Written by `reproductions/fashion_mnist_input_gradient.py`; log: {NAME}.jsonl. No test "
        "image was looked at; what the choices are worth on those is in "
        "[fashion-mnist-robust](fashion-mnist-robust.md).",
        "",
        "## First search",
        "",
        "On 5,000 training images held out, seed 0, robust on 500 of them by the ladder `fast`, in "
        "the order in which they were tried. The last was chosen:",
        "",
        "| epochs | regularizer | clean | robust at 0.05 |",
        "|--:|---|--:|--:|",
    ]
    for epochs, regularizer in FIRST:
        lines.extend(
            f"| {epochs} | {regularizer or 'none'} | {row['clean']:.2%} | {row['robust']:.1%} |"
            for row in log.find(search=1, epochs=epochs, regularizer=regularizer)
        )
    lines += [
        "",
        "## Second search",
        "",
        "On some 10,000 training images held out, robust on 2,000 of them by that ladder, by seed:",
        "",
        "| epochs | regularizer | clean | beside none, points | mean | robust at 0.05 | mean |",
        "|--:|---|--:|--:|--:|--:|--:|",
        *(second(log, epochs, regularizer) for epochs, regularizer, _ in SECOND),
        "",
        "## Last choice",
        "",
        "Eight epochs as first chosen, and twelve as in the preset, with the same regularizer but "
        "for weight=0.0003 and trim=0.25. On the 5,000 training images that the trainings of "
        "`fashion_mnist_robust.py` held out, by seed; robust on 2,000 of them, with eight epochs "
        "on 500. The choice fell with the seeds 0 and 1:",
        "",
        "| arm | clean | mean | robust at 0.05 | mean |",
        "|---|--:|--:|--:|--:|",
        *map(last, ARMS),
    ]
    return "\n".join([*lines, "", "What the figures hide: " + HIDDEN, "", machine()])


def second(log, epochs, regularizer):
    """The line of a setting of the second search."""
    rows = log.find(search=2, epochs=epochs, regularizer=regularizer)
    rows.sort(key=lambda row: row["seed"])
    plain = {r["seed"]: r["clean"] for r in log.find(search=2, epochs=epochs, regularizer="")}
    lost = [100 * (row["clean"] - plain[row["seed"]]) for row in rows if row["seed"] in plain]
    clean = ", ".join(f"{row['clean']:.2%}" for row in rows)
    robust = ", ".join(f"{row['robust']:.1%}" for row in rows)
    beside = f"{', '.join(f'{x:+.2f}' for x in lost)} | {mean(lost):+.2f}" if lost else " | "
    held = f"{mean(row['robust'] for row in rows):.1%}" if rows else ""
    return f"| {epochs} | {regularizer or 'none'} | {clean} | {beside} | {robust} | {held} |"


def last(arm):
    """The line of an arm of the study that looked at the test images afterwards."""
    rows = sorted(Log(TEST).find(unit="train", arm=arm), key=lambda row: row["seed"])
    parts = []
    for key, places in (("clean", 2), ("robust", 1)):
        values = [100 * row["held_out"][key] for row in rows]
        parts += [", ".join(f"{v:.{places}f}%" for v in values), f"{mean(values):.{places}f}%"]
    return f"| {arm} | {' | '.join(parts)} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", help="where Fashion-MNIST is")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2], help="these alone")
    arguments = parser.parse_args()
    log = Log(NAME)
    todo = [(1, epochs, regularizer, 0, 0.08333333, 500) for epochs, regularizer in FIRST]
    todo += [(2, e, r, seed, 0.16666667, 2000) for e, r, seeds in SECOND for seed in seeds]
    for search, epochs, regularizer, seed, validation, attacked in todo:
        if seed not in arguments.seeds:
            continue
        key = {"search": search, "epochs": epochs, "regularizer": regularizer, "seed": seed}
        made = partial(tried, epochs, regularizer, seed, validation, attacked, arguments.data_dir)
        log.once(key, made)
        (HERE / f"{NAME}.md").write_text(table(log))
    (HERE / f"{NAME}.md").write_text(table(log))


if __name__ == "__main__":
    main()
