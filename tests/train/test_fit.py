import errno
import math
import signal
import threading
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from wellposed.data import Batches
from wellposed.errors import ArgumentError, Interrupted, NotFiniteError, RunFolderError
from wellposed.losses import CrossEntropy
from wellposed.optim import (
    LBFGS,
    SGD,
    SPSA,
    Adagrad,
    AdamW,
    ArmijoLBFGS,
    Cosine,
    EntropySGD,
    GroupScheduler,
    MeZO,
    OneCycleLR,
)  # fmt: skip
from wellposed.runs import Status, exclusive
from wellposed.train import Plan, fit, load_checkpoint, load_weights, steps

PLAN = Plan(epochs=3, batch_size=16, log_every=2, checkpoint_every=4)  # 18 steps


def sgd(weights):
    return SGD(weights, lr=0.05, momentum=0.9)


def train(problem, plan=PLAN, optimizer=sgd, schedule=None, **more):
    made = optimizer(problem.model.parameters())
    schedulers = [schedule(made)] if schedule else []
    return fit(problem, made, plan, schedulers=schedulers, **more)


def weights_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def assert_same(a, b):
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def interrupt_at(make_watch, index, number=signal.SIGTERM):
    return make_watch(lambda step: step.index == index and signal.raise_signal(number))


def test_is_the_loop_one_would_write(make_problem, dataset):
    problem, twin = make_problem(), make_problem()
    result = train(problem)
    optimizer = SGD(twin.model.parameters(), lr=0.05, momentum=0.9, fused=True)
    batches = Batches(dataset.train, 16, seed=0)
    torch.manual_seed(0)
    for epoch in range(3):
        for _ in steps(twin, optimizer, batches.epoch(epoch)):
            pass
    assert_same(weights_of(problem.model), weights_of(twin.model))
    assert result.model is problem.model
    assert result.step == 18
    assert result.splits["test"].error < 0.5


def test_records_are_regular_and_say_what_happened(make_problem, make_folder):
    folder = make_folder()
    result = train(make_problem(), folder=folder)
    log = folder.log.read()
    assert list(result.records) == log
    assert [r["step"] for r in log if r["event"] == "train"] == list(range(2, 19, 2))
    assert [r["step"] for r in log if r["event"] == "evaluation"] == [6, 12, 18]
    first = log[0]
    assert first["epoch"] == pytest.approx(1 / 3)
    assert first["gradients"] == 2
    assert first["objective"] == first["loss"] > 0 == first["penalty"]
    assert 0 <= first["error"] <= 1
    assert first["lr"] == 0.05
    assert first["gradient_norm"] > 0
    assert {"split", "n", "loss", "error", "top5_error"} <= log[3].keys()
    clock = folder.clock.read()
    assert [r["step"] for r in clock] == list(range(2, 19, 2))
    assert folder.status is Status.DONE
    assert folder.read_json("data.json")["name"] == "rows"
    assert folder.read_json("choices.json")["precision"] == "float32"


OPTIMIZERS = {
    "sgd": (sgd, None),
    "adamw": (lambda w: AdamW(w, lr=0.01), lambda o: OneCycleLR(o, 0.02, total_steps=19)),
    "entropysgd": (
        lambda w: EntropySGD(w, lr=0.05, inner_steps=4, temperature=1e-5, gamma=0.1),
        lambda o: GroupScheduler(o, Cosine(), 18),
    ),
    "lookahead over adamw": (
        lambda w: EntropySGD(w, base=AdamW, lr=0.01, inner_steps=5, gamma=0.0),
        None,
    ),
    "lbfgs": (lambda w: LBFGS(w, lr=0.1, max_iter=3), None),
    "armijolbfgs": (lambda w: ArmijoLBFGS(w, iterations=2), None),
    "spsa": (lambda w: SPSA(w, lr=0.01), None),
    "mezo": (lambda w: MeZO(w, lr=0.01), lambda o: GroupScheduler(o, Cosine(), 18)),
}
EXTRAS = {
    "plain": {},
    "ema, clipped, accumulated": {
        "ema": 0.8,
        "clip_norm": 0.5,
        "accumulate": 2,
        "batch_size": 8,
    },
    "bf16": {"precision": "bf16"},
    "patience": {"patience": 9, "monitor": "error", "evaluate_every": 2},
}


@pytest.mark.simulation
@pytest.mark.parametrize("stop", [5, 8, 11])
@pytest.mark.parametrize("extra", EXTRAS)
@pytest.mark.parametrize("name", ["sgd", "adamw", "entropysgd"])
def test_interrupted_and_resumed_it_ends_bit_by_bit_the_same(
    make_problem, make_folder, make_watch, name, extra, stop
):
    check_resume(make_problem, make_folder, make_watch, name, extra, stop)


@pytest.mark.filterwarnings("ignore:ArmijoLBFGS found no decrease")  # the model has dropout
@pytest.mark.parametrize("name", ["lookahead over adamw", "lbfgs", "armijolbfgs", "spsa", "mezo"])
def test_rarer_optimizers_resume_too(make_problem, make_folder, make_watch, name):
    check_resume(make_problem, make_folder, make_watch, name, "plain", 7)


def check_resume(make_problem, make_folder, make_watch, name, extra, stop):
    optimizer, schedule = OPTIMIZERS[name]
    plan = replace(PLAN, log_every=3, checkpoint_every=7, **EXTRAS[extra])
    whole, parts = make_folder("whole"), make_folder("parts")
    expected = train(make_problem(), plan, optimizer, schedule, folder=whole)
    watch = interrupt_at(make_watch, stop)
    with pytest.raises(Interrupted) as caught:
        train(make_problem(), plan, optimizer, schedule, folder=parts, observers=[watch])
    assert caught.value.signal == signal.SIGTERM
    assert f"wellposed resume {parts.path}" in str(caught.value)
    assert parts.status is Status.INTERRUPTED
    assert parts.facts["step"] == stop
    found = train(make_problem(), plan, optimizer, schedule, folder=parts)
    assert_same(weights_of(found.model), weights_of(expected.model))
    assert parts.log.path.read_bytes() == whole.log.path.read_bytes()
    assert found.summary() == expected.summary()
    assert (found.weights, found.step) == (expected.weights, expected.step)


def test_channels_last_resumes_bit_by_bit(make_problem, make_folder, make_watch):
    choices = {"device": "cpu", "precision": "bf16", "memory_format": "channels_last", "threads": 1}
    plan = Plan(epochs=3, batch_size=16, precision="auto", checkpoint_every=7)
    found = []
    for name, watches in (("whole", []), ("parts", [interrupt_at(make_watch, 9)])):
        folder = make_folder(name)
        folder.write_json("choices.json", choices)  # as chosen by an earlier part of the run
        if watches:
            with pytest.raises(Interrupted):
                train(make_problem(), plan, folder=folder, observers=watches)
        problem = make_problem()
        train(problem, plan, folder=folder)
        weight = problem.model[0].weight
        assert weight.is_contiguous(memory_format=torch.channels_last)
        found.append((weights_of(problem.model), folder.log.path.read_bytes()))
    assert_same(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]


def test_evaluating_leaves_no_trace_in_training(make_problem):
    often, seldom = make_problem(), make_problem()
    for problem, every in ((often, 1), (seldom, 18)):
        optimizer = OPTIMIZERS["entropysgd"][0]
        train(problem, Plan(epochs=3, batch_size=16, evaluate_every=every), optimizer)
    assert_same(weights_of(often.model), weights_of(seldom.model))


def test_a_finished_run_is_judged_again_with_the_same_result(make_problem, make_folder):
    folder = make_folder()
    optimizer = OPTIMIZERS["entropysgd"][0]
    first = train(make_problem(), optimizer=optimizer, folder=folder)
    log = folder.log.path.read_bytes()
    again = train(make_problem(), optimizer=optimizer, folder=folder)
    assert again.summary() == first.summary()
    assert again.cost["gradient_evaluations"] == 18
    assert again.cost["seconds"] == pytest.approx(first.cost["seconds"], abs=0.05)
    assert folder.log.path.read_bytes() == log
    model = make_problem().model
    load_weights(folder, model)
    assert_same(weights_of(model), weights_of(first.model))


def test_weights_that_are_kept(make_problem):
    assert train(make_problem()).weights == "last"
    assert train(make_problem(), optimizer=OPTIMIZERS["entropysgd"][0]).weights == "anchor"
    problem = make_problem()
    assert train(problem, Plan(epochs=1, batch_size=16, ema=0.99)).weights == "ema"
    raw = make_problem()
    train(raw, Plan(epochs=1, batch_size=16))
    assert not torch.equal(problem.model[0].weight, raw.model[0].weight)


@pytest.mark.simulation
def test_stops_early_and_keeps_the_best_weights(make_problem, make_folder):
    # A step size that first learns and then destroys: the best is not the last.
    folder, plan = make_folder(), Plan(epochs=40, batch_size=16, patience=3, checkpoint_every=1)
    result = train(
        make_problem(),
        plan,
        lambda w: SGD(w, lr=0.05, momentum=0.9),
        lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 1.08),
        folder=folder,
    )
    evaluations = [r for r in folder.log.read() if r["event"] == "evaluation"]
    best = min(evaluations, key=lambda r: r["loss"])
    assert result.step == best["step"]
    assert evaluations[-1]["step"] == best["step"] + 3 * 6 < 240
    assert result.splits["validation"].error == best["error"]
    assert result.splits["validation"].loss == pytest.approx(best["loss"], rel=1e-6)
    kept = sorted(int(p.name[5:]) for p in folder.checkpoints.iterdir())
    assert kept == [best["step"], evaluations[-1]["step"] - 1, evaluations[-1]["step"]]


def test_auto_precision_is_measured_once_and_kept(make_problem, make_folder, make_watch):
    folder, plan = make_folder(), Plan(epochs=1, batch_size=16, precision="auto")
    with pytest.raises(Interrupted):
        train(make_problem(), plan, folder=folder, observers=[interrupt_at(make_watch, 2)])
    choices = folder.read_json("choices.json")
    assert len(choices["seconds_per_step"]) == 4
    assert f"{choices['precision']}, {choices['memory_format']}" == min(
        choices["seconds_per_step"], key=choices["seconds_per_step"].get
    )
    watch = make_watch()
    train(make_problem(), plan, folder=folder, observers=[watch])
    assert watch.all("begin")[0].choices == choices == folder.read_json("choices.json")
    contiguous = train(make_problem(), plan, lambda w: LBFGS(w, max_iter=1))
    assert contiguous.step == 6


def test_observers_hear_everything_in_order(make_problem, make_watch, make_folder):
    watch, folder = make_watch(), make_folder()
    train(make_problem(), observers=[watch], folder=folder)
    (start,), (end,) = watch.all("begin"), watch.all("end")
    assert (start.name, start.step, start.total_steps) == ("rows, Sequential", 0, 18)
    assert (start.steps_per_epoch, start.folder) == (6, str(folder.path))
    assert [s.index for s in watch.all("step")] == list(range(1, 19))
    assert watch.all("record") == folder.log.read()
    assert (end["status"], end["step"]) == ("done", 18)
    assert set(end["splits"]) == {"train", "validation", "test"}
    assert watch.heard[0][0] == "begin"
    assert watch.heard[-1][0] == "end"


def test_random_numbers_and_torch_settings_of_the_caller_are_left_alone(make_problem):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    train(make_problem(), Plan(epochs=1, deterministic=True, threads=1))
    assert torch.equal(torch.rand(3), expected)
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize(
    ("fused", "foreach", "expected"),
    [(None, None, True), (False, None, False), (None, True, None)],
)
def test_the_fused_kernel_is_used_unless_the_caller_chose(make_problem, fused, foreach, expected):
    problem = make_problem()
    optimizer = SGD(problem.model.parameters(), lr=0.1, fused=fused, foreach=foreach)
    fit(problem, optimizer, Plan(epochs=1))
    assert optimizer.param_groups[0]["fused"] is expected


def test_a_state_made_before_the_layout_was_chosen_follows_it(make_problem, make_folder):
    results = []
    for layout, fused in (("contiguous", False), ("channels_last", None)):
        folder = make_folder(layout)
        folder.write_json("choices.json", {"precision": "float32", "memory_format": layout})
        layers = nn.Conv2d(1, 6, 3), nn.Tanh(), nn.Conv2d(6, 6, 6), nn.Flatten()
        for number, layer in enumerate(layers):
            if isinstance(layer, nn.Conv2d):
                generator = torch.Generator().manual_seed(number)
                nn.init.normal_(layer.weight, std=0.1, generator=generator)
                nn.init.zeros_(layer.bias)
        problem = make_problem(nn.Sequential(*layers))
        optimizer = Adagrad(problem.model.parameters(), lr=0.01)  # its state is there at once
        optimizer.param_groups[0]["fused"] = fused
        fit(problem, optimizer, Plan(epochs=2), folder=folder)
        results.append(problem.model[2].weight)
    torch.testing.assert_close(*results, atol=1e-4, rtol=1e-3)


def test_an_optimizer_with_a_state_goes_on_with_it(make_problem):
    problem = make_problem()
    optimizer = sgd(problem.model.parameters())
    fit(problem, optimizer, Plan(epochs=1))
    buffer = optimizer.state[problem.model[0].weight]["momentum_buffer"].clone()
    fit(problem, optimizer, Plan(epochs=1, batch_size=96))
    assert not torch.equal(optimizer.state[problem.model[0].weight]["momentum_buffer"], buffer)


def blow_up(at, factor=1e30):
    """A schedule under which update at - 1 is far too long."""

    def schedule(optimizer):
        return LambdaLR(optimizer, lambda k: factor if k == at - 2 else 1.0)

    return schedule


@pytest.mark.parametrize("at", [2, 8, 9, 18])
@pytest.mark.parametrize("with_folder", [True, False])
def test_names_the_true_step_of_a_number_that_is_none(make_problem, make_folder, at, with_folder):
    # Updates are numbered from 1; update at - 1 overflows, so the loss of step `at` is nan.
    folder = make_folder() if with_folder else None
    problem = make_problem()
    problem.model[1] = nn.Identity()  # batch norm would hide the size of the weights
    plan = Plan(epochs=3, batch_size=16, log_every=6, checkpoint_every=4)
    with pytest.raises(NotFiniteError) as caught:
        train(problem, plan, schedule=blow_up(at), folder=folder)
    assert caught.value.step == at
    message = str(caught.value)
    kept = (at - 1) // 4 * 4
    assert f"at step {at} (last finite value" in message
    assert "lr=" in message
    assert f"the weights of step {kept} are kept" in message
    assert all(p.isfinite().all() for p in problem.model.parameters())
    if folder:
        assert folder.status is Status.FAILED
        assert "the loss became" in folder.facts["error"]
        newest = load_checkpoint(folder.checkpoints)
        assert (newest.step if newest else 0) == kept


def test_weights_that_are_none_are_never_saved(make_problem, make_folder):
    # The last update overflows: no loss is nan yet, but the next would be.
    folder = make_folder()
    problem = replace(make_problem(), loss=lambda *batch: 1e6 * CrossEntropy()(*batch))
    plan = Plan(epochs=3, batch_size=16, clip_norm=100.0)
    with pytest.raises(
        NotFiniteError, match=r"nan at step 19 .*\n.*the update overflowed"
    ) as caught:
        train(problem, plan, lambda w: SGD(w, lr=1e-9), blow_up(19, 3e38 * 1e9), folder=folder)
    assert "clip_norm" not in str(caught.value)
    assert load_checkpoint(folder.checkpoints) is None


def test_inputs_that_are_none_are_named(make_problem, dataset):
    dataset.train.inputs[5] = math.nan
    with pytest.raises(NotFiniteError, match=r"step \d .*\n.*the inputs of the batch\n.*the data"):
        train(make_problem())


def test_a_fault_that_does_not_come_again_is_said_to_be_one(make_problem):
    once = [math.nan]

    class Flaky(nn.Module):
        def forward(self, x):
            return x * (once.pop() if once and self.training else 1.0)

    problem = make_problem()
    problem.model.append(Flaky())
    with pytest.raises(NotFiniteError, match="not repeatable"):
        train(problem)


def test_interrupted_without_a_folder_nothing_is_kept_and_it_says_so(make_problem, make_watch):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match="give fit") as caught:
        train(make_problem(), observers=[interrupt_at(make_watch, 3, signal.SIGINT)])
    assert caught.value.signal == signal.SIGINT
    assert signal.getsignal(signal.SIGINT) is before


def test_works_off_the_main_thread(make_problem):
    results = []
    thread = threading.Thread(target=lambda: results.append(train(make_problem())))
    thread.start()
    thread.join()
    assert results[0].step == 18


def test_any_other_error_leaves_status_failed_and_passes_through(
    make_problem, make_folder, make_watch
):
    folder = make_folder()

    def fail(step):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        train(make_problem(), folder=folder, observers=[make_watch(fail)])
    assert folder.status is Status.FAILED

    def leave(step):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(make_problem(), folder=folder, observers=[make_watch(leave)])
    assert folder.status is Status.INTERRUPTED
    assert folder.facts["error"] == "KeyboardInterrupt"


def test_a_full_disk_is_said_and_older_checkpoints_are_good(make_problem, make_folder, monkeypatch):
    folder = make_folder()
    count = []

    def full(path, content):
        count.append(1)
        if len(count) > 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        path.write_bytes(content)

    monkeypatch.setattr("wellposed.train._checkpoint._write", full)
    with pytest.raises(RunFolderError, match=r"cannot write .*step-00000012: no space left"):
        train(make_problem(), folder=folder)
    assert folder.status is Status.FAILED
    assert load_checkpoint(folder.checkpoints).step == 8


def test_a_folder_that_is_being_trained_into_is_left_alone(make_problem, make_folder):
    folder = make_folder()
    with exclusive(folder.path), pytest.raises(RunFolderError, match="another process"):
        train(make_problem(), folder=folder)
    assert not folder.has("choices.json")
    assert train(make_problem(), folder=folder).step == 18


def test_what_a_crash_damaged_is_told_and_an_older_checkpoint_taken(
    make_problem, make_folder, make_watch
):
    folder, whole = make_folder(), make_folder("whole")
    expected = train(make_problem(), folder=whole)
    with pytest.raises(Interrupted):
        train(make_problem(), folder=folder, observers=[interrupt_at(make_watch, 11)])
    (folder.checkpoints / "step-00000011" / "tensors.safetensors").write_bytes(b"")
    watch = make_watch()
    found = train(make_problem(), folder=folder, observers=[watch])
    assert watch.all("begin")[0].step == 8
    assert "step-00000011" in folder.facts["skipped_checkpoints"][0]
    assert_same(weights_of(found.model), weights_of(expected.model))
    assert folder.log.path.read_bytes() == whole.log.path.read_bytes()


@pytest.mark.parametrize(
    ("difference", "changed"),
    [
        ("batch_size=16.*batch_size=8", {"plan": Plan(epochs=3, batch_size=8)}),
        ("optimizer=SGD.*optimizer=AdamW", {"optimizer": AdamW}),
        ("no schedulers|schedulers=", {"schedule": lambda o: GroupScheduler(o, Cosine(), 9)}),
        ("shape", {"model": nn.Sequential(nn.Flatten(), nn.Linear(64, 6))}),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(
    make_problem, make_folder, make_watch, difference, changed
):
    folder = make_folder()
    with pytest.raises(Interrupted):
        train(make_problem(), folder=folder, observers=[interrupt_at(make_watch, 5)])
    model = changed.pop("model", None)
    with pytest.raises(RunFolderError, match=rf"step-00000005 was written with .*({difference})"):
        train(make_problem(model), folder=folder, **changed)


def test_goals_that_are_missed_are_in_the_result(make_problem):
    result = train(make_problem(), goal={"test_error": -1.0, "validation_loss": 99.0})
    assert len(result.missed) == 1
    with pytest.raises(ArgumentError, match="known are train_error"):
        train(make_problem(), goal={"accuracy": 0.9})


def test_a_device_that_is_not_there_is_refused(make_problem, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ArgumentError, match="cuda"):
        train(make_problem(), Plan(device="cuda"))


def test_the_default_plan_is_taken_where_none_is_given(make_problem):
    problem = make_problem()
    result = fit(problem, sgd(problem.model.parameters()))
    assert result.step == 10


def test_an_optimizer_of_another_model_is_refused(make_problem):
    with pytest.raises(ArgumentError, match="the optimizer has no parameter"):
        fit(make_problem(), sgd(make_problem().model.parameters()), PLAN)
