"""A network as a list of operations, each of which takes values of earlier ones."""

from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from wellposed.certify._operation import Affine, Operation, count


@final
@dataclass(frozen=True, eq=False)
class Graph:
    """A network in eval mode, its weights in float64.

    Args:
        operations: The first is the input, the last the output.
        names: Of each operation: what it is, and in which module it was met.
        dtype: In which the network itself computes.
    """

    operations: tuple[Operation, ...]
    names: tuple[str, ...]
    dtype: torch.dtype = torch.float32
    users: tuple[tuple[int, ...], ...] = field(init=False)
    """Of each operation the ones that take its value."""

    def __post_init__(self) -> None:
        users: list[list[int]] = [[] for _ in self.operations]
        for number, operation in enumerate(self.operations):
            for source in operation.inputs:
                users[source].append(number)
        object.__setattr__(self, "users", tuple(tuple(row) for row in users))

    @property
    def classes(self) -> int:
        """Of the output, a vector of logits; one logit stands for two classes."""
        return max(2, count(self.operations[-1].shape))

    @property
    def inputs(self) -> tuple[int, ...]:
        """Shape of one input."""
        return self.operations[0].shape

    def values(self, inputs: Tensor) -> list[Tensor]:
        """The value of each operation, in the type of the inputs."""
        values = [inputs]
        for operation in self.operations[1:]:
            values.append(operation.apply(*(values[source] for source in operation.inputs)))
        return values

    def __call__(self, inputs: Tensor) -> Tensor:
        """The output."""
        return self.values(inputs)[-1]

    def behind(self, number: int) -> set[int]:
        """All operations that a value is made of, without its own."""
        found: set[int] = set()
        waiting = list(self.operations[number].inputs)
        while waiting:
            one = waiting.pop()
            if one not in found:
                found.add(one)
                waiting += self.operations[one].inputs
        return found

    def bends(self, number: int) -> bool:
        """Whether a value enters an operation that is not affine, coming from one that is."""
        return isinstance(self.operations[number], Affine) and any(
            not isinstance(self.operations[user], Affine) for user in self.users[number]
        )
