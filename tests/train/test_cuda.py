"""What only a GPU can show; `pytest -m gpu` runs these."""

import signal
from dataclasses import replace

import pytest
import torch

from wellposed.data import Batches
from wellposed.errors import Interrupted
from wellposed.optim import SGD, AdamW, EntropySGD
from wellposed.train import Plan, fit, steps

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device"),
]

PLAN = Plan(epochs=3, batch_size=16, device="cuda", log_every=3, checkpoint_every=7)
OPTIMIZERS = {
    "sgd": lambda w: SGD(w, lr=0.05, momentum=0.9),
    "adamw": lambda w: AdamW(w, lr=0.01),
    "entropysgd": lambda w: EntropySGD(w, lr=0.05, inner_steps=4, temperature=1e-5, gamma=0.1),
}


def train(problem, optimizer, plan=PLAN, **more):
    return fit(problem, OPTIMIZERS[optimizer](problem.model.parameters()), plan, **more)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_no_step_waits_for_the_gpu(make_problem, dataset, optimizer):
    problem = make_problem()
    problem.model.cuda()
    made = OPTIMIZERS[optimizer](problem.model.parameters())
    batches = Batches(dataset.train, 16, device="cuda")
    list(steps(problem, made, batches.epoch(0), clip_norm=1.0))  # what is set up once may wait
    ready = list(batches.epoch(1))
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = list(steps(problem, made, ready, clip_norm=1.0))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert found[-1].objective.isfinite()


@pytest.mark.parametrize("fields", [{}, {"ema": 0.8, "precision": "bf16"}, {"patience": 9}])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_interrupted_and_resumed_it_ends_bit_by_bit_the_same(
    make_problem, make_folder, make_watch, optimizer, fields
):
    plan = replace(PLAN, deterministic=True, **fields)
    whole, parts = make_folder("whole"), make_folder("parts")
    expected = train(make_problem(), optimizer, plan, folder=whole)
    stop = make_watch(lambda step: step.index == 9 and signal.raise_signal(signal.SIGTERM))
    with pytest.raises(Interrupted):
        train(make_problem(), optimizer, plan, folder=parts, observers=[stop])
    found = train(make_problem(), optimizer, plan, folder=parts)
    for name, value in expected.model.state_dict().items():
        assert value.is_cuda
        assert torch.equal(found.model.state_dict()[name], value), name
    assert parts.log.path.read_bytes() == whole.log.path.read_bytes()


def test_the_fastest_precision_is_chosen_there(make_problem, make_folder):
    folder = make_folder()
    result = train(
        make_problem(), "sgd", replace(PLAN, precision="auto", device="auto"), folder=folder
    )
    choices = folder.read_json("choices.json")
    assert choices["device"] == "cuda"
    assert len(choices["seconds_per_step"]) == 4
    assert result.splits["test"].error < 0.5


def test_a_run_begun_on_the_gpu_goes_on_on_the_processor(make_problem, make_folder, make_watch):
    folder = make_folder()
    stop = make_watch(lambda step: step.index == 9 and signal.raise_signal(signal.SIGTERM))
    with pytest.raises(Interrupted):
        train(make_problem(), "adamw", folder=folder, observers=[stop])
    result = train(make_problem(), "adamw", replace(PLAN, device="cpu"), folder=folder)
    assert result.step == 18
    assert not next(result.model.parameters()).is_cuda
