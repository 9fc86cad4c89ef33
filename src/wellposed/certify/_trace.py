"""From a module to our list of operations, by torch.export; verified against the module."""

import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import torch
from torch import Tensor, fx, nn

from wellposed.certify._graph import Graph
from wellposed.certify._operation import Input
from wellposed.certify._operators import OPERATORS
from wellposed.certify._read import Reader
from wellposed.errors import ArgumentError, first_line, require

_BATCH = 3  # that nothing in a network is likely to be
_TRIALS = 2  # batches on which the operations are compared with the module
_AGREE = 100  # units of rounding for each operation, relative to the largest value


def trace(model: nn.Module, shape: Sequence[int]) -> Graph:
    """The operations of a network in eval mode.

    Args:
        model: Maps a batch of inputs to a batch of outputs.
        shape: Of one input.

    Raises `ArgumentError` for an operation that has no bounds here, which the message names
    together with its module; for a forward pass that depends on the values of its input; and
    where the operations do not compute what the module does.

    Cost: one export, and a few forward passes.
    """
    modes = [(module, module.training) for module in model.modules()]
    kept = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    model.eval()
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph = _read(model, tuple(shape))
            _compare(model, graph, tuple(shape))
    finally:
        for module, training in modes:
            module.training = training
        for buffer, value in kept:
            with torch.no_grad():
                buffer.copy_(value)
    return graph


def _read(model: nn.Module, shape: tuple[int, ...]) -> Graph:
    exported = _export(model, shape)
    reader = Reader(_tensors(exported), _BATCH, OPERATORS)
    for node in exported.graph.nodes:
        if node.op == "output":
            return _finish(reader, node, _example(model).dtype)
        if node.op == "placeholder":
            if node.name in exported.graph_signature.user_inputs:
                reader.begin(node, Input((), shape))
        else:
            reader.read(node)
    raise AssertionError("an exported graph ends with its output")


def _finish(reader: Reader, node: fx.Node, dtype: torch.dtype) -> Graph:
    flat = node.all_input_nodes
    require(
        len(node.args[0]) == 1 and len(flat) == 1 and flat[0] in reader.numbers,  # type: ignore[arg-type]
        f"the network returns {len(node.args[0])} values; certificates need one tensor of "  # type: ignore[arg-type]
        "logits that depends on the input",
    )
    last = reader.numbers[flat[0]]
    return Graph(tuple(reader.operations[: last + 1]), tuple(reader.names[: last + 1]), dtype)


def _example(model: nn.Module) -> Tensor:
    """A tensor of the model's type, where the model is."""
    return next(model.parameters(), torch.zeros(())).detach()


def _export(model: nn.Module, shape: tuple[int, ...]) -> Any:
    example = _example(model).new_zeros((_BATCH, *shape))
    try:
        with _unlogged():
            return torch.export.export(model, (example,), strict=False)
    except Exception as error:  # whatever stops the export is its reason
        raise ArgumentError(
            f"torch.export cannot trace {type(model).__name__} on inputs of shape {shape}, and a "
            f"network whose operations are not known has no certificate: {first_line(error)}"
        ) from error


@contextmanager
def _unlogged() -> Iterator[None]:
    """Without what torch logs and prints of a failure, which is said in one sentence instead."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(level)


def _tensors(exported: Any) -> dict[str, Tensor]:
    """Parameters, buffers and constants by the name of their placeholder."""
    signature = exported.graph_signature
    state, constants = exported.state_dict, exported.constants
    found: dict[str, Tensor] = {}
    for name, target in signature.inputs_to_parameters.items():
        found[name] = state[target]
    for name, target in signature.inputs_to_buffers.items():
        found[name] = state[target] if target in state else constants[target]
    for name, target in signature.inputs_to_lifted_tensor_constants.items():
        found[name] = constants[target]
    return {name: value.detach().cpu().clone() for name, value in found.items()}


def _compare(model: nn.Module, graph: Graph, shape: tuple[int, ...]) -> None:
    """Refuse unless the operations give the module's values on random inputs."""
    like = _example(model)
    unit = torch.finfo(like.dtype).eps
    generator = torch.Generator().manual_seed(0)
    for number in range(_TRIALS):
        inputs = torch.rand((_BATCH + 1 + number, *shape), generator=generator)
        inputs = inputs.to(like.dtype)
        right = model(inputs.to(like.device).clone())  # which it may write into
        require(
            isinstance(right, Tensor),
            f"the network returns a {type(right).__name__}; certificates need one tensor of logits",
        )
        right = right.to("cpu", torch.float64)
        values = graph.values(inputs.double())
        ours = values[-1]
        scale = max(float(value.abs().max()) for value in values)
        same = right.shape == ours.shape
        off = float((right - ours).abs().max()) if same else torch.inf
        require(
            off <= _AGREE * len(values) * unit * (scale + 1),
            f"the traced operations of {type(model).__name__} give another output than the "
            f"module, off by {off:.1e}; it may use random numbers, keep a state, or write into a "
            "part of a value",
        )
