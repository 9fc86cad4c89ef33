"""The end of a training: which weights are kept, what they are worth, and what it all cost."""

from collections.abc import Mapping, Sequence
from typing import Any

from wellposed.optim import Anchored, memory, recompute_batch_norm
from wellposed.runs import RunFolder
from wellposed.train._averaging import kind_of
from wellposed.train._evaluate import evaluate
from wellposed.train._result import Result, missed_goals, write_results
from wellposed.train._training import Training
from wellposed.train._weights import write_weights


def conclude(
    training: Training,
    folder: RunFolder | None,
    records: Sequence[Mapping[str, Any]],
    goal: Mapping[str, float],
) -> Result:
    """Put the weights that are kept into the model, evaluate them on all parts, write it down.

    Evaluations are in float32 whatever the precision of training was, so that they can be
    repeated from the file of weights on any machine.

    Args:
        training: At its end.
        folder: Gets results.json, weights.safetensors and pictures; None: nothing is written.
        records: What is in the log.
        goal: As for `fit`.
    """
    problem, model = training.problem, training.problem.model
    cost = _cost(training)
    kind, step = kind_of(training.optimizer, training.average), _keep(training)
    splits = {
        name: evaluate(model, examples, problem.loss)
        for name, examples in problem.data.parts.items()
    }
    missed = missed_goals(goal, splits)
    result = Result(model, kind, step, splits, cost, tuple(records), missed)
    if folder is not None:
        write_results(folder, result, problem.data, write_weights(folder, model))
    return result


def _keep(training: Training) -> int:
    """Put the weights that are kept into the model, and return the step they are from."""
    model, stopping, average = training.problem.model, training.stopping, training.average
    optimizer, watchdog = training.optimizer, training.watchdog
    if watchdog.barked and watchdog.weights is not None and watchdog.step is not None:
        model.load_state_dict(watchdog.weights)
        return watchdog.step
    if stopping.weights is not None and stopping.step is not None:
        model.load_state_dict(stopping.weights)
        return stopping.step
    if average is not None:
        model.load_state_dict(average.module.state_dict())
    elif isinstance(optimizer, Anchored):
        optimizer.finish_cycle()
        recompute_batch_norm(model, training.statistics_batches())
    return training.step


def _cost(training: Training) -> dict[str, float]:
    """Gradient evaluations, time without evaluations and checkpoints, and memory."""
    model, average = training.problem.model, training.average
    seconds, cpu_seconds = training.clock.now()
    weights = list(model.parameters())
    averaged = [] if average is None else list(average.module.parameters())
    return {
        "gradient_evaluations": training.gradients,
        "examples": training.examples,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "examples_per_second": training.examples / max(seconds, 1e-9),
        "optimizer_bytes": memory(training.optimizer) + sum(p.nbytes for p in averaged),
        "weights_bytes": sum(p.nbytes for p in weights),
        "parameters": sum(p.numel() for p in weights),
    }
