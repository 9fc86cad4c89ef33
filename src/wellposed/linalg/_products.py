"""Products with a matrix of second order of a mean loss over batches, verified."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, TypeAlias, final, get_args

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from wellposed.errors import ArgumentError, in_a_line, require
from wellposed.linalg._agreement import Agreement, by_differences, compared, tolerance
from wellposed.linalg._curvature import Operator
from wellposed.linalg._flatten import flatten, unflatten
from wellposed.linalg._kinds import KINDS, Kind, backward, directional
from wellposed.linalg._mean_loss import MeanLoss, Penalty, PerExample
from wellposed.linalg._recorded import Recording, alike
from wellposed.linalg._trace import Parts

Mode: TypeAlias = Literal["recorded", "forward", "kept", "rebuilt"]
"""How a product is computed, the fastest first."""

MODES: tuple[Mode, ...] = get_args(Mode)
_WITHOUT_MEMORY: dict[Mode, Mode] = {
    "recorded": "forward", "forward": "forward", "kept": "rebuilt", "rebuilt": "rebuilt",
}  # fmt: skip


@final
class Curvature:
    r"""$v \mapsto Av$, shape (n,), A a matrix of second order of a mean loss.

    $A = \sum_b \frac{N_b}{N} A_b$ over batches b of $N_b$ examples each, whatever their sizes:

    - "hessian": $\nabla^2 (E + R)$;
    - "gauss-newton": $\frac1N\sum_i J_i^\top \nabla^2\ell_i J_i$, J the outputs' Jacobian;
    - "fisher": $\frac1N\sum_i J_i^\top (\operatorname{diag} p_i - p_i p_i^\top) J_i$, the exact
      Fisher matrix of a softmax of the outputs;
    - "empirical-fisher": $\frac1N\sum_i g_i g_i^\top$, g the gradients of the examples.

    How: "recorded" keeps what does not depend on v, a product then costs about a gradient;
    "forward" is forward over reverse mode, twice a gradient or more; "kept" and "rebuilt" are two
    backward passes, with the graph of the first one kept or not. Of the ways in `modes` the first
    counts that works and is not refuted: its product with `probe` is compared with finite
    differences in float64 on a few examples, and on the first batch with another way. Attention
    runs in a form that has second derivatives. The model is used in the mode that it is in, at the
    weights of now, and neither they nor their `.grad` are touched.

    Args:
        mean: Model, loss and penalty.
        batches: (inputs, targets) each, at least one example together.
        kind: Which matrix.
        modes: Ways that may be taken, in this order.
        memory: Bytes for recordings or graphs; the batches beyond get by without.
        seed: Of `probe`.

    Raises:
        ArgumentError: If no way works, or every one is refuted.
    """

    def __init__(
        self,
        mean: MeanLoss,
        batches: Iterable[tuple[Tensor, Tensor]],
        kind: Kind = "hessian",
        *,
        modes: Sequence[Mode] = MODES,
        memory: int = 1 << 30,
        seed: int = 0,
    ) -> None:
        require(kind in KINDS, f"no matrix is called {kind!r}; there are {', '.join(KINDS)}")
        self.mean, self.kind, self.memory = mean, kind, memory
        self.batches = [(x, y) for x, y in batches if len(x)]
        self.examples = sum(len(x) for x, _ in self.batches)
        require(self.examples > 0, "curvature of a mean over no examples; give at least one")
        self.params = mean.params
        self.n = sum(p.numel() for p in self.params)
        self.products = 0
        self._recordings: dict[object, Recording] = {}
        self.probe = random_start(flatten(self.params, self.params).detach(), seed)
        self.mode, self.agreement = self._choose(modes)

    def __call__(self, vector: Tensor) -> Tensor:
        """The product, shape (n,)."""
        self.products += 1
        total = torch.zeros_like(vector)
        known = torch.equal(vector, self.probe)
        for number, (operator, (inputs, _)) in enumerate(
            zip(self._operators, self.batches, strict=True)
        ):
            part = self._first if known and number == 0 else operator(vector)
            total.add_(part, alpha=len(inputs) / self.examples)
        return total

    @property
    def parts(self) -> Parts:
        """(share of the examples, product) of every batch; their weighted sum is A."""
        shares = [len(x) / self.examples for x, _ in self.batches]
        return list(zip(shares, self._operators, strict=True))

    def on_batch(self, number: int) -> Operator:
        """The product with the matrix of one batch alone, a mean over its own examples."""
        return self._operators[number]

    def _choose(self, modes: Sequence[Mode]) -> tuple[Mode, Agreement]:
        """The first way that works; its operators, and how well its first product was verified."""
        faults: dict[str, list[str]] = {}
        for mode in modes:
            try:
                operator, used = self._operator(mode, *self.batches[0])
                self._first = operator(self.probe)
            except ArgumentError:
                raise
            except Exception as error:  # noqa: BLE001 - the next way may be open
                faults.setdefault(in_a_line(error), []).append(mode)
                continue
            agreement = self._compare(mode)
            if agreement.refuted:
                faults.setdefault(str(agreement), []).append(mode)
                continue
            self._operators = [operator]
            for inputs, targets in self.batches[1:]:
                way = mode if used < self.memory else _WITHOUT_MEMORY[mode]
                operator, more = self._operator(way, inputs, targets)
                used += more
                self._operators.append(operator)
            return mode, agreement
        raise ArgumentError(
            "no product with the second derivative can be trusted here ("
            + "; ".join(f"{', '.join(modes)}: {fault}" for fault, modes in faults.items())
            + "); a layer in this model has no second derivative, or a wrong one"
        )

    def _compare(self, mode: Mode) -> Agreement:
        forward = mode in ("recorded", "forward")
        inputs, targets = self.batches[0]
        with differentiable_twice():
            difference, rounding = by_differences(
                self.mean, self.kind, inputs, targets, forward=forward
            )
        opposite: Mode = "rebuilt" if forward else "forward"
        other = compared(
            self._first, lambda: self._operator(opposite, inputs, targets)[0](self.probe)
        )
        return Agreement(difference, rounding, other, tolerance(self.params))

    def _operator(self, mode: Mode, inputs: Tensor, targets: Tensor) -> tuple[Operator, int]:
        """V -> Av on one batch, and the bytes it keeps."""
        if mode == "recorded":
            return self._recorded(inputs, targets)
        if mode == "kept":
            return self._kept(inputs, targets)
        if mode == "rebuilt":

            def rebuilt(vector: Tensor) -> Tensor:
                with differentiable_twice():
                    return backward(self.mean, self.kind, inputs, targets)(vector)

            return rebuilt, 0
        product = directional(self.mean, self.kind)
        point = [p.detach() for p in self.params]

        def forward(vector: Tensor) -> Tensor:
            data = [inputs, targets, *self.mean.constants().values()]
            with differentiable_twice():
                found = product(_pieces(vector, point), point, data)
            return flatten([f.detach() for f in found], point)

        return forward, 0

    def _recorded(self, inputs: Tensor, targets: Tensor) -> tuple[Operator, int]:
        point = [p.detach() for p in self.params]
        data = [inputs, targets, *self.mean.constants().values()]
        key = alike(data)
        with differentiable_twice():
            if key in self._recordings:
                found = self._recordings[key].at(point, data)
            else:
                other = _pieces(self.probe.flip(0), point)  # the probe's product is verified
                made = Recording(directional(self.mean, self.kind), other, point, data)
                self._recordings[key], found = made, made.here
        return lambda vector: flatten(found(_pieces(vector, point)), point), found.bytes

    def _kept(self, inputs: Tensor, targets: Tensor) -> tuple[Operator, int]:
        kept: dict[int, int] = {}
        versions: list[tuple[Tensor, int]] = []

        def count(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
            versions.append((tensor, tensor._version))
            return tensor

        with differentiable_twice(), torch.autograd.graph.saved_tensors_hooks(count, _same):
            operator = backward(self.mean, self.kind, inputs, targets)
        if any(tensor._version != version for tensor, version in versions):
            # With hooks, torch does not look.
            raise RuntimeError("a tensor that the gradient needs is changed in place")
        versions.clear()

        def product(vector: Tensor) -> Tensor:
            with differentiable_twice():
                return operator(vector).detach()

        return product, sum(kept.values())


def curvature(  # noqa: PLR0913 - what is differentiated, and how
    model: nn.Module,
    loss: PerExample,
    batches: Iterable[tuple[Tensor, Tensor]],
    kind: Kind = "hessian",
    *,
    penalty: Penalty | None = None,
    modes: Sequence[Mode] = MODES,
    memory: int = 1 << 30,
    seed: int = 0,
) -> Curvature:
    """Products with a matrix of second order of a model's mean loss over batches of any size.

    Args:
        model: Any, in the mode that it is in; in training mode its running statistics move.
        loss: (outputs, targets) -> losses per example, shape (batch,).
        batches: (inputs, targets) each.
        kind: "hessian", "gauss-newton", "fisher" or "empirical-fisher".
        penalty: (model, inputs, targets) -> a number that is added to the mean; of the Hessian.
        modes: Ways to compute it that may be taken: "recorded", "forward", "kept", "rebuilt".
        memory: Bytes that may be kept for speed.
        seed: Of the vector that the first product is verified with.

    Cost: about a tenth of a second and four gradients; then a gradient or two per product.

    Raises `ArgumentError` if the second derivative is not there, or not to be trusted.
    """
    return Curvature(
        MeanLoss(model, loss, penalty), batches, kind, modes=modes, memory=memory, seed=seed
    )


def random_start(like: Tensor, seed: int = 0) -> Tensor:
    """A vector of unit length in a random direction, every direction equally likely.

    Args:
        like: Shape (n,); n, the type and the device.
        seed: Of the draw.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(like.shape, dtype=torch.float64, generator=generator)
    found: Tensor = (drawn / drawn.norm()).to(like)
    return found


@contextmanager
def differentiable_twice() -> Iterator[None]:
    """Gradients on, and attention by plain operations, which have second derivatives."""
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _pieces(vector: Tensor, point: Sequence[Tensor]) -> list[Tensor]:
    pieces = zip(unflatten(vector, point), point, strict=True)
    return [piece.to(p.dtype) for piece, p in pieces]


def _same(tensor: Tensor) -> Tensor:
    return tensor
