"""A linear map recorded once: what does not depend on its vector is computed and kept."""

import warnings
from collections.abc import Callable, Sequence
from operator import getitem
from typing import Any, TypeAlias, final

import torch
from torch import Tensor, fx, nn
from torch.func import functionalize
from torch.utils._python_dispatch import TorchDispatchMode

Directional: TypeAlias = Callable[[Sequence[Tensor], Sequence[Tensor], Sequence[Tensor]], Any]
"""(vectors, point, data) -> list of tensors, linear in the vectors."""


@final
class Recording:
    r"""The operations of a function that is linear in its first argument.

    A product with a Hessian is a derivative of the gradient along v. Most of its operations are
    those of the gradient, which do not depend on v: they are carried out once, and what the rest
    needs is kept, so that a product costs about a gradient. A recording serves every batch of the
    same shapes; where the function looks at numbers, each gets one of its own.

    Args:
        directional: (vectors, point, data) -> list of tensors, linear in the vectors.
        vectors: The first ones, none of them an object that is another argument as well.
        point: Where to differentiate, one tensor per vector.
        data: The first data.

    Attributes:
        here: The linear map at this point, for these data.

    Cost: one value of the function, and some hundredths of a second. What cannot be recorded raises
    what torch raises.
    """

    def __init__(
        self,
        directional: Directional,
        vectors: Sequence[Tensor],
        point: Sequence[Tensor],
        data: Sequence[Tensor],
    ) -> None:
        self._again = (directional, vectors)
        count = len(point)

        def flat(*tensors: Tensor) -> Any:
            return directional(tensors[:count], tensors[count : 2 * count], tensors[2 * count :])

        recorder = _Recorder(vectors, [*point, *data])
        with warnings.catch_warnings(), recorder:
            warnings.simplefilter("ignore")
            found = functionalize(flat)(*vectors, *point, *data)
        self._reusable, self._zeros = recorder.reusable, len(recorder.zeros)
        self._fixed, self._varying, constants = recorder.finished(found)
        self.here = Recorded(self._varying, constants)

    def at(self, point: Sequence[Tensor], data: Sequence[Tensor]) -> "Recorded":
        """The linear map at this point, for data of the same shapes and types.

        Cost: about one gradient.
        """
        if self._reusable:
            with torch.no_grad():
                found = self._fixed(*point, *data)
            if not any(bool(zeros.any()) for zeros in found[: self._zeros]):
                return Recorded(self._varying, found[self._zeros :])
        return Recording(*self._again, point, data).here


@final
class Recorded:
    """A linear map with its constants.

    Args:
        module: (vectors, constants) -> list of tensors.
        constants: What it keeps.
    """

    def __init__(self, module: fx.GraphModule, constants: Sequence[Tensor]) -> None:
        self._module, self._constants = module, constants
        storages = [c.untyped_storage() for c in constants]
        self.bytes = sum({s.data_ptr(): s.nbytes() for s in storages}.values())

    def __call__(self, vectors: Sequence[Tensor]) -> list[Tensor]:
        """The map's value."""
        with torch.no_grad():
            return list(self._module(*vectors, *self._constants))


_ZEROS = {torch.ops.aten.zeros_like.default, torch.ops.aten.new_zeros.default}
"""Derivatives of what is piecewise linear: they look at a vector for its shape only."""

_UNFORESEEN = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
_ALIASES = {torch.ops.aten.alias.default, torch.ops.aten.detach.default}


class _Recorder(TorchDispatchMode):
    """Writes operations down in two graphs: those that depend on some tensors, and the others.

    Attributes:
        reusable: Whether the operations are the same for other numbers.
        zeros: Tensors that the second graph has to find zero, as they are left out of the first.
    """

    def __init__(self, vectors: Sequence[Tensor], others: Sequence[Tensor]) -> None:
        super().__init__()
        self.reusable = True
        self.zeros: list[Tensor] = []
        self._varying, self._fixed = _Written("v", vectors), _Written("x", others)
        self._kept: dict[int, tuple[fx.Node, Tensor]] = {}  # what the first takes of the second

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        found = func(*args, **kwargs)
        unforeseen = func._schema.is_mutable or not _UNFORESEEN.isdisjoint(func.tags)
        if not self._varying.knows((args, kwargs)):
            self.reusable &= not unforeseen
            self._fixed.write(func, args, kwargs, found, self._fixed.placed)
        elif func in _ZEROS:
            zeros = torch.ops.aten.zeros.default
            given = {"dtype": found.dtype, "device": found.device}
            self._fixed.write(zeros, (list(found.shape),), given, found, self._fixed.placed)
        elif unforeseen:
            raise RuntimeError(f"{func} of what depends on the vector cannot be recorded")
        elif (same := self._same(func, args, kwargs, found)) is not None:
            self._varying.keep(found, self._varying.placed(same))
        else:
            self._varying.write(func, args, kwargs, found, self._placed)
        return found

    def finished(
        self, found: Sequence[Tensor]
    ) -> tuple[fx.GraphModule, fx.GraphModule, list[Tensor]]:
        """(others -> zeros and constants, vectors and constants -> value, constants)."""
        varying = self._varying.module([self._placed(f) for f in found])
        constants = [tensor for _, tensor in self._kept.values()]
        fixed = self._fixed.module([self._fixed.placed(c) for c in [*self.zeros, *constants]])
        return fixed, varying, constants

    def _placed(self, value: Tensor) -> fx.Node:
        """The node of the first graph; what does not vary is handed to it."""
        if self._varying.knows(value):
            return self._varying.placed(value)
        if id(value) not in self._kept:
            self._fixed.placed(value)  # there it lives on
            self._kept[id(value)] = self._varying.argument(f"c{len(self._kept)}"), value
        return self._kept[id(value)][0]

    def _same(self, func: Any, args: tuple[Any, ...], kwargs: Any, found: Any) -> Tensor | None:
        """What the operation hands on as it is: by an alias, or added to zeros."""
        if func in _ALIASES:
            same: Tensor = args[0]
            return same
        if func is not torch.ops.aten.add.Tensor or kwargs:
            return None
        for one, other in (args, args[::-1]):
            if (
                isinstance(one, Tensor)
                and isinstance(other, Tensor)
                and not self._varying.knows(one)
                and (other.shape, other.dtype) == (found.shape, found.dtype)
                and not bool(one.any())
            ):
                self.zeros.append(one)
                return other
        return None


class _Written:
    """A graph, and the nodes of the tensors that it knows."""

    def __init__(self, prefix: str, arguments: Sequence[Tensor]) -> None:
        self._graph, self._root = fx.Graph(), nn.Module()
        self._nodes: dict[int, fx.Node] = {}
        self._alive: list[Tensor] = []  # an id is a tensor's for as long as it lives
        for number, tensor in enumerate(arguments):
            self.keep(tensor, self._graph.placeholder(f"{prefix}{number}"))
        self._last = next(reversed(self._graph.nodes))

    def knows(self, value: Any) -> bool:
        """Whether one of these tensors is in the graph."""
        if isinstance(value, Tensor):
            return id(value) in self._nodes
        if isinstance(value, dict):
            return any(map(self.knows, value.values()))
        return isinstance(value, list | tuple) and any(map(self.knows, value))

    def keep(self, tensor: Tensor, node: fx.Node) -> None:
        """From now on this tensor is this node."""
        self._alive.append(tensor)
        self._nodes[id(tensor)] = node

    def argument(self, name: str) -> fx.Node:
        """One more, behind the others."""
        with self._graph.inserting_after(self._last):
            self._last = self._graph.placeholder(name)
        return self._last

    def placed(self, value: Tensor) -> fx.Node:
        """The tensor's node; one that came from nowhere becomes a constant."""
        if id(value) not in self._nodes:
            name = f"constant{len(self._nodes)}"
            self._root.register_buffer(name, value)
            self.keep(value, self._graph.get_attr(name))
        return self._nodes[id(value)]

    def write(
        self, func: Any, args: Any, kwargs: Any, found: Any, placed: Callable[[Tensor], fx.Node]
    ) -> None:
        """One operation."""
        node = self._graph.call_function(func, _mapped(args, placed), _mapped(kwargs, placed))
        for number, part in enumerate(found if isinstance(found, list | tuple) else [found]):
            if part is found and isinstance(part, Tensor):
                self.keep(part, node)
            elif isinstance(part, Tensor):
                self.keep(part, self._graph.call_function(getitem, (node, number)))

    def module(self, found: list[fx.Node]) -> fx.GraphModule:
        """Arguments -> these nodes; what they do not need is left out."""
        self._graph.output(found)
        self._graph.eliminate_dead_code()
        return fx.GraphModule(self._root, self._graph)  # with those constants that are used


def _mapped(value: Any, placed: Callable[[Tensor], fx.Node]) -> Any:
    if isinstance(value, Tensor):
        return placed(value)
    if isinstance(value, dict):
        return {key: _mapped(part, placed) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_mapped(part, placed) for part in value)
    return value
