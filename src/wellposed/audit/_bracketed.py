"""What a bracket says: shares per radius, sentences, JSON, and its counter-examples on file."""

import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, final

import safetensors.torch
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from wellposed.data import is_picture, png
from wellposed.errors import require
from wellposed.perturb import Spent, Suspicions
from wellposed.runs import atomic_write
from wellposed.stats import clopper_pearson

_LEVEL = 0.95  # of the interval of which each bound takes its own end: 97.5 % each
_PICTURES = 100
_LARGEST = 128
_SYMBOLS = {"linf": "inf", "l2": "2", "l1": "1"}


@final
@dataclass(frozen=True, eq=False)
class Bracket:
    """certified <= robust accuracy <= attacked, per radius, on some examples.

    Args:
        norm: "linf", "l2" or "l1".
        radii: Ascending, in the units of the inputs.
        bounds: Least and greatest value of an input.
        inputs: Shape (n, ...).
        labels: Shape (n,).
        clean: Which are right as they are, shape (n,).
        examples: The worst points found at each radius, shape of the inputs.
        broken: Which have a counter-example, shape (radii, n).
        proven: Which are certified, shape (radii, n).
        methods: Which methods certified any.
        reason: Why nothing is proven; empty if certificates were looked for.
        budget: Of the attacks.
        spent: By them, in their order.
        rows: Rows that the certificates took back through the network.
        crossed: Broken examples that were tried to certify, all in vain.
        suspicions: What speaks for a weak attack.
        seed: Of the attacks.
        ids_sha256: Fingerprint of the set of examples, in whatever order.
        subject: What was examined, in words.
    """

    norm: str
    radii: tuple[float, ...]
    bounds: tuple[float, float]
    inputs: Float[Tensor, "n ..."]
    labels: Int[Tensor, " n"]
    clean: Bool[Tensor, " n"]
    examples: tuple[Float[Tensor, "n ..."], ...]
    broken: Bool[Tensor, "radii n"]
    proven: Bool[Tensor, "radii n"]
    methods: tuple[str, ...]
    reason: str
    budget: str
    spent: tuple[Spent, ...]
    rows: int
    crossed: int
    suspicions: Suspicions | None
    seed: int
    ids_sha256: str
    subject: str

    @property
    def n(self) -> int:
        """How many examples."""
        return len(self.labels)

    @property
    def accuracy(self) -> float:
        """Of the inputs as they are."""
        return float(self.clean.double().mean())

    @property
    def lower(self) -> tuple[float, ...]:
        """Proven share at each radius."""
        return tuple(self.proven.double().mean(1).tolist())

    @property
    def upper(self) -> tuple[float, ...]:
        """Share without a counter-example at each radius."""
        return tuple((~self.broken).double().mean(1).tolist())

    @property
    def violations(self) -> int:
        """Examples that are both proven and broken: 0, or something is wrong."""
        return int((self.proven & self.broken).sum())

    @property
    def suspected(self) -> bool:
        """Whether the attack may be weak."""
        return self.suspicions is not None and len(self.suspicions.raised) > 0

    def population(self, number: int) -> tuple[float, float]:
        """An interval for robust accuracy of the population at a radius.

        From the lower end for the proven share to the upper end for the share without a
        counter-example, each by Clopper and Pearson at 97.5 %: together at least 95 %, if the
        examples were drawn at random.

        Args:
            number: Of the radius.
        """
        proven = int(self.proven[number].sum())
        left = int((~self.broken[number]).sum())
        low, _ = clopper_pearson(proven, self.n, _LEVEL)
        _, high = clopper_pearson(left, self.n, _LEVEL)
        return low, high

    def statement(self) -> str:
        """What is known, in sentences: a line per radius, and the flags."""
        lines = [self._sentence(k) for k in range(len(self.radii))]
        if self.reason:
            lines.append(f"Nothing is proven: {self.reason}.")
        if self.suspected and self.suspicions is not None:
            raised = ", ".join(name.replace("_", " ") for name in self.suspicions.raised)
            lines.append(f"Weak attack suspected ({raised}): the upper ends may be far too high.")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """All of it but the tensors, ready for JSON."""
        return {
            "norm": self.norm,
            "bounds": list(self.bounds),
            "n": self.n,
            "ids_sha256": self.ids_sha256,
            "clean": self.accuracy,
            "violations": self.violations,
            "crossed": self.crossed,
            "suspected": self.suspected,
            "flags": None if self.suspicions is None else self.suspicions.to_dict(),
            "radii": [self._at(k) for k in range(len(self.radii))],
            "rungs": [
                {
                    "eps": s.eps, "attack": s.attack, "tried": s.tried, "broke": s.broke,
                    "gradients": s.gradients, "forwards": s.forwards,
                }
                for s in self.spent
            ],
            "subject": self.subject,
            "tool": f"wellposed {version('wellposed')}",
        }  # fmt: skip

    def save(self, folder: Path) -> Path:
        """Write statement.txt, bracket.json, counterexamples.safetensors, and pictures.

        A counter-example is kept at the smallest radius that has one: tensors `examples`,
        `inputs`, `labels`, `index` (its number among the examples) and `eps`, which is 0 where
        the input itself is misclassified. Of the first hundred, there are PNG files where inputs
        are pictures: the input beside the counter-example.

        Args:
            folder: Created if there is none.
        """
        folder.mkdir(parents=True, exist_ok=True)
        tensors = self.counterexamples()
        said = {"ids_sha256": self.ids_sha256, "norm": self.norm}
        about = {"bracket": json.dumps(said)}  # one entry: safetensors puts several in any order
        atomic_write(folder / "counterexamples.safetensors", safetensors.torch.save(tensors, about))
        if is_picture(tuple(self.inputs.shape[1:])):
            for old in folder.glob("counterexample-*.png"):
                old.unlink()
            pairs = zip(
                tensors["index"].tolist(), tensors["inputs"], tensors["examples"], strict=True
            )
            for number, before, after in list(pairs)[:_PICTURES]:
                both = torch.cat([before, after], 2)
                name = f"counterexample-{number:05d}.png"
                atomic_write(folder / name, png(both, *self.bounds, largest=2 * _LARGEST))
        atomic_write(folder / "statement.txt", (self.statement() + "\n").encode())
        text = json.dumps(self.to_dict(), indent=1)
        atomic_write(folder / "bracket.json", (text + "\n").encode())
        return folder

    def counterexamples(self) -> dict[str, Tensor]:
        """What broke, each at the smallest radius that has a counter-example."""
        ever = self.broken.any(0)
        first = self.broken.int().argmax(0)
        index = ever.nonzero().flatten()
        own = self.inputs[index].clone()
        points = (
            torch.stack([self.examples[int(first[i])][i] for i in index]) if len(index) else own
        )
        eps = torch.tensor(self.radii, dtype=torch.float64)[first[index]]
        wrong = ~self.clean[index]
        points[wrong] = own[wrong]
        eps[wrong] = 0.0
        return {
            "index": index, "eps": eps, "labels": self.labels[index].clone(),
            "inputs": own, "examples": points.contiguous(),
        }  # fmt: skip

    def _sentence(self, k: int) -> str:
        low, high = 100 * self.lower[k], 100 * self.upper[k]
        ends = [100 * end for end in self.population(k)]
        a, b = self.bounds
        return (
            f"On these {self.n:,} examples and every perturbation with |d|_{_SYMBOLS[self.norm]} "
            f"<= {self.radii[k]:g} inside [{a:g}, {b:g}], between {low:.1f} % and {high:.1f} % "
            f"keep their right label (clean {100 * self.accuracy:.1f} %): {low:.1f} % is proven, "
            f"{100 - high:.1f} % has a counter-example, {high - low:.1f} % is undecided; "
            f"of the population between {ends[0]:.1f} % and {ends[1]:.1f} %."
        )

    def _at(self, k: int) -> dict[str, Any]:
        eps = self.radii[k]
        mine = [s for s in self.spent if s.eps == eps]
        arithmetic = "float64, outward, for the program that runs"
        lower = {
            "value": self.lower[k], "methods": list(self.methods), "arithmetic": arithmetic,
            "probabilistic": False, "reason": self.reason,
        }  # fmt: skip
        upper = {
            "value": self.upper[k], "method": f"ladder-{self.budget}",
            "gradients": sum(s.gradients for s in mine), "forwards": sum(s.forwards for s in mine),
            "seeds": [self.seed],
            "label": "weak attack suspected" if self.suspected else "",
        }  # fmt: skip
        return {
            "eps": eps,
            "lower": lower,
            "upper": upper,
            "undecided": self.upper[k] - self.lower[k],
            "population95": list(self.population(k)),
            "text": self._sentence(k),
        }

    def __post_init__(self) -> None:
        require(
            self.violations == 0,
            f"{self.violations} examples are both proven and broken: nothing here can be trusted",
        )
