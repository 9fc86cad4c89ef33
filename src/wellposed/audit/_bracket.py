"""The bracket: what is proven, what is broken, and what nobody knows, radius by radius."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from wellposed.audit._bracketed import Bracket
from wellposed.certify import METHODS, Graph, certify, trace
from wellposed.errors import ArgumentError, UnknownNameError, require
from wellposed.perturb import FGSM, L1, L2, Attacked, Ball, Linf, Pool, Rung, ladder

NORMS: dict[str, type[Ball]] = {"linf": Linf, "l2": L2, "l1": L1}
"""The balls by the name of their norm."""

_POOL = Pool()
_CROSSED = 16  # broken examples that a certificate must not cover


def bracket(  # noqa: PLR0913 - what is attacked, within what, and how much may be spent
    model: nn.Module,
    inputs: Float[Tensor, "n ..."],
    labels: Int[Tensor, " n"],
    radii: Sequence[float],
    norm: str = "linf",
    *,
    bounds: tuple[float | Tensor, float | Tensor] = (0.0, 1.0),
    budget: str | Sequence[Rung] = "standard",
    certificates: bool = True,
    method: str = "auto",
    seed: int = 0,
    pool: Pool = _POOL,
) -> Bracket:
    r"""Certified $\le$ robust accuracy $\le$ attacked, at several radii.

    Attacks go first, by `wellposed.perturb.ladder`; what they break needs no certificate. What they
    leave is bounded by `wellposed.certify.certify`, from the smallest radius on, and where that
    proves nothing, larger radii are not tried. So the shares never rise with the radius.

    Neither side can be wrong by spending less, only wide: a counter-example is one whatever found
    it, and a certificate holds whatever was tried. At most 16 broken examples are bounded as well:
    that none of them is certified is asserted.

    The examples are put in an order of their own, by their content, so that theirs does not matter.

    Args:
        model: Returns logits (n, classes), or one logit (n,) or (n, 1) for two classes.
        inputs: Shape (n, ...), within the bounds, of float32 or float64, n at least 1.
        labels: The right classes, from 0.
        radii: Above 0, in the units of the inputs.
        norm: "linf", "l2" or "l1".
        bounds: Least and greatest value of an input.
        budget: Of the ladder: "fast", "standard", "full" or "autoattack".
        certificates: Whether to look for them; if not, the lower end is 0.
        method: Of the certificates: "auto", or one of `wellposed.certify.METHODS`.
        seed: Of random starts.
        pool: The size of the batch; and a checkpoint, for the attacks.

    Raises `ArgumentError` for what is outside these ranges, `UnknownNameError` for another norm,
    budget or method. A network that has no certificates is no error: the bracket says why.

    Cost: that of the ladder, and of the certificates of what is left.
    """
    if norm not in NORMS:
        raise UnknownNameError("norm", norm, tuple(NORMS))
    if method not in ("auto", *METHODS):
        raise UnknownNameError("method", method, ("auto", *METHODS))
    radii = tuple(sorted({float(eps) for eps in radii}))
    require(
        len(radii) > 0 and all(0 < eps < float("inf") for eps in radii),
        f"a bracket needs radii that are positive and finite, got {list(radii)}",
    )
    require(len(inputs) > 0, "a bracket needs at least one example, got none")
    require(
        labels.shape == inputs.shape[:1],
        f"a bracket needs one label per input, got labels of shape {tuple(labels.shape)} for "
        f"{len(inputs)} inputs",
    )
    digests = _digests(inputs, labels)
    order = torch.tensor(sorted(range(len(digests)), key=digests.__getitem__))
    order = order.to(inputs.device)
    x, y = inputs[order], labels[order].long()
    ball = NORMS[norm](0.0)
    once = replace(pool, checkpoint=None)
    clean = ~FGSM()(model, x, y, ball, bounds=bounds, seed=seed, pool=once).broken
    found = ladder(model, x, y, ball, radii, budget=budget, bounds=bounds, seed=seed, pool=pool)
    proofs = _Proofs(model, x, y, ball, bounds, method)
    proven, reason = _proven(proofs, radii, found.attacked, certificates=certificates)
    back = order.argsort()
    return Bracket(
        norm=norm,
        radii=radii,
        bounds=_ends(bounds),
        inputs=inputs.detach().cpu(),
        labels=labels.detach().cpu(),
        clean=clean[back].cpu(),
        examples=tuple(part.examples[back].cpu() for part in found.attacked),
        broken=torch.stack([part.broken[back] for part in found.attacked]).cpu(),
        proven=proven[:, back.cpu()],
        methods=tuple(proofs.methods),
        reason=reason,
        budget=budget if isinstance(budget, str) else "rungs",
        spent=found.spent,
        rows=proofs.rows,
        crossed=proofs.crossed,
        suspicions=found.suspicions,
        seed=seed,
        ids_sha256=sha256("".join(sorted(digests)).encode()).hexdigest(),
        subject=_program(model, inputs),
    )


@final
class _Proofs:
    """Certificates of some examples, and what they took."""

    def __init__(
        self, model: nn.Module, inputs: Tensor, labels: Tensor, ball: Ball,
        bounds: tuple[float | Tensor, float | Tensor], method: str,
    ) -> None:  # fmt: skip
        self.model, self.ball, self.method = model, ball, method
        self.inputs, self.labels = inputs.detach().cpu(), labels.detach().cpu()
        self.bounds = tuple(b.detach().cpu() if isinstance(b, Tensor) else b for b in bounds)
        self.methods: list[str] = []
        self.rows = 0
        self.crossed = 0
        self._graph: Graph | None = None

    def of(self, which: Tensor, eps: float) -> tuple[Tensor, tuple[str, ...]]:
        """Which of some rows are certified, and by which methods.

        Raises `ArgumentError` if the network has no certificates.
        """
        if self._graph is None:
            self._graph = trace(self.model, self.inputs.shape[1:])
        found = certify(
            self._graph,
            self.inputs[which],
            self.labels[which],
            self.ball.resized(eps),
            bounds=(self.bounds[0], self.bounds[1]),
            method=self.method,
        )
        self.rows += found.rows
        used = {found.method[row] for row in found.certified.nonzero().flatten().tolist()}
        return found.certified, tuple(m for m in METHODS if m in used)


def _proven(
    proofs: _Proofs, radii: Sequence[float], attacked: Sequence[Attacked], *, certificates: bool
) -> tuple[Tensor, str]:
    """Which examples are proven at each radius, shape (radii, n), and why none are if none are."""
    n = len(proofs.labels)
    proven = torch.zeros(len(radii), n, dtype=torch.bool)
    if not certificates:
        return proven, "certificates were not asked for"
    hopeful = torch.ones(n, dtype=torch.bool)
    try:
        for k, eps in enumerate(radii):
            which = (hopeful & ~attacked[k].broken.cpu()).nonzero().flatten()
            hopeful = torch.zeros_like(hopeful)
            if len(which):
                hopeful[which], methods = proofs.of(which, eps)
                proofs.methods += [m for m in methods if m not in proofs.methods]
            proven[k] = hopeful
        _cross(proofs, radii, attacked)
    except ArgumentError as error:
        return torch.zeros_like(proven), str(error)
    return proven, ""


def _cross(proofs: _Proofs, radii: Sequence[float], attacked: Sequence[Attacked]) -> None:
    """Assert that nothing is both broken and certified, on some that are broken."""
    for eps, part in zip(radii, attacked, strict=True):
        broken = part.broken.cpu().nonzero().flatten()[: _CROSSED - proofs.crossed]
        if len(broken):
            certified, _ = proofs.of(broken, eps)
            if bool(certified.any()):
                raise AssertionError(
                    f"example {int(broken[certified][0])} is certified at {eps:g}, and there is a "
                    "counter-example: a fault in the certificates, in the attack, or a network "
                    "that does not compute the same twice; nothing here can be trusted"
                )
            proofs.crossed += len(broken)


def _digests(inputs: Tensor, labels: Tensor) -> list[str]:
    """The sha256 of each example with its label."""
    rows = inputs.detach().cpu().contiguous()
    numbers = labels.detach().cpu().tolist()
    head = f"{rows.dtype} {tuple(rows.shape[1:])} "
    return [
        sha256(
            f"{head}{label} ".encode() + row.reshape(-1).view(torch.uint8).numpy().tobytes()
        ).hexdigest()
        for row, label in zip(rows, numbers, strict=True)
    ]


def _ends(bounds: tuple[float | Tensor, float | Tensor]) -> tuple[float, float]:
    low, high = (torch.as_tensor(bound, dtype=torch.float64) for bound in bounds)
    return float(low.min()), float(high.max())


def _program(model: nn.Module, inputs: Tensor) -> str:
    kind = str(inputs.dtype).removeprefix("torch.")
    return (
        f"{type(model).__name__}, {kind} program on {inputs.device.type}, torch {torch.__version__}"
    )
