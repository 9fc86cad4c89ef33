"""The objective as a function of the weights, which are never written."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy
from typing import Any, TypeAlias, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from wellposed.audit._check import forward
from wellposed.audit._directions import moved
from wellposed.audit._read_weights import fitted_weights
from wellposed.audit._subject import Subject
from wellposed.errors import ArgumentError, first_line, require
from wellposed.problem import eval_mode
from wellposed.regularizers import Point

LEVEL = 0.95
Interval: TypeAlias = tuple[float, float]
Table: TypeAlias = Float[np.ndarray, "points examples"]

_LEAST = 20  # examples below which an interval over them says nothing
_ONCE_ONLY = re.compile(r"derivative for|differentiate twice|double.?backward", re.IGNORECASE)
_ROUNDING = 1e-4  # relative; what chunks and another form of attention may change


@final
class Landscape:
    r"""$w \mapsto \ell_i(w) + R(w)$ for fixed examples i, in eval mode.

    The model is called with other tensors in the place of its weights; its own are not written.
    Statistics of batch norm are the model's own, unless `statistics` measures them anew.

    Args:
        subject: Network, loss, data.
        check: Who asks.
        examples: At most this many, of the training part where there is one.

    Raises:
        ArgumentError: If there are fewer than 20 examples, the objective at the weights is not
            finite, or is another one when it is evaluated a second time.
    """

    def __init__(self, subject: Subject, check: str, examples: int) -> None:
        self.subject = subject
        self.part = "train" if "train" in subject.parts else subject.judged
        self.inputs, self.targets = subject.take(self.part, examples)
        require(
            len(self.inputs) >= _LEAST,
            f"{check} takes intervals over examples, and the {self.part} part has "
            f"{len(self.inputs)}; at least {_LEAST} are needed",
        )
        self._whole = _Whole(subject)
        self.weights = {n: p.detach() for n, p in subject.model.named_parameters()}
        self._wants = {n: p.requires_grad for n, p in subject.model.named_parameters()}
        self.evaluations = 0
        self.center = self.losses(self.weights)
        with subject.quiet(), torch.no_grad():
            direct = float(subject.objective(self.inputs, self.targets))
        self.rounding = abs(direct - float(self.center.mean()))
        require(
            bool(np.isfinite(self.center).all()),
            f"the objective is not finite on {int((~np.isfinite(self.center)).sum())} of "
            f"{len(self.center)} {self.part} examples, so that it has no landscape there",
        )
        require(
            self.rounding <= _ROUNDING * max(abs(direct), 1e-3),
            f"the objective is {direct:.6g} at once and {float(self.center.mean()):.6g} in chunks; "
            "a landscape needs a model that gives the same outputs at every call in eval mode",
        )

    @property
    def trainable(self) -> dict[str, Tensor]:
        """The weights that training changes, by name; tied ones once."""
        return {name: w for name, w in self.weights.items() if self._wants[name]}

    @property
    def norms(self) -> list[str]:
        """Names of the batch norms whose statistics depend on the weights."""
        return [n for n, m in self.subject.model.named_modules() if has_statistics(m)]

    @property
    def scale(self) -> float:
        """The loss of the mean output, given for every example: what a constant would do.

        Never below the loss of the weights; the unit in which a fall of the loss is judged.
        """
        with self.subject.quiet(), torch.no_grad():
            outputs = torch.cat([self.subject.model(x) for x, _ in self._chunks()])
            if outputs.is_floating_point():
                same = outputs.mean(0, keepdim=True).expand_as(outputs)
                constant = float(self.subject.losses(same, self.targets).double().mean())
            else:
                constant = 0.0
        return max(constant, abs(float(self.center.mean())))

    def losses(
        self, weights: Mapping[str, Tensor], buffers: Mapping[str, Tensor] | None = None
    ) -> Float[np.ndarray, " examples"]:
        """Loss per example plus R, in double precision.

        Args:
            weights: By name; those left out are the model's own.
            buffers: In the place of the model's, by name.

        Cost: one forward pass per example.
        """
        self.evaluations += len(self.inputs)
        given = {n: w.detach().requires_grad_(self._wants[n]) for n, w in weights.items()}
        return self._call({**given, **(buffers or {})})

    def line(
        self, directions: Sequence[Mapping[str, Tensor]], at: Sequence[Sequence[float]]
    ) -> Table:
        """The losses at the weights moved by multiples of directions.

        Args:
            directions: By name of the weights.
            at: For each point one multiple per direction.
        """
        return np.stack([self.losses(moved(self.trainable, directions, a)) for a in at])

    def gradient(self, rows: slice) -> dict[str, Tensor]:
        """The gradient of the objective on some of the examples, by name of the weights.

        Args:
            rows: Which examples.

        Cost: one gradient evaluation per example.
        """
        parameters = dict(self.subject.model.named_parameters())
        names = list(self.trainable)
        total = [torch.zeros_like(parameters[n]) for n in names]
        size = len(self.inputs[rows])
        for inputs, targets in self._chunks(rows):
            with self.subject.quiet():
                value = self.subject.objective(inputs, targets)
                require(value.requires_grad, "the objective does not depend on the weights")
                found = torch.autograd.grad(
                    value, [parameters[n] for n in names], allow_unused=True
                )
            for sum_, g in zip(total, found, strict=True):
                if g is not None:
                    sum_ += g.detach() * (len(inputs) / size)
        return dict(zip(names, total, strict=True))

    def outputs(
        self, weights: Mapping[str, Tensor], buffers: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """What the network gives for the examples at these weights, on the CPU.

        Args:
            weights: By name.
            buffers: By name.

        Cost: one forward pass per example.
        """
        swap = {**weights, **(buffers or {})}
        with self.subject.quiet(), torch.no_grad():
            found = [functional_call(self.subject.model, swap, (x,)) for x, _ in self._chunks()]
        return torch.cat(found).cpu()

    def gradient_at(self, weights: Mapping[str, Tensor], rows: Tensor) -> dict[str, Tensor]:
        """The gradient of the objective at other weights, on some of the examples.

        Args:
            weights: All weights by name.
            rows: Numbers of the examples.

        Cost: one gradient evaluation per row.
        """
        leaves = {n: w.detach().requires_grad_(self._wants[n]) for n, w in weights.items()}
        swap = {f"model.{name}": value for name, value in leaves.items()}
        rows = rows.to(self.inputs.device)
        with self.subject.quiet():
            value = functional_call(
                self._whole, swap, (self.inputs[rows], self.targets[rows])
            ).mean()
        wanted = {n: w for n, w in leaves.items() if self._wants[n]}
        found = torch.autograd.grad(value, list(wanted.values()), allow_unused=True)
        return {n: g for n, g in zip(wanted, found, strict=True) if g is not None}

    def curvature(self, direction: Mapping[str, Tensor]) -> float:
        """The second derivative along a direction by a product with the Hessian.

        Args:
            direction: By name of the weights.

        Cost: two gradient evaluations and a product per example.

        Raises:
            ArgumentError: If torch says that an operation has no second derivative.
            RuntimeError: What else the operations raise.
        """
        try:
            return self._curvature(direction)
        except RuntimeError as error:  # NotImplementedError is one
            if not _ONCE_ONLY.search(str(error)):
                raise
            raise ArgumentError(f"no second derivatives ({first_line(error)})") from error

    def _curvature(self, direction: Mapping[str, Tensor]) -> float:
        parameters = dict(self.subject.model.named_parameters())
        moves = {n: d for n, d in direction.items() if bool(d.any())}
        leaves, total = [parameters[n] for n in moves], 0.0
        for inputs, targets in self._chunks():
            with self.subject.quiet():
                value = self.subject.objective(inputs, targets)
                found = torch.autograd.grad(value, leaves, create_graph=True, allow_unused=True)
                pairs = [
                    (g, d) for g, d in zip(found, moves.values(), strict=True) if g is not None
                ]
                slope = sum(((g * d).sum() for g, d in pairs), torch.zeros(()))
                if not slope.requires_grad:
                    continue
                second = torch.autograd.grad(slope, leaves, allow_unused=True)
            along = sum(
                float((s * d).sum()) for s, d in zip(second, moves.values(), strict=True)
                if s is not None
            )  # fmt: skip
            total += along * len(inputs) / len(self.inputs)
        return total

    def of_a_copy(
        self, weights: Mapping[str, Tensor], buffers: Mapping[str, Tensor] | None = None
    ) -> float:
        """The objective of a copy of the model that has these weights written into it.

        Another way to the mean of `losses`; nan where the model cannot be copied.

        Args:
            weights: By name.
            buffers: By name.

        Cost: one forward pass per example.
        """
        with suppress(RuntimeError, TypeError), torch.no_grad():
            copied = deepcopy(self.subject.model)
            own = {**dict(copied.named_parameters()), **dict(copied.named_buffers())}
            for name, value in {**weights, **(buffers or {})}.items():
                own[name].copy_(value)
            total, subject, penalty = 0.0, self.subject, self.subject.regularizer
            with eval_mode(copied):
                for inputs, targets in self._chunks():
                    total += float(subject.losses(copied(inputs), targets).double().sum())
                    if penalty is not None:
                        at = Point(copied, inputs, targets, subject.loss)
                        total += len(inputs) * float(penalty(at))
            return total / len(self.inputs)
        return float("nan")

    def statistics(
        self, weights: Mapping[str, Tensor], buffers: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Buffers in which the statistics of batch norm are those of the examples, at the weights.

        Mean and variance are averaged over the chunks; other buffers are as given.

        Args:
            weights: All weights by name.
            buffers: By name; not written.

        Cost: one forward pass per example.
        """
        fresh = {name: value.detach().clone() for name, value in buffers.items()}
        if not self.norms:
            return fresh
        for name in self.norms:
            for key in ("running_mean", "running_var", "num_batches_tracked"):
                fresh[f"{name}.{key}"].zero_()
        with _averaging(self.subject.model, self.norms):
            self.evaluations += len(self.inputs)
            self._call({**weights, **fresh}, training=True)
        return fresh

    def fitting(
        self, state: Mapping[str, Tensor] | None, what: str, how: str
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Weights and buffers of another state of the same model, on its device.

        Args:
            state: A state dict; None if nobody gave one.
            what: In words, for messages.
            how: To give it, in words.

        Raises:
            ArgumentError: If there is none, or it is not finite; `DataError` if it does not fit.
        """
        if state is None:
            raise ArgumentError(f"it needs {what}, which nobody gave; {how}")
        given = fitted_weights(self.subject.model, state, what)
        buffers = {n: b.detach() for n, b in self.subject.model.named_buffers()}
        found = {
            name: given[name].to(own.device, own.dtype) if name in given else own
            for name, own in {**self.weights, **buffers}.items()
        }
        broken = [n for n in self.weights if not bool(torch.isfinite(found[n]).all())]
        require(not broken, f"{what} are not finite in {', '.join(broken[:3])}")
        return {n: found[n] for n in self.weights}, {n: found[n] for n in buffers}

    def _call(self, tensors: Mapping[str, Tensor], *, training: bool = False) -> np.ndarray:
        """Losses per example of the model with these tensors in place of its own."""
        swap = {f"model.{name}": value for name, value in tensors.items()}
        found = []
        with self.subject.quiet(), torch.no_grad():
            if training:
                for name in self.norms:
                    self.subject.model.get_submodule(name).training = True
            for inputs, targets in self._chunks():
                value = functional_call(self._whole, swap, (inputs, targets))
                found.append(value.double().cpu())
        return torch.cat(found).numpy()

    def _chunks(self, rows: slice = slice(None)) -> Iterator[tuple[Tensor, Tensor]]:
        size = self.subject.batch_size
        pieces = zip(self.inputs[rows].split(size), self.targets[rows].split(size), strict=True)
        return iter(pieces)


@final
class _Whole(nn.Module):
    """Loss per example plus R as a module, so that one call can have other weights."""

    def __init__(self, subject: Subject) -> None:
        super().__init__()
        self.model = subject.model
        self._subject = [subject]  # in a list, which a module does not look into

    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        subject = self._subject[0]
        losses = subject.losses(self.model(inputs), targets)
        if subject.regularizer is None:
            return losses
        return losses + subject.regularizer(Point(self.model, inputs, targets, subject.loss))


def cost(subject: Subject, examples: int, forwards: float, gradients: float = 0.0) -> int:
    """Gradient evaluations of one example, for passes over the examples of a landscape.

    Args:
        subject: What is examined.
        examples: At most this many.
        forwards: Forward passes per example.
        gradients: Gradient evaluations per example.
    """
    part = subject.parts["train" if "train" in subject.parts else subject.judged]
    size = min(examples, len(part))
    return forward(forwards * size) + round(gradients * size)


def level_of_each(intervals: int) -> float:
    """The level of each of several intervals that all hold together at `LEVEL` (Bonferroni).

    Args:
        intervals: How many.
    """
    return 1 - (1 - LEVEL) / intervals


@contextmanager
def _averaging(model: nn.Module, names: Sequence[str]) -> Iterator[None]:
    """Batch norms take plain means of what they see, inside the block."""
    modules: list[Any] = [model.get_submodule(name) for name in names]
    before = [m.momentum for m in modules]
    try:
        for m in modules:
            m.momentum = None
        yield
    finally:
        for m, momentum in zip(modules, before, strict=True):
            m.momentum = momentum


def has_statistics(module: nn.Module) -> bool:
    """Whether it is a batch norm that keeps statistics.

    Args:
        module: Any.
    """
    return isinstance(module, _BatchNorm) and module.running_mean is not None
