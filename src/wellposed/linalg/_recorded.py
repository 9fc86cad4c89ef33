"""A linear map recorded once: what does not depend on its vector is computed and kept."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, final

import torch
from torch import Tensor, fx
from torch.func import functionalize
from torch.fx.experimental.proxy_tensor import make_fx

Directional: TypeAlias = Callable[[Sequence[Tensor], Sequence[Tensor], Sequence[Tensor]], Any]
"""(vectors, point, data) -> list of tensors, linear in the vectors."""


@final
class Recording:
    r"""The operations of a function that is linear in its first argument.

    A product with a Hessian is a derivative of the gradient along v. Most of its operations are
    those of the gradient, which do not depend on v: `at` carries them out once and keeps what the
    rest needs, so that a product costs about a gradient. The recording itself is made without
    numbers, and serves every batch of the same shapes.

    Args:
        directional: (vectors, point, data) -> list of tensors, linear in the vectors; of
            operations that torch can record, and whose choice does not depend on numbers.
        point: Where to differentiate, one tensor per vector.
        data: Tensors of the shapes that `at` will get.

    Cost: some tenths of a second. What cannot be recorded raises what torch raises.
    """

    def __init__(
        self, directional: Directional, point: Sequence[Tensor], data: Sequence[Tensor]
    ) -> None:
        count = len(point)

        def flat(*tensors: Tensor) -> Any:
            return directional(tensors[:count], tensors[count : 2 * count], tensors[2 * count :])

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            record = make_fx(functionalize(flat), None, "fake", _allow_non_fake_inputs=True)
            vectors = [torch.zeros_like(p) for p in point]  # the recorder tells tensors by identity
            found = record(*vectors, *point, *data)
        found.graph.eliminate_dead_code()
        self._module, self._count = found, count

    def at(self, point: Sequence[Tensor], data: Sequence[Tensor]) -> "Recorded":
        """The linear map at this point, for these data."""
        partition = _Partition(self._module, self._count)
        return Recorded(*partition.split([*point, *data]))


@final
class Recorded:
    """A linear map with its constants.

    Args:
        module: vectors -> list of tensors.
        constants: What it keeps.
    """

    def __init__(self, module: fx.GraphModule, constants: Sequence[Tensor]) -> None:
        self._module = module
        kept = {c.untyped_storage().data_ptr(): c.untyped_storage().nbytes() for c in constants}
        self.bytes = sum(kept.values())

    def __call__(self, vectors: Sequence[Tensor]) -> list[Tensor]:
        """The map's value."""
        with torch.no_grad():
            return list(self._module(*vectors))


_ZEROS = {torch.ops.aten.zeros_like.default, torch.ops.aten.new_zeros.default}
"""Derivatives of what is piecewise linear: they look at a vector for its shape only."""


class _Partition:
    """Divides a graph into what depends on its first inputs, and the values of all the rest."""

    def __init__(self, module: fx.GraphModule, count: int) -> None:
        self.source = module
        inputs = [n for n in module.graph.nodes if n.op == "placeholder"]
        self.vectors, self.rest = inputs[:count], inputs[count:]
        self.values: dict[fx.Node, Any] = {}
        self.made: dict[fx.Node, Any] = {}
        self.constants: dict[str, Tensor] = {}
        self.graph = fx.Graph()

    def split(self, inputs: Sequence[Tensor]) -> tuple[fx.GraphModule, list[Tensor]]:
        self.values.update(zip(self.rest, inputs, strict=True))
        for node in self.vectors:
            self.made[node] = self.graph.placeholder(node.name)
        with torch.no_grad():
            for node in self.source.graph.nodes:
                self._visit(node)
        self.graph.eliminate_dead_code()
        used = {n.target for n in self.graph.nodes if n.op == "get_attr"}
        root = torch.nn.Module()
        for name, value in self.constants.items():
            if name in used:
                root.register_buffer(name, value)
        kept = [value for name, value in self.constants.items() if name in used]
        return fx.GraphModule(root, self.graph), kept

    def _visit(self, node: fx.Node) -> None:
        if node.op == "placeholder" or (node.op != "output" and not node.users):
            return
        if node.op == "output":
            self.graph.output(fx.node.map_arg(node.args[0], self._placed))
        elif node.op == "get_attr":
            self.values[node] = getattr(self.source, str(node.target))
        elif node.target in _ZEROS:
            like = node.meta["val"]
            self.values[node] = torch.zeros(like.shape, dtype=like.dtype, device=like.device)
        elif not any(n in self.made and n not in self.values for n in node.all_input_nodes):
            self.values[node] = self._now(node)
        else:
            same = self._same(node)
            self.made[node] = (
                self.graph.create_node(
                    node.op,
                    node.target,
                    fx.node.map_arg(node.args, self._placed),
                    fx.node.map_arg(node.kwargs, self._placed),
                )
                if same is None
                else self.made[same]
            )

    def _now(self, node: fx.Node) -> Any:
        assert callable(node.target)
        args = fx.node.map_arg(node.args, self.values.__getitem__)
        return node.target(*args, **fx.node.map_arg(node.kwargs, self.values.__getitem__))

    def _placed(self, node: fx.Node) -> Any:
        """The node of the new graph; a value becomes a constant of it."""
        if node not in self.made:
            value = self.values[node]
            if not isinstance(value, Tensor):
                return value
            name = f"constant{len(self.constants)}"
            self.constants[name] = value
            self.made[node] = self.graph.get_attr(name)
        return self.made[node]

    def _same(self, node: fx.Node) -> fx.Node | None:
        """The input that the node hands on as it is: an alias, or a sum with zeros."""
        aten = torch.ops.aten
        if node.target is aten.alias.default or node.target is aten.detach.default:
            first = node.args[0]
            return first if isinstance(first, fx.Node) else None
        if node.target is not aten.add.Tensor or len(node.args) != 2 or node.kwargs:
            return None
        shape = getattr(node.meta.get("val"), "shape", None)
        for one, other in (node.args, node.args[::-1]):
            value = self.values.get(one) if isinstance(one, fx.Node) else None
            if isinstance(value, Tensor) and value.shape == shape and not bool(value.any()):
                return other if isinstance(other, fx.Node) else None
        return None
