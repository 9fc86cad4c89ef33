"""A rolling pool: broken examples leave, others take their places, and the batch stays full."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from torch import Tensor

from wellposed.errors import require
from wellposed.perturb._attacked import Attacked
from wellposed.perturb._frozen import frozen
from wellposed.perturb._quick import Precision, Quick
from wellposed.perturb._rows import Game
from wellposed.perturb._work import Steps, Work


@final
@dataclass(frozen=True)
class Pool:
    """How many examples are worked on at a time, and where the work is kept.

    Every example has its own clock. One that is broken leaves, as does one that has used up its
    rounds, and the next in the queue takes its place in the same batch. Random numbers depend on
    the seed, the example and its clock, so that neither the size of the batch nor the other
    examples change what happens to one, up to the rounding of the model itself.

    Args:
        batch: Examples per forward pass, at least 1.
        checkpoint: A safetensors file. The work is saved there, and goes on from there if the
            file exists; None keeps it in memory only.
        every: Seconds between two savings, at least 0.
        precision: Of the search: "float32", or "bf16", which on processors with instructions for
            it takes half the time. Whatever breaks is confirmed by the model itself, and margins
            are its own, so that this can make an attack weaker, but nothing wrong.

    Raises:
        ArgumentError: Outside these ranges.
    """

    batch: int = 128
    checkpoint: Path | None = None
    every: float = 60.0
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        require(self.batch >= 1, f"Pool needs a batch of at least 1, got batch={self.batch}")
        require(self.every >= 0, f"Pool needs every >= 0 seconds, got every={self.every}")
        require(
            self.precision in {"float32", "bf16"},
            f"Pool has precision float32 and bf16, got precision={self.precision!r}",
        )

    def run(self, attack: Steps, game: Game, columns: dict[str, Tensor]) -> Attacked:
        """Carry an attack out.

        Args:
            attack: Its state and steps.
            game: The model and the rules.
            columns: "center", the inputs, of float32 or float64 and within the bounds; "labels",
                int64; and, where the caller says where to start, "begin". One entry per example.

        Raises `DataError` if the checkpoint is that of other work.
        """
        game = replace(game, quick=Quick(game.model, self.precision))
        with frozen(game.model, game.seed):
            work = Work(attack, game, columns)
            name = "" if self.checkpoint is None else work.name(self.batch)
            if self.checkpoint is not None and self.checkpoint.exists():
                work.load(self.checkpoint, name)
            else:
                work.look(self.batch)
            saved = time.monotonic()
            while work.fill(self.batch):
                attack.step(work.rows)
                work.turn()
                if self.checkpoint is not None and time.monotonic() - saved >= self.every:
                    work.save(self.checkpoint, name)
                    saved = time.monotonic()
            if self.checkpoint is not None:
                work.save(self.checkpoint, name)
        known = work.known
        return Attacked(
            known["examples"],
            known["broken"],
            known["margin"],
            known["gradients"],
            known["forwards"],
        )
