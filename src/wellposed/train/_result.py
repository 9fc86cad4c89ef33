"""What a finished run has found, and what of it goes into the run folder."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final

from torch import nn

from wellposed.data import is_picture, png
from wellposed.errors import require
from wellposed.runs import RunFolder
from wellposed.stats import wilson
from wellposed.train._averaging import Kind
from wellposed.train._evaluate import Evaluation
from wellposed.train._pictures import first_layer

_LEVEL = 0.95
_MISTAKES = 24


@final
@dataclass(frozen=True, slots=True)
class Result:
    """What `fit` returns.

    Args:
        model: The network, holding the weights that were evaluated.
        weights: Which these are: the "last", the "anchor" of a relaxation, or their "ema".
        step: The update they are from: the last, or the best where early stopping was on.
        splits: Evaluations in float32, by part: "train", "validation", "test".
        cost: Gradient evaluations, examples, seconds, memory; see the guide.
        records: What is in the log.
        missed: A sentence per goal that was not met.
    """

    model: nn.Module = field(repr=False)
    weights: Kind
    step: int
    splits: Mapping[str, Evaluation] = field(repr=False)
    cost: Mapping[str, float]
    records: tuple[Mapping[str, Any], ...] = field(repr=False)
    missed: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """n, loss, error and its interval, by part: what results.json says of them."""
        return {name: _summary(found) for name, found in self.splits.items()}


def missed_goals(goal: Mapping[str, float], splits: Mapping[str, Evaluation]) -> tuple[str, ...]:
    """A sentence for each goal, such as {"test_error": 0.05}, that was not met.

    Raises `ArgumentError` if a goal is about a part or a number that there is not.
    """
    values = {
        f"{part}_{what}": getattr(found, what)
        for part, found in splits.items()
        for what in ("error", "loss", "top5_error")
        if getattr(found, what) is not None
    }
    for name in goal:
        require(name in values, f"no goal is called {name!r}; known are {', '.join(values)}")
    return tuple(
        f"{name} is {values[name]:.4g}, above the goal of {bound:g}"
        for name, bound in goal.items()
        if not values[name] <= bound
    )


def write_results(
    folder: RunFolder, result: Result, dataset: Any, weights_file: Mapping[str, Any]
) -> None:
    """Write results.json and the pictures it names."""
    part = next((p for p in ("test", "validation", "train") if p in result.splits), "train")
    found = result.splits[part]
    filters = []
    for number, picture in enumerate(first_layer(result.model, dataset.shape)):
        name = f"pictures/filter-{number:02d}.png"
        folder.write(name, picture)
        filters.append({"picture": name})
    folder.write_json(
        "results.json",
        {
            "weights": result.weights,
            "weights_file": dict(weights_file),
            "step": result.step,
            "splits": result.summary(),
            "shown": part,
            "confusion": found.confusion.tolist(),
            "mistakes": _mistakes(folder, found, getattr(dataset, part), dataset),
            "first_layer": filters,
            "cost": dict(result.cost),
            "missed_goals": list(result.missed),
        },
    )


def _mistakes(
    folder: RunFolder, found: Evaluation, examples: Any, dataset: Any
) -> list[dict[str, Any]]:
    """The most confident mistakes; pictures of them are written if inputs are pictures."""
    rows = []
    for number, index in enumerate(found.mistakes(_MISTAKES)):
        name = None
        if is_picture(dataset.shape):
            name = f"pictures/mistake-{number:02d}.png"
            inputs, _ = examples.take(found.targets.new_tensor([index]))
            folder.write(name, png(dataset.standardization.undo(inputs)[0], *dataset.input_range))
        rows.append(
            {
                "index": index,
                "target": int(found.targets[index]),
                "predicted": int(found.predicted[index]),
                "confidence": float(found.confidence[index]),
                "picture": name,
            }
        )
    return rows


def _summary(found: Evaluation) -> dict[str, Any]:
    """One part's entry in results.json."""
    wrong = round(found.error * found.n)
    summary = {
        "n": found.n,
        "loss": found.loss,
        "error": found.error,
        "error_interval": list(wilson(wrong, found.n, _LEVEL)),
        "level": _LEVEL,
    }
    if found.top5_error is not None:
        summary["top5_error"] = found.top5_error
    return summary
