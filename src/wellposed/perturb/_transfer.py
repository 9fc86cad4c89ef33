"""Transfer: what breaks one model is shown to the others."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from wellposed.errors import require
from wellposed.perturb._apgd import APGD
from wellposed.perturb._attack import Attack
from wellposed.perturb._attacked import Attacked
from wellposed.perturb._ball import Ball, Bounds
from wellposed.perturb._frozen import frozen
from wellposed.perturb._objective import class_logits, is_broken, margin
from wellposed.perturb._pool import Pool
from wellposed.stats import clopper_pearson

_POOL = Pool()
_ATTACK = APGD()


@final
@dataclass(frozen=True, slots=True, eq=False)
class Transfer:
    """Who breaks whom: rows are the models that examples were crafted on, columns those tested.

    Args:
        names: Of the models, in the order of rows and columns.
        right: Whether a model is right about an input, (tested, example).
        broken: Whether an example crafted on one model breaks another, (crafted, tested, example).
        crafted: The examples, and what they cost, by the name of the model.
    """

    names: tuple[str, ...]
    right: Bool[Tensor, "models n"]
    broken: Bool[Tensor, "models models n"]
    crafted: dict[str, Attacked]

    @property
    def counted(self) -> Int[Tensor, "models models"]:
        """How many inputs both models are right about: only these say something."""
        return self._both().sum(2)

    @property
    def breaks(self) -> Int[Tensor, "models models"]:
        """How many of these break the tested model."""
        return (self._both() & self.broken).sum(2)

    @property
    def shares(self) -> Float[Tensor, "models models"]:
        """The share of these that breaks the tested model, NaN where there are none."""
        return self.breaks.double() / self.counted

    def interval(self, crafted: str, tested: str, level: float = 0.95) -> tuple[float, float]:
        """Clopper and Pearson's interval for the share among all inputs both are right about.

        Args:
            crafted: The name of a row.
            tested: The name of a column.
            level: Confidence, in (0, 1).

        Raises `ArgumentError` for other names, or if there are no such inputs.
        """
        row, column = self._place(crafted), self._place(tested)
        return clopper_pearson(int(self.breaks[row, column]), int(self.counted[row, column]), level)

    def missed(self, tested: str) -> Bool[Tensor, " n"]:
        """The inputs that break by examples of another model, and not by the model's own.

        An attack that sees the gradients of a model should not do worse than one that does not:
        many of these mean that the model hides its gradients, or that the attack is weak.
        """
        column = self._place(tested)
        others = [row for row in range(len(self.names)) if row != column]
        by_others = self.broken[others, column].any(0)
        return self.right[column] & by_others & ~self.broken[column, column]

    def _both(self) -> Tensor:
        return self.right.unsqueeze(0) & self.right.unsqueeze(1)

    def _place(self, name: str) -> int:
        require(
            name in self.names,
            f"there is no model {name!r} in this transfer; the models are {', '.join(self.names)}",
        )
        return self.names.index(name)


def transfer(  # noqa: PLR0913 - an attack's own arguments, and the attack
    models: Mapping[str, nn.Module],
    inputs: Float[Tensor, "n ..."],
    labels: Int[Tensor, " n"],
    ball: Ball,
    *,
    attack: Attack = _ATTACK,
    bounds: Bounds = (0.0, 1.0),
    seed: int = 0,
    pool: Pool = _POOL,
) -> Transfer:
    """Craft examples on each model, and test each model on those of all.

    The examples are the deepest that the attack finds: those of the least margin in the ball. Just
    behind the boundary of one model an example says little about another one.

    Args:
        models: By name, at least one, as in `Attack`; they agree about inputs and labels.
        inputs: Shape (n, ...), within the bounds.
        labels: The right classes, from 0.
        ball: In the units of the inputs.
        attack: One that can go on after a break.
        bounds: Least and greatest value of an input.
        seed: Of random starts and the like.
        pool: The size of the batch. A checkpoint is kept per model: of work.safetensors, in
            work-0.safetensors, work-1.safetensors ...

    Raises `ArgumentError` without a model, for an attack that keeps the nearest point, and as the
    attack does.

    Cost: per model that of the attack without any example leaving early, and one forward pass per
    example and model.

    References:
        Szegedy, Zaremba, Sutskever, Bruna, Erhan, Goodfellow and Fergus, Intriguing properties of
        neural networks, 2013, arXiv:1312.6199; Papernot, McDaniel and Goodfellow, Transferability
        in machine learning, 2016, arXiv:1605.07277.
    """
    require(len(models) > 0, "transfer needs at least one model, got none")
    crafted = {}
    for number, (name, model) in enumerate(models.items()):
        path = pool.checkpoint
        path = None if path is None else path.with_stem(f"{path.stem}-{number}")
        crafted[name] = attack(
            model,
            inputs,
            labels,
            ball,
            bounds=bounds,
            seed=seed,
            deepest=True,
            pool=replace(pool, checkpoint=path),
        )
    broken, right = [], []
    for model in models.values():
        with frozen(model, seed), torch.no_grad():
            right.append(~_breaks(model, inputs, labels, pool.batch))
            shown = [_breaks(model, a.examples, labels, pool.batch) for a in crafted.values()]
        broken.append(torch.stack(shown))
    return Transfer(tuple(models), torch.stack(right), torch.stack(broken, 1), crafted)


def _breaks(model: nn.Module, x: Tensor, labels: Tensor, batch: int) -> Tensor:
    """Which points do not give the right class the lead."""
    parts = zip(x.split(batch), labels.long().split(batch), strict=True)
    found = [is_broken(margin(class_logits(model(part), len(part)), y)) for part, y in parts]
    return torch.cat(found) if found else labels.bool()
