"""The work of an attack: what is known of all examples, who waits, and who is in the batch."""

from pathlib import Path
from typing import Protocol, final, runtime_checkable

import torch
from torch import Tensor

from wellposed.errors import require
from wellposed.perturb._objective import Objective, class_logits, is_broken, margin
from wellposed.perturb._rows import Game, Rows, slope_of
from wellposed.perturb._stored import fingerprint, store, stored

_RESULTS = ("examples", "broken", "margin", "size", "gradients", "forwards")
_CLOCKS = ("index", "clock", "round", "gradients", "forwards")


@runtime_checkable
class Steps(Protocol):
    """An attack as the pool sees it: a first state and a step, both on whole batches."""

    @property
    def opening(self) -> Objective | None:
        """What is to be climbed at the inputs, if their gradients are wanted before the start."""

    def rounds(self, classes: int) -> int:
        """How often an example that does not break is attacked from the start."""

    def start(self, rows: Rows) -> None:
        """Set all entries of `rows.state`, for rows whose round begins.

        Rows come in a few at a time, so that asking the model here would be slow: that is for the
        first step.
        """

    def step(self, rows: Rows) -> None:
        """One step of all rows: ask the model, once or several times, and change the state."""


@final
class Work:
    """An attack under way.

    Args:
        attack: Its state and steps.
        game: The model, which is frozen, and the rules.
        columns: "center", the inputs; "labels"; and "begin" where the caller says where to start.
    """

    def __init__(self, attack: Steps, game: Game, columns: dict[str, Tensor]) -> None:
        self.attack, self.game = attack, game
        center = columns["center"]
        n = len(center)
        zeros = torch.zeros(n, dtype=torch.int64, device=center.device)
        self.known = columns | {name: zeros.clone() for name in _CLOCKS}
        self.known["index"] = torch.arange(n, device=center.device)
        self.known["examples"] = center.clone()
        self.queue = zeros[:0]
        self.rows = Rows(game, {name: column[:0] for name, column in self.known.items()})

    def look(self, batch: int) -> None:
        """Ask the model about the inputs themselves: those that break already are done."""
        center, labels = self.known["center"], self.known["labels"]
        opening = None if "begin" in self.known else self.attack.opening
        clean = self._asked(batch, opening) if len(center) else center.new_zeros(0, 2)
        _require_classes(labels, clean)
        lead = margin(clean, labels)
        broken = is_broken(lead)
        size = torch.where(broken, 0.0, torch.inf).double()
        self.known |= {"clean": clean, "margin": lead, "broken": broken, "size": size}
        self.known["forwards" if opening is None else "gradients"] += 1
        self.queue = (~broken).nonzero().squeeze(1)
        if self.game.ball.eps == 0:  # there is nothing else to look at
            self.queue = self.queue[:0]

    def _asked(self, batch: int, opening: Objective | None) -> Tensor:
        """The logits of the inputs; with an opening also its gradients, as a column."""
        center, labels = self.known["center"], self.known["labels"]
        if opening is None:
            with torch.no_grad():
                parts = [class_logits(self.game.model(x), len(x)) for x in center.split(batch)]
            return torch.cat(parts)
        logits, slopes = [], []
        for x, y in zip(center.split(batch), labels.split(batch), strict=True):
            given = x.clone().requires_grad_()
            out = class_logits(self.game.model(given), len(x))
            _require_classes(y, out)
            slopes.append(slope_of(opening(out, y), given))
            logits.append(out.detach())
        self.known["slope"] = torch.cat(slopes)
        return torch.cat(logits)

    def fill(self, batch: int) -> bool:
        """Take examples from the queue until the batch is full; whether anything is left to do."""
        free = batch - len(self.rows)
        if free > 0 and len(self.queue):
            places, self.queue = self.queue[:free], self.queue[free:]
            new = Rows(self.game, {name: column[places] for name, column in self.known.items()})
            self.rows = self.rows.joined(self._started(new))
        return len(self.rows) > 0

    def turn(self) -> None:
        """After a step: clocks move on, who is done leaves, who begins another round restarts."""
        rows = self.rows
        rows.tick()
        over = rows.clock >= self.game.length
        gone = over & (rows.round + 1 >= self.attack.rounds(rows.clean.shape[1]))
        if not (self.game.smallest or self.game.deepest):
            gone = gone | rows.broken
        if gone.any():
            if self.game.rough:
                rows.settle(gone)
            for name in _RESULTS:
                self.known[name][rows.index[gone]] = rows.columns[name][gone]
        again = over & ~gone
        if (gone | again).any():
            self.rows = rows.take(~gone & ~again)
            restarted = rows.take(again)
            if len(restarted):
                restarted.columns["round"] += 1
                self.rows = self.rows.joined(self._started(restarted))

    def save(self, path: Path, name: str) -> None:
        """Replace the file by all that is needed to go on; the old or the new is there, whole."""
        tables = {"known": self.known, "rows": self.rows.columns, "state": self.rows.state}
        tensors = {f"{t}.{key}": v for t, table in tables.items() for key, v in table.items()}
        store(path, name, tensors | {"queue": self.queue})

    def load(self, path: Path, name: str) -> None:
        """Go on from a file; `DataError` if it is damaged, or of other work."""
        tensors, _ = stored(path, name, self.queue.device)
        tables: dict[str, dict[str, Tensor]] = {"known": {}, "rows": {}, "state": {}}
        self.queue = tensors.pop("queue")
        for key, value in tensors.items():
            table, _, column = key.partition(".")
            tables[table][column] = value
        self.known = tables["known"]
        self.rows = Rows(self.game, tables["rows"], tables["state"])

    def name(self, batch: int) -> str:
        """The fingerprint of all that decides about the result."""
        game = self.game
        kept = [game.smallest, game.deepest, game.rough]
        said = [repr(self.attack), repr(game.ball), game.seed, game.length, *kept, batch]
        weights = [*game.model.parameters(), *game.model.buffers()]
        bounds = [torch.as_tensor(bound) for bound in game.bounds]
        given = [self.known[key] for key in ("center", "labels", "begin") if key in self.known]
        return fingerprint(said, [*given, *bounds, *weights])

    def _started(self, rows: Rows) -> Rows:
        """Rows with their first state; their clock is -1 until then: no number is drawn twice."""
        rows.columns["clock"] = torch.full_like(rows.clock, -1)
        rows.state = {}
        self.attack.start(rows)
        rows.tick()
        return rows


def _require_classes(labels: Tensor, logits: Tensor) -> None:
    least, most = (int(v) for v in labels.aminmax()) if len(labels) else (0, 0)
    require(
        least >= 0 and most < logits.shape[1],
        f"labels go from 0 to {logits.shape[1] - 1} for a model of {logits.shape[1]} classes, "
        f"got {least} to {most}",
    )
