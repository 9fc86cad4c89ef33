"""Reads an exported graph, operator after operator."""

from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor, fx

from wellposed.certify._operation import Operation, Shape
from wellposed.errors import ArgumentError

Operator = Callable[["Reader", fx.Node], None]

_AT_THE_END = (
    "which has no bounds here; if it is the last, certify the network that returns its argument, "
    "whose largest entry is the same"
)
_WHY = {
    "softmax": _AT_THE_END,
    "log_softmax": _AT_THE_END,
    "wrap_with_autocast": "which computes in another precision: certify the network without it",
}


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
        self.batch = batch
        self._read: dict[fx.Node, None] = {}

    def begin(self, node: fx.Node, operation: Operation) -> None:
        """Take the network's input."""
        self._read[node] = None
        self._keep(node, operation, "input")

    def read(self, node: fx.Node) -> None:
        """Take one operator.

        Raises `ArgumentError` if it has no bounds here.
        """
        self._read[node] = None
        name = name_of(node)
        if node.op == "get_attr":
            return  # a part of the graph, which what runs it is refused with
        if not node.users and not name.endswith("_"):
            return  # an assertion, or a branch that nobody reads
        reader = self._operators.get(name.rstrip("_"))
        sources = [source for source in node.all_input_nodes if source in self.numbers]
        if not sources:
            if _random(node):
                raise self.refused(node, "which gives other numbers each time, even in eval mode")
            self._constant(node)
            return
        if reader is None:
            raise self.refused(node, _WHY.get(name, "which has no bounds here"))
        reader(self, node)
        if name.endswith("_"):
            self._overwrite(node)

    def refused(self, node: fx.Node, why: str) -> ArgumentError:
        """The sentence that names the operator and its module."""
        stack = node.meta.get("nn_module_stack") or {}
        path, kind = (list(stack.values()) or [("", "the network")])[-1]
        kind = str(kind).rsplit(".", 1)[-1]
        where = f"{kind} {path!r}" if path else kind
        return ArgumentError(
            f"{where} applies {name_of(node)}, {why}; certificates know dense and convolutional "
            "layers, the usual activations, pooling, batch norm in eval mode, sums, products, "
            "concatenation, resizing, and values that are only moved"
        )

    def number(self, argument: Any) -> int | None:
        """Of the operation that an argument is the value of; None for a constant."""
        return self.numbers.get(argument) if isinstance(argument, fx.Node) else None

    def source(self, node: fx.Node, argument: Any = None) -> int:
        """Of the operation that an argument, the first one if none is given, is the value of.

        Raises `ArgumentError` if it is a constant, while another argument depends on the input.
        """
        number = self.number(node.args[0] if argument is None else argument)
        if number is None:
            raise self.refused(node, "with a weight that depends on the input")
        return number

    def function(
        self,
        node: fx.Node,
        change: Callable[[Tensor], Tensor] = lambda tensor: tensor,
        instead: dict[str, Any] | None = None,
    ) -> Callable[[Tensor], Any]:
        """The operator as a function of the one argument that depends on the input.

        Args:
            node: Of the operator.
            change: Of the constant tensors among its arguments.
            instead: Arguments by name, to be taken instead of the node's.
        """
        sources = {number for source in node.all_input_nodes if (number := self.number(source))
                   is not None}  # fmt: skip
        if len(sources) != 1:
            raise self.refused(node, "of two values that depend on the input")
        arguments = {**arguments_of(node), **(instead or {})}
        target: Any = node.target

        def call(value: Tensor) -> Any:
            def known(argument: fx.Node) -> Tensor:
                if argument in self.numbers:
                    return value
                constant = self._constants.get(argument)
                tensor = self._tensors[argument.name] if constant is None else constant
                return change(tensor.to(value)) if tensor.is_floating_point() else tensor

            return target(**fx.node.map_arg(arguments, known))

        return call

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
        value = node.meta["val"]
        first = value if isinstance(value, Tensor) else value[0]
        full = tuple(int(side) for side in first.shape)
        if not full or full[0] != self.batch:
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

    def _overwrite(self, node: fx.Node) -> None:
        """In place: all names of what was overwritten now mean the result.

        Raises `ArgumentError` if another value that is still read shares memory with it.
        """
        target = node.args[0]
        assert isinstance(target, fx.Node)
        if target not in self.numbers:
            raise self.refused(node, "on a constant, which it overwrites")
        memory, place = _memory(target)
        for other in self._read:
            if other not in self.numbers or _memory(other)[0] != memory:
                continue
            if other is target or _memory(other) == (memory, place):
                self.numbers[other] = self.numbers[node]
            elif any(user not in self._read for user in other.users):
                raise self.refused(node, "which writes into a part of a value that is read later")

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


def _memory(node: fx.Node) -> tuple[int, tuple[int, ...]]:
    """Which memory a value lies in, and where in it; -1 for none of its own."""
    value = node.meta.get("val")
    if not isinstance(value, Tensor):
        return -1, ()
    where = (value.storage_offset(), *value.shape, *value.stride())
    return value.untyped_storage()._cdata, where


def _random(node: fx.Node) -> bool:
    """Whether an operator draws random numbers; a dropout does so while it trains."""
    tags = getattr(node.target, "tags", ())
    drawn = torch.Tag.nondeterministic_seeded in tags
    return drawn and bool(arguments_of(node).get("train", True))


def arguments_of(node: fx.Node) -> dict[str, Any]:
    """All arguments by name, with defaults."""
    schema = node.target._schema  # type: ignore[union-attr]
    given = dict(zip((a.name for a in schema.arguments), node.args, strict=False))
    defaults = {a.name: a.default_value for a in schema.arguments}
    return {**defaults, **given, **node.kwargs}


def name_of(node: fx.Node) -> str:
    """Of an operator, as torch calls it: `conv2d`, `relu_`."""
    schema = getattr(node.target, "_schema", None)
    return schema.name.removeprefix("aten::") if schema else getattr(node.target, "__name__", "?")
