"""How long to train, and how."""

import math
from dataclasses import dataclass
from typing import Literal, final

from wellposed.data import Augmentation
from wellposed.errors import require

Precision = Literal["float32", "bf16", "auto"]
Device = Literal["cpu", "cuda", "mps", "auto"]

_MOST_THREADS = 1024


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    r"""What `fit` is to do besides the formula; the fields are the keys of `[train]` in a recipe.

    Args:
        epochs: Passes over the training part, at least 1.
        batch_size: Examples per gradient, at least 1; the last batch of an epoch may be smaller.
        seed: Of the order of the examples, the augmentation, and all that the model draws.
        precision: "float32"; "bf16" (matrix products and convolutions in bfloat16, weights in
            float32); or "auto", which times both, in both memory layouts, and takes the fastest.
        device: "cpu", "cuda", "mps", or "auto": the first of cuda, mps, cpu that is there.
        threads: Of torch on the CPU, at most 1024; None leaves them as they are.
        accumulate: Batches whose mean gradient makes one update.
        clip_norm: A gradient of larger Euclidean norm is scaled down to this; None: never.
        ema: Decay per update, in (0, 1), of an exponential moving average of the weights, which is
            then what is evaluated and kept; None: no average.
        patience: Stop when this many evaluations in a row have not improved on the best, and keep
            the best weights; None: never.
        monitor: What must improve on the validation part: "loss", "error", or "robust_error", the
            error under the adversary of an adversarial training.
        evaluate_every: Updates between evaluations on the validation part; None: each epoch.
        curvature: Training examples on which the most negative curvature of the objective is
            measured at each evaluation, for 30 to 100 products with its Hessian; None: never. A
            relaxation for the time t is well posed while $t < 1 / |\lambda_{\min}|$.
        log_every: Updates between records in the log; None: some 400 records per run, at least
            10 and at most 100 updates apart.
        checkpoint_every: Updates between checkpoints, or "epoch"; None: every 30 seconds, or as
            often as costs 5 % of the time. One is always written on a signal and at the end.
        deterministic: Refuse operations whose result depends on the order of threads.
        augment: Applied to each training batch, in this order.

    Raises `ArgumentError` if a value is outside its range.
    """

    epochs: int = 10
    batch_size: int = 128
    seed: int = 0
    precision: Precision = "float32"
    device: Device = "cpu"
    threads: int | None = None
    accumulate: int = 1
    clip_norm: float | None = None
    ema: float | None = None
    patience: int | None = None
    monitor: Literal["loss", "error", "robust_error"] = "loss"
    evaluate_every: int | None = None
    curvature: int | None = None
    log_every: int | None = None
    checkpoint_every: int | Literal["epoch"] | None = None
    deterministic: bool = False
    augment: tuple[Augmentation, ...] = ()

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulate"):
            _require_count(name, getattr(self, name))
        for name in ("threads", "patience", "evaluate_every", "curvature", "log_every"):
            if getattr(self, name) is not None:
                _require_count(name, getattr(self, name))
        most = f"threads must be at most {_MOST_THREADS}, got {self.threads}; try 1"
        require(self.threads is None or self.threads <= _MOST_THREADS, most)
        if self.checkpoint_every not in {None, "epoch"}:
            _require_count("checkpoint_every", self.checkpoint_every)
        _require_one_of("precision", self.precision, ("float32", "bf16", "auto"))
        _require_one_of("device", self.device, ("cpu", "cuda", "mps", "auto"))
        _require_one_of("monitor", self.monitor, ("loss", "error", "robust_error"))
        require(0 <= self.seed < 2**63, f"seed must be from 0 to 2^63 - 1, got {self.seed}; try 0")
        if self.clip_norm is not None:
            require(self.clip_norm > 0, f"clip_norm must be > 0, got {self.clip_norm:g}; try 1")
        if self.ema is not None:
            require(0 < self.ema < 1, f"ema must be between 0 and 1, got {self.ema:g}; try 0.98")

    def steps_per_epoch(self, examples: int) -> int:
        """Updates in one pass over this many examples."""
        return math.ceil(math.ceil(examples / self.batch_size) / self.accumulate)

    def total_steps(self, examples: int) -> int:
        """Updates in the whole run, which schedules want to know."""
        return self.epochs * self.steps_per_epoch(examples)


def _require_count(name: str, value: object) -> None:
    """Raise `ArgumentError` for what is not an integer of at least 1."""
    good = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    require(good, f"{name} must be an integer of at least 1, got {value!r}; try 1")


def _require_one_of(name: str, value: object, known: tuple[str, ...]) -> None:
    """Raise `ArgumentError` for what is not one of the known words."""
    require(value in known, f"{name} must be one of {', '.join(known)}, got {value!r}")
