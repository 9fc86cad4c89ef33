"""All-CNN-C with batch norm on CIFAR-10: Entropy-SGD and Hamilton-Jacobi beside SGD and controls.

    OMP_NUM_THREADS=1 python reproductions/allcnn_cifar10.py [--data-dir DIR] [--full]

Scaled down by default: a twelfth of the width, 200 gradients, published step sizes untuned, which
shows that everything runs and not who is better. With --full, on a GPU: the width and the 200
passes of the papers, three seeds. Appends to allcnn-cifar10.jsonl and writes allcnn-cifar10.md.
"""

import argparse

from _study import (
    Datasets,
    Log,
    error_of,
    interval,
    machine,
    recipe_of,
    run,
    spread,
    versus,
)

from wellposed.recipe import build
from wellposed.train import fit

SCALED = [
    "model.width=8",
    "data.examples=25000",
    "train.epochs=1",
    "train.device=cpu",
    "train.precision=bf16",
]
PUBLISHED = {
    "SGD": "7.71 ± 0.19 @180; 7.94 ± 0.06 @195",
    "EntropySGD-paper": "7.81 ± 0.09 @160; 7.96 ± 0.05 @200",
    "HamiltonJacobi": "7.89 ± 0.07 @145; by descent 7.82 ± 0.04 @200",
}


def full(recipe, data):
    """A whole run, on the device that the recipe finds."""
    made = build(recipe, data=data)
    result = fit(made.problem, made.optimizer, made.plan, schedulers=made.schedulers)
    return {
        "gradients": int(result.cost["gradient_evaluations"]),
        "cpu_seconds": result.cost["cpu_seconds"],
        "seconds": result.cost["seconds"],
        "train_error": result.splits["train"].error,
        "test_error": result.splits["test"].error,
    }


def study(scale, seeds, log, data):
    """All runs that are not in the log yet, seed by seed."""
    recipe = recipe_of("allcnn-cifar10")
    for seed in seeds:
        for method in recipe.methods:
            one = recipe.run(method, seed)
            key = {"scale": scale, "method": method, "seed": seed}
            train, one = (full, one) if scale == "full" else (run, one.override(SCALED))
            log.once(key, lambda train=train, one=one: train(one, data(one)))


def section(scale, log):
    """The table of one scale."""
    recipe = recipe_of("allcnn-cifar10")
    rows = {m: log.find(scale=scale, method=m) for m in recipe.methods}
    rows = {m: found for m, found in rows.items() if found}
    against = versus(rows, "SGD")
    lines = [
        "| method | seeds | gradients | test error, % | 95 % interval | against SGD, points "
        "| CPU s | authors, % @ passes |",
        "|---|--:|--:|--:|---|---|--:|---|",
    ]
    for m, found in rows.items():
        errors = [error_of(row, "test") for row in found]
        lines.append(
            f"| {m} | {len(found)} | {found[0]['gradients']:,} | **{spread(errors)}** "
            f"| {interval(errors)} | {against.get(m, '')} "
            f"| {sum(row['cpu_seconds'] for row in found) / len(found):.0f} "
            f"| {PUBLISHED.get(m, 'not given')} |"
        )
    return [*lines, ""]


def table(log):
    """The document of the study."""
    lines = [
        "# All-CNN-C with batch norm on CIFAR-10",
        "",
        "Written by `reproductions/allcnn_cifar10.py`; the log is allcnn-cifar10.jsonl, the "
        "recipe allcnn-cifar10.toml, the preset cifar10-allcnn.",
        "",
        "The authors whiten the images (GCN and ZCA); here they are standardized, and where the "
        'table is made from the JPEG images ("not the published files"), it is not CIFAR-10 as '
        "published. Their figures: arXiv:1611.01838; the log of arXiv:1704.04932.",
        "",
    ]
    if log.find(scale="full"):
        lines += ["## The papers' width and passes", "", *section("full", log)]
    if log.find(scale="scaled"):
        lines += [
            "## Scaled down: a twelfth of the width, 200 gradients, JPEG images",
            "",
            *section("scaled", log),
            "**Not a reproduction**: 200 gradients of a network with 1/144 of the weights, where "
            "the authors take 60,000 and more, on JPEG images, step sizes not tuned. It shows that "
            "the recipe trains and how the methods begin. For the published figures run the "
            "script with --full where there is a GPU; none was at hand.",
            "",
        ]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", help="where CIFAR-10 is")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--full", action="store_true", help="as in the papers; wants a GPU")
    parser.add_argument("--table", action="store_true", help="write the table of what there is")
    arguments = parser.parse_args()
    log = Log("allcnn-cifar10")
    if not arguments.table:
        scale = "full" if arguments.full else "scaled"
        study(scale, range(arguments.seeds), log, Datasets(arguments.data_dir))
    text = table(log) + machine(seeds=sorted({row["seed"] for row in log.rows}))
    (log.path.parent / "allcnn-cifar10.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
