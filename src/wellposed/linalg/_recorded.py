"""A linear map recorded once: what does not depend on its vector is computed and kept."""

import warnings
from collections.abc import Callable, Iterator, Sequence
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
    needs is kept, so that a product costs about a gradient. A recording serves every batch that is
    `alike`; where the function looks at numbers, each gets one of its own.

    Args:
        directional: (vectors, point, data) -> list of tensors, linear in the vectors.
        vectors: The first ones.
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
        point, data = ([t.detach() for t in ts] for ts in (point, data))
        vectors = [v.detach().clone() for v in vectors]  # of parts of one each would be copied

        def flat(*tensors: Tensor) -> Any:
            return directional(tensors[:count], tensors[count : 2 * count], tensors[2 * count :])

        recorder = _Recorder(vectors, [*point, *data])
        with warnings.catch_warnings(), recorder:
            warnings.simplefilter("ignore")
            found = functionalize(flat)(*vectors, *point, *data)
        self._reusable = recorder.reusable
        self._fixed, self._varying, constants = recorder.finished(found)
        self.here = Recorded(self._varying, constants)

    def at(self, point: Sequence[Tensor], data: Sequence[Tensor]) -> "Recorded":
        """The linear map at this point, for data that are `alike`.

        Cost: about one gradient.
        """
        if self._reusable:
            with torch.no_grad():
                zeros, constants = self._fixed(*point, *data)
            if not any(bool(z.any()) for z in zeros):
                return Recorded(self._varying, constants)
        return Recording(*self._again, point, data).here


def alike(data: Sequence[Tensor]) -> object:
    """What is the same of all data that one recording serves."""
    return tuple((d.shape, d.dtype, d.stride()) for d in data)


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
_BILINEAR = {
    torch.ops.aten.mul.Tensor,
    torch.ops.aten.mm.default,
    torch.ops.aten.bmm.default,
    torch.ops.aten.convolution.default,
}
_ALIASES = {torch.ops.aten.alias.default, torch.ops.aten.detach.default}


class _Recorder(TorchDispatchMode):
    """Writes operations down apart: those that depend on some tensors, and the others.

    Attributes:
        reusable: Whether the operations are the same for other numbers.
        zeros: Tensors that have to be zero then too, as what they would be added to or multiplied
            with was left out.
    """

    def __init__(self, vectors: Sequence[Tensor], others: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.reusable = True
        self.zeros: list[Tensor] = []
        self._varying, self._fixed = _Written(vectors), _Written(others)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch.ops.aten._efficientzerotensor.default:
            func = torch.ops.aten.zeros.default  # some operations in a mode crash on the former
        found = func(*args, **kwargs)
        if args and found is args[0] and not func._schema.is_mutable:
            return found  # a constant made on the way
        unforeseen = func._schema.is_mutable or not _UNFORESEEN.isdisjoint(func.tags)
        if not self._varying.knows((args, kwargs)):
            self.reusable &= not unforeseen
            self._fixed.write(func, args, kwargs, found)
        elif func in _ZEROS or self._vanishes(func, args, found):
            given = {"dtype": found.dtype, "device": found.device}
            self._fixed.write(torch.ops.aten.zeros.default, (list(found.shape),), given, found)
        elif unforeseen:
            raise RuntimeError(f"{func} of what depends on the vector cannot be recorded")
        elif (same := self._summand(func, args, kwargs, found)) is not None:
            self._varying.write(torch.ops.aten.alias.default, (same,), {}, found)
        else:
            self._varying.write(func, args, kwargs, found)
        return found

    def finished(
        self, found: Sequence[Tensor]
    ) -> tuple[fx.GraphModule, fx.GraphModule, list[Tensor]]:
        """(others -> zeros and constants, vectors and constants -> value, constants)."""
        steps, loose = self._varying.needed(found)
        fixed = _Graph("x", self._fixed.arguments)
        before, constants = self._fixed.needed([*self.zeros, *loose])
        fixed.keep(constants)
        fixed.write(self._fixed, before)
        first = {fixed.nodes[id(t)]: t for t in reversed(loose)}  # of equal ones one
        names = {node: f"c{number}" for number, node in enumerate(first)}
        kept = list(first.values())
        varying = _Graph("v", self._varying.arguments)
        varying.take({id(t): names[fixed.nodes[id(t)]] for t in [*kept, *loose]})
        varying.write(self._varying, steps)
        zeros = list({fixed.nodes[id(z)]: z for z in self.zeros}.values())
        return fixed.module([zeros, kept]), varying.module(list(found)), kept

    def _summand(self, func: Any, args: tuple[Any, ...], kwargs: Any, found: Any) -> Tensor | None:
        """What is added to zeros, so that it is the sum."""
        if func is not torch.ops.aten.add.Tensor or kwargs:
            return None
        for one, other in (args, args[::-1]):
            if isinstance(other, Tensor) and alike([other]) == alike([found]) and self._zero(one):
                return other
        return None

    def _vanishes(self, func: Any, args: tuple[Any, ...], found: Any) -> bool:
        """Whether a factor is zeros, and the others are finite; a bias is no factor."""
        return (
            func in _BILINEAR
            and args[2:3] in ((), (None,))
            and not bool(found.any())
            and any(map(self._zero, args[:2]))
        )

    def _zero(self, value: Any) -> bool:
        """Whether it is a tensor of zeros that does not vary."""
        if not isinstance(value, Tensor) or self._varying.knows(value) or bool(value.any()):
            return False
        self.zeros.append(value)
        return True


class _Written:
    """Operations in their order, and the tensors that they made."""

    def __init__(self, arguments: Sequence[Tensor]) -> None:
        self.arguments = list(arguments)
        self.steps: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []
        self._known = {id(a) for a in arguments}

    def knows(self, value: Any) -> bool:
        """Whether one of these tensors is given or was made."""
        return any(id(tensor) in self._known for tensor in _tensors(value))

    def write(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], found: Any) -> None:
        """One operation; all tensors live on, so that an id is that of one tensor."""
        self._known.update(map(id, _tensors(found)))
        self.steps.append((func, args, kwargs, found))

    def needed(self, tensors: Sequence[Tensor]) -> tuple[list[int], list[Tensor]]:
        """Numbers of the steps that lead to these tensors, and tensors from elsewhere."""
        wanted = {id(tensor): tensor for tensor in tensors}
        numbers = []
        for number in reversed(range(len(self.steps))):
            _, args, kwargs, found = self.steps[number]
            if any(id(tensor) in wanted for tensor in _tensors(found)):
                numbers.append(number)
                wanted.update((id(tensor), tensor) for tensor in _tensors((args, kwargs)))
        return numbers[::-1], [t for key, t in wanted.items() if key not in self._known]


class _Graph:
    """Written operations as a module, each once.

    Args:
        prefix: Of the names of the arguments.
        arguments: Tensors that are given.

    Attributes:
        nodes: Of tensors, by their ids.
    """

    def __init__(self, prefix: str, arguments: Sequence[Tensor]) -> None:
        self._graph, self._root = fx.Graph(), nn.Module()
        self._same: dict[Any, fx.Node] = {}
        self.nodes: dict[int, fx.Node] = {}
        self.take({id(tensor): f"{prefix}{number}" for number, tensor in enumerate(arguments)})

    def take(self, names: dict[int, str]) -> None:
        """More arguments, by the ids of their tensors; the same name is the same argument."""
        given = {name: self._graph.placeholder(name) for name in dict.fromkeys(names.values())}
        self.nodes |= {key: given[name] for key, name in names.items()}

    def keep(self, constants: Sequence[Tensor]) -> None:
        """Tensors that are the module's own."""
        for number, tensor in enumerate(constants):
            self._root.register_buffer(f"constant{number}", tensor)
            self.nodes[id(tensor)] = self._graph.get_attr(f"constant{number}")

    def write(self, written: _Written, numbers: Sequence[int]) -> None:
        """These steps, and what they made."""
        for func, args, kwargs, found in (written.steps[number] for number in numbers):
            if func in _ALIASES:
                self.nodes[id(found)] = self.nodes[id(args[0])]
                continue
            node = self._called(func, self._placed(args), self._placed(kwargs))
            if isinstance(found, Tensor):
                self.nodes[id(found)] = node
                continue
            for place, part in enumerate(found):
                if isinstance(part, Tensor):
                    self.nodes[id(part)] = self._called(getitem, (node, place), {})

    def module(self, found: Any) -> fx.GraphModule:
        """Arguments -> these tensors, in the same lists."""
        self._graph.output(self._placed(found))
        return fx.GraphModule(self._root, self._graph)

    def _called(self, func: Any, args: Any, kwargs: Any) -> fx.Node:
        if torch.Tag.nondeterministic_seeded in getattr(func, "tags", ()):  # two draws are two
            return self._graph.call_function(func, args, kwargs)
        key = (func, str(args), str(kwargs))
        if key not in self._same:
            self._same[key] = self._graph.call_function(func, args, kwargs)
        return self._same[key]

    def _placed(self, value: Any) -> Any:
        """The same with nodes for tensors."""
        if isinstance(value, Tensor):
            return self.nodes[id(value)]
        if isinstance(value, dict):
            return {key: self._placed(part) for key, part in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self._placed(part) for part in value)
        return value


def _tensors(value: Any) -> Iterator[Tensor]:
    """All tensors in lists, tuples and dictionaries."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _tensors(part)
    elif isinstance(value, dict):
        yield from _tensors(tuple(value.values()))
