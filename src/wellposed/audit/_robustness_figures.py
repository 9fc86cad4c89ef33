"""What robustness looks like: the bracket over the radius, and counter-examples beside inputs."""

from collections.abc import Iterable

import torch

from wellposed.audit._bracketed import Bracket
from wellposed.audit._raw_space import RawSpace
from wellposed.audit._subject import Subject
from wellposed.data import is_picture, png
from wellposed.problem import eval_mode
from wellposed.runs import Curves, Mark, Picture, Pictures, Series
from wellposed.stats import clopper_pearson

_ROWS = 5
_LEVEL = 0.95
_LARGEST = 128


def bracket_curves(found: Bracket) -> Curves:
    """Proven and attacked accuracy over the radius, with the interval for the population.

    They are steps, so that the bracket holds at every radius, not only where it was measured: what
    is proven in a ball is so in all inside it, and what breaks in one breaks in all around it.
    """
    ends = [clopper_pearson(int(found.clean.sum()), found.n, _LEVEL)]
    ends += [found.population(k) for k in range(len(found.radii))]
    x = _twice((0.0, *found.radii))
    lower, least = (_twice(v)[1:] for v in ((found.accuracy, *found.lower), [a for a, _ in ends]))
    upper, most = (_twice(v)[:-1] for v in ((found.accuracy, *found.upper), [b for _, b in ends]))
    flag = "; a weak attack is suspected" if found.suspected else ""
    return Curves(
        "Bracket over radius",
        f"radius ({found.norm}, in the units of raw inputs)",
        "accuracy",
        (
            Series("no counter-example found", x[1:], upper, upper, most),
            Series("proven", x[:-1], lower, least, lower),
        ),
        marks=(Mark("y", found.accuracy, "as it is"),),
        percent=True,
        note=f"Robust accuracy of these {found.n} examples lies between the lines, that of the "
        f"population in the band, at 95 % per radius asked for{flag}.",
    )


def _twice(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(value for value in values for _ in range(2))


def counterexample_pictures(
    subject: Subject, space: RawSpace, found: Bracket
) -> tuple[Pictures, ...]:
    """Inputs that are right, what breaks them, and the difference; none if inputs have no shape.

    Args:
        subject: Knows the names of the classes.
        space: What was attacked.
        found: What came out.
    """
    if not is_picture(tuple(found.inputs.shape[1:])):
        return ()
    kept = found.counterexamples()
    rows = (kept["eps"] > 0).nonzero().flatten()
    rows = rows[kept["eps"][rows].argsort(stable=True)][:_ROWS]
    if not len(rows):
        return ()
    before, after = kept["inputs"][rows], kept["examples"][rows]
    with torch.no_grad(), eval_mode(space.model):
        guesses = space.model(after.to(space.inputs.device)).argmax(1).tolist()
    low, high = found.bounds
    cells = []
    for at, row in enumerate(rows.tolist()):
        change = after[at] - before[at]
        size = float(change.abs().max())
        eps, label = float(kept["eps"][row]), int(kept["labels"][row])
        cells.append(
            (
                Picture(png(before[at], low, high, _LARGEST), _name(subject, label)),
                Picture(
                    png(after[at], low, high, _LARGEST), f"{_name(subject, guesses[at])}, {eps:g}"
                ),
                Picture(png(change, -size, size, _LARGEST), f"change, {size:.2g} at most"),
            )
        )
    note = (
        "An input, a counter-example within the smallest radius that has one, and the change, "
        "gray where there is none."
    )
    return (Pictures("Counter-examples", tuple(cells), note=note),)


def _name(subject: Subject, number: int) -> str:
    return subject.classes[number] if 0 <= number < len(subject.classes) else str(number)
