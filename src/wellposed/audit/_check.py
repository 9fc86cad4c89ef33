"""A check: a function from the subject to a finding, with what it asks and what it costs."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, final, get_args

from wellposed.audit._subject import Subject
from wellposed.errors import UnknownNameError
from wellposed.runs import Finding

Budget = Literal["quick", "standard", "deep"]
"""How much an audit may spend."""

BUDGETS: tuple[Budget, ...] = get_args(Budget)

Settings: TypeAlias = Mapping[str, Any]


def forward(examples: float) -> int:
    """The cost of that many forward passes, in gradient evaluations of one example: a third."""
    return round(examples / 3)


def forward_over(subject: Subject, parts: Iterable[str], examples: int | None) -> int:
    """The cost of a forward pass over at most that many examples of each part there is."""
    sizes = [len(subject.parts[part]) for part in set(parts) & set(subject.parts)]
    return forward(sum(size if examples is None else min(size, examples) for size in sizes))


def at_hand(subject: Subject, examples: int) -> int:
    """As many of so many examples as the training part has, or the part judged if it is alone."""
    return min(
        examples, len(subject.parts["train" if "train" in subject.parts else subject.judged])
    )


def nothing(*_: Any, **__: Any) -> dict[Hashable, int]:
    """No work that is shared."""
    return {}


@final
@dataclass(frozen=True, slots=True)
class Check:
    """A check as an audit runs it; its file ends with one, called CHECK.

    Args:
        run: (subject, **settings) -> finding; its name is the check's. It raises `ArgumentError`
            with one sentence where it cannot run.
        family: The group it belongs to; `--only` takes it too.
        question: What it answers, as one question.
        cost: (subject, **settings) -> gradient evaluations of one example that it will spend, a
            forward pass counting as a third, without what it shares.
        settings: Keyword arguments of `run` by budget; a budget that is missing leaves it out.
        weights: Whether it looks at the network, which then must have finite weights.
        shared: (subject, **settings) -> the gradient evaluations of work that the subject keeps for
            other checks, by a key of that work: whichever comes first does it.
        batch: Examples in one call, by which the time of a call is measured; 0 for those of the
            subject.
    """

    run: Callable[..., Finding]
    family: str
    question: str
    cost: Callable[..., int]
    settings: Mapping[Budget, Settings]
    weights: bool = True
    shared: Callable[..., Mapping[Hashable, int]] = nothing
    batch: int = 0

    @property
    def name(self) -> str:
        """The name of the function that runs it."""
        return self.run.__name__.strip("_").replace("_", "-")

    def gradients(self, subject: Subject, budget: Budget, done: set[Hashable] | None = None) -> int:
        """What it will cost at a budget, in gradient evaluations of one example.

        Args:
            subject: What is examined.
            budget: How much may be spent; 0 is, at one that leaves the check out.
            done: Keys of shared work that is done already, to which those of the check are added;
                None if nothing is.
        """
        if budget not in self.settings:
            return 0
        done = set() if done is None else done
        own = int(self.cost(subject, **self.settings[budget]))
        parts = self.shared(subject, **self.settings[budget])
        first = [key for key in parts if key not in done]
        done.update(first)
        return own + sum(parts[key] for key in first)


def require_budget(budget: str) -> Budget:
    """The budget of that name.

    Raises:
        UnknownNameError: If there is none.
    """
    for known in BUDGETS:
        if budget == known:
            return known
    raise UnknownNameError("budget", budget, BUDGETS)
