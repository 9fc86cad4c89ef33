"""The loop with our defaults."""

import copy
import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from itertools import islice
from typing import Any

import torch
from torch.optim import LBFGS, Optimizer

from wellposed.data import Batches
from wellposed.errors import Interrupted, NotFiniteError, RunFolderError, require
from wellposed.optim import fuse
from wellposed.problem import Problem
from wellposed.runs import RunFolder, Status, exclusive
from wellposed.train._cadence import Cadence
from wellposed.train._conclude import conclude
from wellposed.train._diverged import first_culprit
from wellposed.train._journal import Journal
from wellposed.train._machine import choose_device, settings
from wellposed.train._observer import Observer
from wellposed.train._plan import Plan
from wellposed.train._precision import Precision, fastest_precision
from wellposed.train._result import Result
from wellposed.train._rng import seeded
from wellposed.train._signals import Signals
from wellposed.train._training import Scheduler, Training


def fit(
    problem: Problem,
    optimizer: Optimizer,
    plan: Plan | None = None,
    *,
    schedulers: Sequence[Scheduler] = (),
    folder: RunFolder | None = None,
    observers: Sequence[Observer] = (),
    goal: Mapping[str, float] | None = None,
) -> Result:
    """Train, evaluate, and write down what happened; resume by itself where a run was cut off.

    The loop is `wellposed.train.steps` over `plan.epochs` passes, with a record every few steps,
    an evaluation on the validation part per epoch, and checkpoints. Given the same arguments and
    a folder with checkpoints, it goes on from the newest, and ends with the same weights and the
    same log, bit by bit, as if it had never been stopped (on the CPU, and on other devices as far
    as their operations are deterministic). At the end `problem.model` holds the weights that were
    evaluated.

    Where the regularizer has an adversary (`AdversarialTraining`), each evaluation measures the
    robust error on 256 validation examples. If robust accuracy falls by more than 0.2 below its
    best, training has overfitted catastrophically: it stops, and the weights of the best robust
    accuracy are those that are kept.

    Where the optimizer is one of torch's and neither `fused` nor `foreach` was chosen, its fused
    kernel is switched on, if it can be used (`wellposed.optim.fuse`).

    Args:
        problem: Its data is a `wellposed.data.Dataset`.
        optimizer: Over the parameters of `problem.model`.
        plan: How long and how; None: the defaults of `Plan`.
        schedulers: Stepped after each update: torch's, or `wellposed.optim.GroupScheduler`.
        folder: Where everything is written; None: nowhere.
        observers: Told everything as it happens: `Progress`, `TensorBoard`, `MLflow`.
        goal: Upper bounds such as {"test_error": 0.05}; what is missed is in the result.

    Raises `NotFiniteError` if the objective became inf or nan: noticed at the next record, but the
    step named is the true one, and the model then holds the weights of the last checkpoint.
    Raises `Interrupted` after SIGINT or SIGTERM, once the step is finished and a checkpoint
    written; `RunFolderError` if the folder cannot be written, its checkpoints cannot be trusted, or
    another process is training into it;
    `ArgumentError` if this machine does not have the device, or a goal has no such name.

    Cost: besides that of `steps`, one forward pass over the validation part per evaluation, and
    one over all parts at the end.
    """
    plan = plan or Plan()
    device = choose_device(plan.device)
    alone = nullcontext() if folder is None else exclusive(folder.path)
    with alone, settings(plan, device), seeded(plan.seed, device), Signals() as signals:
        training, choices = _prepare(problem, optimizer, plan, schedulers, device, folder)
        journal = Journal(training, folder, observers)
        try:
            journal.begin(_name(problem), choices)
            with training.precision.applied(problem.model, plan.batch_size, device):
                _train(training, journal, signals, folder)
                result = conclude(training, folder, journal.records, goal or {})
        except BaseException as error:
            with suppress(RunFolderError):  # the first error is the one to tell
                journal.end(_status(error), error=str(error) or type(error).__name__)
            raise
        journal.end(Status.DONE, splits=result.summary(), cost=dict(result.cost))
        return result


def _prepare(
    problem: Problem,
    optimizer: Optimizer,
    plan: Plan,
    schedulers: Sequence[Scheduler],
    device: torch.device,
    folder: RunFolder | None,
) -> tuple[Training, dict[str, Any]]:
    """Put the model on the device, choose the precision, and gather the state of the training."""
    problem.model.to(device)
    own = {id(p) for p in problem.model.parameters()}
    require(
        any(id(p) in own for group in optimizer.param_groups for p in group["params"]),
        "the optimizer has no parameter of problem.model, so nothing would be trained; make it "
        "with problem.model.parameters()",
    )
    choices = _choices(problem, optimizer, plan, device, folder)
    precision = Precision(choices["precision"], choices["memory_format"])
    precision.place(problem.model, device)
    if optimizer.state:
        optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))  # moves it to the device
    fuse(optimizer)
    batches = Batches(
        problem.data.train,
        plan.batch_size,
        seed=plan.seed,
        augment=plan.augment,
        device=device,
        **precision.inputs(problem.data.shape),
    )
    training = Training(problem, optimizer, plan, schedulers, device, precision, batches)
    return training, choices


def _choices(
    problem: Problem,
    optimizer: Optimizer,
    plan: Plan,
    device: torch.device,
    folder: RunFolder | None,
) -> dict[str, Any]:
    """Device, precision and layout: the latter are chosen once per run, kept in choices.json."""
    place = {"device": str(device), "threads": torch.get_num_threads()}
    if folder is not None and folder.has("choices.json"):
        kept: dict[str, Any] = folder.read_json("choices.json")
        return kept | place
    choices: dict[str, Any] = dict(place)
    if plan.precision == "auto":
        first = Batches(problem.data.train, plan.batch_size, seed=plan.seed, device=device)
        layouts: Any = ("contiguous", "channels_last")
        if isinstance(optimizer, LBFGS):  # views gradients as vectors, so they must be contiguous
            layouts = ("contiguous",)
        batch = next(iter(first.epoch(0)))
        precision, seconds = fastest_precision(problem, batch, device, layouts=layouts)
        choices["seconds_per_step"] = seconds
    else:
        precision = Precision(plan.precision)
    choices |= {"precision": precision.dtype, "memory_format": precision.memory_format}
    if folder is not None:
        folder.write_json("data.json", problem.data.describe())
        folder.write_json("choices.json", choices)
    return choices


def _train(
    training: Training, journal: Journal, signals: Signals, folder: RunFolder | None
) -> None:
    """Take the steps that are left; log, evaluate, save, and stop when it is time."""
    due = Cadence(training.plan, training.steps_per_epoch)
    validates = training.problem.data.validation is not None
    training.clock.start()
    for step in training.descend():
        journal.step(step)
        at, improved, saves = step.index, False, due.saves(step.index)
        if due.logs(at):
            _require_finite(training, journal)
            journal.write_means()
            saves = saves or (training.plan.checkpoint_every is None and journal.is_time_to_save())
        if validates and due.evaluates(at):
            improved = journal.evaluate()
        ends = at == due.total_steps or training.is_over or signals.received is not None
        if ends or improved or saves:
            _require_finite(training, journal, weights=True)
            journal.save()
        if signals.received is not None:
            raise Interrupted(signals.received, _how_to_resume(folder))
        if training.is_over:
            break
    training.clock.stop()


def _require_finite(training: Training, journal: Journal, *, weights: bool = False) -> None:
    """Refuse to go on from numbers that are none; the error says where the first one came from.

    Raises:
        NotFiniteError: If an objective since the last record, or now a weight, is not finite.
    """
    found = training.window.first_not_finite()
    if found is None and weights and not training.is_finite():
        last = training.window.last_objective
        found = training.step + 1, math.nan, last  # what the next step would find
    if found is None:
        return
    index, objective, last = found
    lr, clipped = training.lr, training.plan.clip_norm is not None
    culprit = _culprit(training, journal, index)
    kept = journal.go_back()
    remedy = f"lr={lr / 10:.1g} instead of {lr:g}"
    if not clipped:
        remedy += ", or clip_norm=1"
    if culprit.startswith("the inputs"):
        remedy = "the data without what is not a number (`wellposed data check`)"
    remedy += f"; the weights of step {kept} are kept"
    raise NotFiniteError(index, objective, last=last, culprit=culprit, remedy=remedy)


def _culprit(training: Training, journal: Journal, index: int) -> str:
    """What was first not finite: the steps since the last checkpoint are repeated to see it."""
    journal.go_back()
    moving = training.descend()
    for _ in range(index - 2 - training.step):
        next(moving)
    observed = islice(moving, max(0, index - training.step))
    found = first_culprit(training.problem.model, observed)
    return found or "a repetition of the step was finite: the arithmetic here is not repeatable"


def _how_to_resume(folder: RunFolder | None) -> str:
    """The command that goes on from the last checkpoint."""
    if folder is None:
        return "start again, and give fit() a folder: without one nothing is kept"
    return f"wellposed resume {folder.path}"


def _status(error: BaseException) -> Status:
    """How a run ended that did not come to its end."""
    stopped = isinstance(error, Interrupted | KeyboardInterrupt | SystemExit)
    return Status.INTERRUPTED if stopped else Status.FAILED


def _name(problem: Problem) -> str:
    """Data and model, for people."""
    return f"{problem.data.name}, {type(problem.model).__name__}"
