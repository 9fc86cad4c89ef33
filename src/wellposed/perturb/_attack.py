"""An attack: the search for a perturbation in a ball that takes the lead from the right class."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from wellposed.errors import require
from wellposed.perturb._attacked import Attacked
from wellposed.perturb._ball import Ball, Bounds, inner_bounds
from wellposed.perturb._objective import Objective
from wellposed.perturb._pool import Pool
from wellposed.perturb._rows import Game, Rows

_POOL = Pool()
_ROUNDING = 1e-5  # of an input: what standardizing it may leave


class Attack(ABC):
    """An attack as a value, to be called with a model and inputs.

    A subclass is a frozen dataclass of its parameters, and says what an example starts from and
    what one step does to a batch of them; the pool does the rest. Asked for no more than that, an
    attack can neither leave the ball, nor count a break that is not there, nor touch the model.
    """

    smallest: bool = False
    """Whether the nearest point that breaks is looked for, rather than any in the ball."""

    @property
    def opening(self) -> Objective | None:
        """What is to be climbed at the inputs: then the look at them gives "slope", a column."""
        return None

    @abstractmethod
    def length(self, ball: Ball) -> int:
        """How many calls of `step` a round has."""

    def rounds(self, _classes: int) -> int:
        """How often an example that does not break is attacked from the start."""
        return 1

    @abstractmethod
    def start(self, rows: Rows) -> None:
        """Set all entries of `rows.state` for rows whose round begins, without asking the model."""

    @abstractmethod
    def step(self, rows: Rows) -> None:
        """One step of all rows: ask the model by `rows`, and change `rows.state`."""

    def __call__(  # noqa: PLR0913 - what is attacked, within what, and how it is organized
        self,
        model: nn.Module,
        inputs: Float[Tensor, "n ..."],
        labels: Int[Tensor, " n"],
        ball: Ball,
        *,
        bounds: Bounds = (0.0, 1.0),
        seed: int = 0,
        begin: Float[Tensor, "n ..."] | None = None,
        deepest: bool = False,
        pool: Pool = _POOL,
    ) -> Attacked:
        """The worst points found, one per example.

        The model is run in eval mode with its parameters frozen, and left as it was, bit by bit:
        modes, `requires_grad`, `.grad`, buffers and the global random generators. An input that
        is already misclassified is broken at every radius, 0 included.

        Args:
            model: Returns logits of shape (n, classes), or one logit of shape (n,) or (n, 1) for
                two classes: class 1 above 0. It contains its own normalization of inputs.
            inputs: As the model takes them, within the bounds, of float32 or float64.
            labels: The right classes, from 0.
            ball: In the units of the inputs.
            bounds: Least and greatest value of an input: numbers, or tensors of the shape of one
                input.
            seed: From 0 below 2^63; of random starts and the like.
            begin: Where the first round starts, in place of the attack's own start, such as
                examples that broke another model or that a smaller radius gave; moved into ball
                and bounds.
            deepest: Whether to go on after an example has broken, to the end of its rounds, for
                the point with the least margin: that is the one that breaks other models too.
            pool: The size of the batch, and the checkpoint.

        Raises `ArgumentError` for what is outside these ranges.
        """
        require(0 <= seed < 2**63, f"an attack needs a seed from 0 below 2^63, got seed={seed}")
        require(
            not (deepest and self.smallest),
            f"{type(self).__name__} keeps the nearest point that breaks; leave deepest=True to an "
            "attack that keeps any, such as PGD",
        )
        _require_inputs(inputs, labels)
        center = inputs.detach().clone()
        faces = inner_bounds(bounds, center)
        _require_within(center, faces)
        columns = {"center": center, "labels": labels.detach().long()}
        if begin is not None:
            require(
                begin.shape == inputs.shape,
                f"begin needs the shape of the inputs, {tuple(inputs.shape)}, got "
                f"{tuple(begin.shape)}",
            )
            columns["begin"] = begin.detach().to(center)
        game = Game(model, ball, faces, seed, self.length(ball), self.smallest, deepest)
        return pool.run(self, game, columns)


def _require_inputs(inputs: Tensor, labels: Tensor) -> None:
    require(
        inputs.dtype in {torch.float32, torch.float64},
        f"an attack needs inputs of float32 or float64, got {inputs.dtype}; convert them by "
        ".float(), bytes by inputs / 255",
    )
    require(
        not labels.is_floating_point(),
        f"labels of an attack are whole numbers, got {labels.dtype}; convert them by .long()",
    )
    require(
        labels.shape == inputs.shape[:1],
        f"an attack needs one label per input, got labels of shape {tuple(labels.shape)} for "
        f"{len(inputs)} inputs",
    )


def _require_within(inputs: Tensor, faces: tuple[Tensor, Tensor]) -> None:
    low, high = faces
    one = inputs.shape[1:]
    for face in faces:
        require(
            face.dim() <= len(one)
            and all(a in {1, b} for a, b in zip(face.shape[::-1], one[::-1], strict=False)),
            f"bounds are numbers or have the shape of one input, {tuple(one)}, got "
            f"{tuple(face.shape)}",
        )
    if inputs.numel():
        ends = f"{float(low.min()):g} to {float(high.max()):g}"
        require(bool((low <= high).all()), f"bounds are (least, greatest), got {ends}")
        require(not bool(inputs.isnan().any()), "inputs are numbers, and some of these are nan")
        beyond = float(torch.maximum(low - inputs, inputs - high).max())
        least, most = (float(value) for value in inputs.aminmax())
        require(
            not 0 < beyond <= _ROUNDING * (1 + max(abs(least), abs(most))),
            f"inputs leave their bounds, {ends}, by {beyond:.1e}, which is rounding: make the "
            "bounds as tensors, by the arithmetic that the inputs went through",
        )
        require(
            beyond <= 0,
            f"inputs go from {least:g} to {most:g} and leave their bounds, {ends}; give the bounds "
            "of the model's own inputs",
        )
