"""The trace of a Hessian, from second derivatives along a vector of its own for each example."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import jvp

from wellposed.errors import ArgumentError, in_a_line, require
from wellposed.linalg._agreement import tolerance
from wellposed.linalg._flatten import flatten, unflatten
from wellposed.linalg._kinds import backward
from wellposed.linalg._mean_loss import MeanLoss, PerExample
from wellposed.linalg._products import differentiable_twice
from wellposed.linalg._recorded import Recorded, Recording, alike
from wellposed.linalg._trace import Trace, apart_from

Plain: TypeAlias = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d
"""Layers that are linear in their weights, channel by channel."""

_CHECKED = 3  # examples


def trace_by_examples(
    model: nn.Module,
    loss: PerExample,
    batches: Iterable[tuple[Tensor, Tensor]],
    *,
    passes: int = 4,
    seed: int = 0,
) -> Trace:
    r"""Estimate $\operatorname{tr} \nabla^2 E$ of a mean loss, $E = \frac1N \sum_i \ell_i$.

    A sample is $\frac1N \sum_i z_i^\top \nabla^2 \ell_i\, z_i$ with a vector of 1 and -1 of its own
    for each example. Hutchinson's estimator has one vector for all of them; that of N vectors has
    up to N times less variance, and they are no dearer. In linear layers and convolutions
    $z_i = d_i e_i^\top Z$, entry by entry, with one Z for the batch and random signs $d_i$ of the
    outputs and $e_i$ of the inputs, so that a multiplication with Z applies all of them. Entries of
    such vectors are uncorrelated, and so are different examples. Other weights share their entries
    within a batch. The second derivatives are carried forward, without a backward pass.

    Args:
        model: Any, in the mode that it is in, whose examples do not depend on each other.
        loss: (outputs, targets) -> losses per example, shape (batch,).
        batches: (inputs, targets) each, at least one example together.
        passes: Samples, at least 2.
        seed: Of the vectors.

    Cost: about a gradient per pass; before, some hundredths of a second, a forward pass per batch,
    and three products of second order with single examples, which verify the derivatives.

    Raises `ArgumentError` if they are refuted, as they are where a model mixes examples, or if the
    model has no derivatives in forward mode; `trace` does without.

    References:
        Hutchinson, A stochastic estimator of the trace of the influence matrix, 1989; the vectors
        for each example are ours.
    """
    require(passes >= 2, f"a trace and its error take at least 2 passes, got {passes}; try 4")
    kept = [(x, y) for x, y in batches if len(x)]
    count = sum(len(x) for x, _ in kept)
    require(count > 0, "the trace of a mean over no examples; give at least one")
    by = _ByExamples(MeanLoss(model, loss), apart_from(seed, "trace by examples"))
    samples = np.zeros(passes)
    with differentiable_twice():
        for inputs, targets in kept:
            along = by.along(inputs, targets)
            for number in range(passes):
                [found] = along(by.vectors())
                samples[number] += float(found.double().sum()) / count
    return Trace(samples)


class _ByExamples:
    """Second derivatives of the losses of examples, each along a vector of its own."""

    def __init__(self, mean: MeanLoss, generator: torch.Generator) -> None:
        self.mean, self.generator = mean, generator
        self.point = [p.detach() for p in mean.params]
        self.recordings: dict[object, Recording] = {}
        modules = list(mean.model.modules())
        place = {id(p): number for number, p in enumerate(mean.params)}
        holders = Counter(id(p) for m in modules for p in m.parameters(recurse=False))
        self.layers = [
            _Layer(m, place[id(m.weight)], place.get(id(m.bias)))
            for m in modules
            if isinstance(m, Plain)
            and type(m) in get_args(Plain)
            and "forward" not in vars(m)
            and id(m.weight) in place
            and all(holders[id(p)] == 1 for p in m.parameters(recurse=False))
        ]

    def along(self, inputs: Tensor, targets: Tensor) -> Recorded:
        """Vectors, one per parameter -> second derivatives, shape (batch,), for signs drawn now.

        Of each shape of a batch the first is verified.
        """
        signs = [
            _drawn((len(inputs), channels), self.point[0], self.generator)
            for layer in self.layers
            for channels in (layer.outputs, layer.inputs)
        ]
        data = [inputs, targets, *self.mean.constants().values(), *signs]
        key = alike(data)
        if key in self.recordings:
            return self.recordings[key].at(self.point, data)
        try:
            made = Recording(self._second, self.vectors(), self.point, data)
            vectors = self.vectors()  # along its first ones a value kept by mistake looks right
            found = made.here(vectors)[0]
            difference = self._difference(found, vectors, signs, inputs, targets)
        except ArgumentError:
            raise
        except Exception as error:
            raise ArgumentError(
                f"this model has no second derivatives of single examples in forward mode "
                f"({in_a_line(error)}); try linalg.trace"
            ) from error
        require(
            difference <= tolerance(self.point),
            f"second derivatives of single examples differ from those within a batch by "
            f"{difference:.1g} of their size; the model mixes examples, or a layer has a wrong "
            "derivative; try linalg.trace",
        )
        if bool(found.any()):  # zeros, as of dead units, verify nothing
            self.recordings[key] = made
        return made.here

    def vectors(self) -> list[Tensor]:
        """Of entries 1 and -1, in the shapes of the parameters."""
        n = sum(p.numel() for p in self.point)
        pieces = unflatten(_drawn((n,), self.point[0], self.generator), self.point)
        return [piece.to(p.dtype) for piece, p in zip(pieces, self.point, strict=True)]

    def _second(self, v: Sequence[Tensor], w: Sequence[Tensor], data: Sequence[Tensor]) -> Any:
        count = len(self.mean.constants())
        inputs, targets, *others = data
        losses = self.mean.functional(self.mean.losses, others[:count])
        signs = iter(others[count:])
        for layer in self.layers:
            layer.prepare(next(signs), next(signs))

        own = {k for layer in self.layers for k in (layer.weight, layer.bias)}

        def moved(*steps: Tensor) -> Tensor:
            pairs = enumerate(zip(w, steps, strict=True))
            weights = [p if k in own else p + step for k, (p, step) in pairs]
            with ExitStack() as stack:
                for layer in self.layers:
                    stack.enter_context(layer.moved(steps))
                return losses(weights, inputs, targets)

        def slope(*steps: Tensor) -> Tensor:
            found: Tensor = jvp(moved, steps, tuple(v))[1]
            return found

        return [jvp(slope, tuple(map(torch.zeros_like, w)), tuple(v))[1]]

    def _difference(
        self, found: Tensor, vectors: list[Tensor], signs: list[Tensor], inputs: Tensor,
        targets: Tensor,
    ) -> float:  # fmt: skip
        """From products with the Hessians of the examples that matter most, relative."""
        worst = 0.0
        largest = found.abs().topk(min(_CHECKED, len(found))).indices.tolist()
        for i in largest:
            own = list(vectors)
            for layer, d, e in zip(self.layers, signs[::2], signs[1::2], strict=True):
                layer.apply(own, d[i], e[i])
            z = flatten(own, self.point)
            product = backward(self.mean, "hessian", inputs[i : i + 1], targets[i : i + 1])
            expected = float(z.double() @ product(z).double())
            worst = max(worst, abs(float(found[i]) - expected))
        return worst / max(float(found.abs().max()), torch.finfo(found.dtype).tiny)


class _Layer:
    """A linear layer or a convolution whose step in the weights has signs of each example.

    Args:
        module: The layer.
        weight: Place of its weight among the parameters.
        bias: And of its bias; None without, or if it is frozen.
    """

    def __init__(self, module: Plain, weight: int, bias: int | None) -> None:
        self.module, self.weight, self.bias = module, weight, bias
        self.groups = 1 if isinstance(module, nn.Linear) else module.groups
        self.outputs, inputs, *kernel = module.weight.shape
        self.inputs, self.dims = inputs * self.groups, len(kernel)
        self.signs: tuple[Tensor, ...] = ()
        self.signed: bool | None = None

    def prepare(self, outputs: Tensor, inputs: Tensor) -> None:
        """Take these signs, shape (batch, channels), for what follows."""
        self.signs, self.signed = (outputs, inputs), None

    @contextmanager
    def moved(self, steps: Sequence[Tensor]) -> Iterator[None]:
        """In it the layer's weights are moved, for example i by d_i step e_i."""
        step = steps[self.weight], None if self.bias is None else steps[self.bias]
        module, plain, count = self.module, self.module.forward, len(self.signs[0])

        def forward(x: Tensor) -> Tensor:
            signed = len(x) == count and x.dim() >= self.dims + 2
            if self.signed not in (None, signed):
                raise RuntimeError("a layer is called with examples in the first axis and without")
            self.signed = signed
            if not signed:  # all examples share the step
                return plain(x) + self._map(x, *step)
            d, e = (self._broad(s, x) for s in self.signs)
            return plain(x) + d * self._map(e * x, *step)

        vars(module)["forward"] = forward
        try:
            yield
        finally:
            del vars(module)["forward"]

    def apply(self, vectors: list[Tensor], d: Tensor, e: Tensor) -> None:
        """Replace the layer's vectors by those of the example with these signs."""
        if not self.signed:
            return
        weight = vectors[self.weight]
        inputs = e.view(self.groups, -1).repeat_interleave(self.outputs // self.groups, 0)
        signs = d[:, None] * inputs
        vectors[self.weight] = weight * signs.view(*signs.shape, *(1,) * self.dims)
        if self.bias is not None:
            vectors[self.bias] = vectors[self.bias] * d

    def _map(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """What the layer makes of x with these weights."""
        if isinstance(self.module, nn.Linear):
            return nn.functional.linear(x, weight, bias)
        found: Tensor = self.module._conv_forward(x, weight, bias)
        return found

    def _broad(self, signs: Tensor, x: Tensor) -> Tensor:
        """Signs (batch, channels) so that they multiply the layer's inputs or outputs."""
        n, channels = signs.shape
        if isinstance(self.module, nn.Linear):
            return signs.view(n, *(1,) * (x.dim() - 2), channels)
        return signs.view(n, channels, *(1,) * self.dims)


def _drawn(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    """Entries 1 and -1, each as likely."""
    count = math.prod(shape)
    words = torch.empty(-(-count // 8), dtype=torch.int64).random_(generator=generator)
    bits = words.view(torch.uint8)[:count] & 1  # of eight bytes one draw
    return (2 * bits.to(like) - 1).view(shape)
