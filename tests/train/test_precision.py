import copy

import numpy as np
import pytest
import torch
from torch import nn

from wellposed.data import Batches, Examples
from wellposed.train import Precision, fastest_precision
from wellposed.train import _precision as module

CPU = torch.device("cpu")


def batch(dataset):
    return next(iter(Batches(dataset.train, 16).epoch(0)))


@pytest.mark.parametrize("fastest", range(4))
def test_takes_the_fastest_of_all_precisions_and_layouts(
    make_problem, dataset, monkeypatch, fastest
):
    run = module._Candidate.run
    made = []

    def timed(self):
        run(self)
        if self not in made:
            made.append(self)
        self.seconds[-1] = 1.0 if made.index(self) == fastest else 2.0

    monkeypatch.setattr(module._Candidate, "run", timed)
    found, seconds = fastest_precision(make_problem(), batch(dataset), CPU)
    names = [
        "float32, contiguous",
        "float32, channels_last",
        "bf16, contiguous",
        "bf16, channels_last",
    ]
    assert list(seconds) == names
    assert f"{found.dtype}, {found.memory_format}" == names[fastest]
    assert sorted(seconds.values()) == [1.0, 2.0, 2.0, 2.0]


def test_leaves_model_and_random_numbers_as_they_were(make_problem, dataset):
    problem = make_problem()
    before = copy.deepcopy(problem.model.state_dict())
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    expected = torch.rand(1), np.random.rand()  # noqa: NPY002
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    fastest_precision(problem, batch(dataset), CPU)
    assert (torch.rand(1), np.random.rand()) == expected  # noqa: NPY002
    after = problem.model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert all(p.grad is None for p in problem.model.parameters())


def test_layouts_are_tried_for_filters_only(make_problem, dataset):
    dense = make_problem(nn.Sequential(nn.Flatten(), nn.Linear(64, 6)))
    _, seconds = fastest_precision(dense, batch(dataset), CPU)
    assert list(seconds) == ["float32, contiguous", "bf16, contiguous"]
    _, seconds = fastest_precision(make_problem(), batch(dataset), CPU, layouts=("contiguous",))
    assert list(seconds) == ["float32, contiguous", "bf16, contiguous"]


def test_gives_up_after_three_seconds(make_problem, dataset, monkeypatch):
    monkeypatch.setattr(module, "_SECONDS", 0.0)
    runs = []
    run = module._Candidate.run
    monkeypatch.setattr(module._Candidate, "run", lambda self: (runs.append(1), run(self)))
    fastest_precision(make_problem(), batch(dataset), CPU)
    assert len(runs) == 8  # a warm-up and one step each


def test_on_a_gpu_a_step_is_timed_to_its_end(make_problem, dataset, monkeypatch):
    waits = []
    monkeypatch.setattr(torch.cuda, "synchronize", waits.append)
    candidate = module._Candidate(Precision(), make_problem(), batch(dataset), CPU)
    candidate.device = torch.device("cuda")
    candidate.run()
    assert waits == [torch.device("cuda")]
    assert len(candidate.seconds) == 1


def test_places_weights_and_stores_inputs():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    Precision("bf16", "channels_last").place(model, CPU)
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert model[0].weight.dtype == torch.float32
    examples = Examples(torch.rand(8, 3, 5, 5), torch.arange(8))
    how = Precision("bf16", "channels_last").inputs(examples.shape)
    (inputs, _), *_ = Batches(examples, 4, **how).epoch(0)
    assert inputs.dtype == torch.bfloat16
    assert inputs.is_contiguous(memory_format=torch.channels_last)
    (inputs, _), *_ = Batches(examples, 4, **Precision().inputs(examples.shape)).epoch(0)
    assert inputs.dtype == torch.float32
    assert inputs.is_contiguous()


def test_numbers_that_are_no_images_are_not_rounded():
    words = Examples(torch.arange(250.0, 300.0).view(-1, 1), torch.arange(50))
    (inputs, _), *_ = Batches(words, 50, **Precision("bf16").inputs(words.shape)).epoch(0)
    assert inputs.sort(0).values.equal(words.inputs)
