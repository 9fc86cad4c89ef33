"""Reads an exported graph, operator after operator."""

from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor, fx

from wellposed.certify._operation import Operation, Shape
from wellposed.errors import ArgumentError

Operator = Callable[["Reader", fx.Node], None]


@final
class Reader:
    """Reads nodes in their order.

    Args:
        tensors: Parameters, buffers and constants by the name of their node.
        batch: Length of the first axis in the exported graph.
        operators: What reads each operator, by its name.
    """

    def __init__(
        self, tensors: dict[str, Tensor], batch: int, operators: dict[str, "Operator"]
    ) -> None:
        self._operators = operators
        self.operations: list[Operation] = []
        self.names: list[str] = []
        self.numbers: dict[fx.Node, int] = {}
        self._tensors = tensors
        self._constants: dict[fx.Node, Tensor] = {}
        self._batch = batch

    def begin(self, node: fx.Node, operation: Operation) -> None:
        """Take the network's input."""
        self._keep(node, operation, "input")

    def read(self, node: fx.Node) -> None:
        """Take one operator.

        Raises `ArgumentError` if it has no bounds here.
        """
        name = name_of(node)
        reader = self._operators.get(name.rstrip("_"))
        sources = [source for source in node.all_input_nodes if source in self.numbers]
        if not sources:
            self._constant(node)
            return
        if reader is None:
            raise self.refused(node, "which has no bounds here")
        reader(self, node)
        if name.endswith("_"):  # in place: the name of the argument now means the result
            target = node.args[0]
            assert isinstance(target, fx.Node)
            self.numbers[target] = self.numbers[node]

    def refused(self, node: fx.Node, why: str) -> ArgumentError:
        """The sentence that names the operator and its module."""
        stack = node.meta.get("nn_module_stack") or {}
        path, kind = (list(stack.values()) or [("", "the network")])[-1]
        kind = str(kind).rsplit(".", 1)[-1]
        where = f"{kind} {path!r}" if path else kind
        return ArgumentError(
            f"{where} applies {name_of(node)}, {why}; certificates know dense and convolutional "
            "layers, ReLU, leaky ReLU, tanh, sigmoid, pooling, batch norm in eval mode, sums, "
            "concatenation of channels, constant factors and offsets, flatten and reshape"
        )

    def number(self, argument: Any) -> int | None:
        """Of the operation that an argument is the value of; None for a constant."""
        return self.numbers.get(argument) if isinstance(argument, fx.Node) else None

    def tensor(self, argument: Any) -> Tensor | None:
        """A constant argument in float64; None where the argument is None."""
        if argument is None:
            return None
        if isinstance(argument, (int, float)):
            return torch.tensor(float(argument), dtype=torch.float64)
        if argument in self._constants:
            return self._constants[argument].double()
        return self._tensors[argument.name].double()

    def shape(self, node: fx.Node) -> Shape:
        """Of a node's value for one example."""
        full = tuple(int(side) for side in node.meta["val"].shape)
        if not full or full[0] != self._batch:
            raise self.refused(node, f"whose value of shape {full} is not a batch of examples")
        return full[1:]

    def keep(self, node: fx.Node, operation: Operation) -> None:
        """Add the operation of a node."""
        stack = node.meta.get("nn_module_stack") or {}
        path = (list(stack.values()) or [("", "")])[-1][0]
        self._keep(node, operation, f"{name_of(node)} {path}".strip())

    def add(self, operation: Operation) -> int:
        """Add an operation that is only part of a node's."""
        self.operations.append(operation)
        self.names.append("")
        return len(self.operations) - 1

    def same(self, node: fx.Node) -> None:
        """The node is its argument."""
        number = self.number(node.args[0])
        assert number is not None
        self.numbers[node] = number

    def _keep(self, node: fx.Node, operation: Operation, name: str) -> None:
        self.operations.append(operation)
        self.names.append(name)
        self.numbers[node] = len(self.operations) - 1

    def _constant(self, node: fx.Node) -> None:
        """Compute what does not depend on the input."""

        def value(argument: fx.Node) -> Tensor:
            if argument in self._constants:
                return self._constants[argument]
            return self._tensors[argument.name]

        try:
            arguments = fx.node.map_arg((node.args, node.kwargs), value)
            self._constants[node] = node.target(*arguments[0], **arguments[1])  # type: ignore[operator]
        except KeyError as error:
            raise self.refused(node, "on something that is no parameter") from error


def name_of(node: fx.Node) -> str:
    """Of an operator, as torch calls it: `conv2d`, `relu_`."""
    schema = getattr(node.target, "_schema", None)
    return schema.name.removeprefix("aten::") if schema else getattr(node.target, "__name__", "?")
