"""Both ends of the spectrum against dense ones, and the intervals against many samples."""

import numpy as np
import pytest
import torch
from torch import nn

from wellposed.audit import Subject
from wellposed.audit._krylov import _reach, _subsets, ends, shared
from wellposed.errors import ArgumentError
from wellposed.losses import SquaredError
from wellposed.regularizers import L2, InputGradient


def dense(subject, part="train"):
    inputs, targets = subject.parts[part].take(torch.arange(len(subject.parts[part])))
    names = [n for n, _ in subject.model.named_parameters()]
    params = [p.detach() for p in subject.model.parameters()]
    sizes = [p.numel() for p in params]

    def value(flat):
        pieces = [f.view_as(p) for f, p in zip(flat.split(sizes), params, strict=True)]
        values = dict(zip(names, pieces, strict=True))
        outputs = torch.func.functional_call(subject.model, values, (inputs,))
        return subject.losses(outputs, targets).mean()

    return torch.autograd.functional.hessian(value, torch.cat([p.reshape(-1) for p in params]))


def test_on_the_whole_part_the_intervals_hold_for_certain(subject):
    made = subject()
    found = ends(made, "test", examples=500, subsets=3, steps=20)
    values = torch.linalg.eigvalsh(dense(made))
    assert (found.part, found.examples, found.everything) == ("train", 60, True)
    assert found.low[0] <= float(values[0]) <= found.low[1] + 1e-6
    assert found.high[0] - 1e-6 <= float(values[-1]) <= found.high[1]
    assert found.ritz.values[-1] == pytest.approx(float(values[-1]), rel=1e-4)
    assert "finite differences" in found.verified
    assert "all 60 train examples" in found.sample
    assert ends(made, "other", examples=500, subsets=3, steps=20) is found


def test_a_sample_knows_what_it_does_not_know(subject, blobs):
    made = subject(data={"train": blobs(600, 1)})
    found = ends(made, "test", examples=96, subsets=4, steps=20)
    whole = float(torch.linalg.eigvalsh(dense(made))[-1])
    assert (found.examples, found.everything, found.values.shape) == (96, False, (4, 2))
    assert found.high[0] < whole < found.high[1]
    assert found.high[0] < found.ritz.values[-1] < found.high[1]
    assert "a sample of 96" in found.sample


def test_the_regularizer_is_part_of_it(subject):
    bare = ends(subject(), "test", examples=60, subsets=2, steps=15)
    full = ends(subject(regularizer=L2(0.5)), "test", examples=60, subsets=2, steps=15)
    # biases are no weights to L2, so the spectrum does not just move
    assert full.ritz.values[-1] > bare.ritz.values[-1] + 0.2


def test_a_regularizer_of_the_batch_is_part_of_it(subject):
    # At h = weight the objective is the loss at x + h sign(g), and nothing but that has curvature.
    term = InputGradient(0.3, power=1)
    full = ends(subject(regularizer=term), "test", examples=60, subsets=2, steps=15)
    moved = subject()
    inputs, targets = moved.take("train")
    inputs.requires_grad_()
    (g,) = torch.autograd.grad(moved.losses(moved.model(inputs), targets).sum(), inputs)
    data = {"train": (inputs.detach() + 0.3 * g.sign(), targets)}
    alone = ends(subject(data=data), "test", examples=60, subsets=2, steps=15)
    assert full.ritz.values[-1] == pytest.approx(alone.ritz.values[-1], rel=1e-3)


class Batches:
    """Subsets of a linear regression, whose Hessian is that of its inputs' second moments."""

    def __init__(self, generator, root, count, examples):
        self.probe = torch.randn(len(root), dtype=torch.float64, generator=generator)
        drawn = torch.randn(count, examples, len(root), dtype=torch.float64, generator=generator)
        self.matrices = [x.T @ x / examples for x in drawn @ root]

    def on_batch(self, number):
        return lambda v: self.matrices[number] @ v


@pytest.mark.wrong_types
def test_the_interval_holds_as_often_as_it_says():
    # 0.96 nominal; of 150 samples more than 15 misses have probability below 1e-3.
    root = torch.diag(torch.tensor([2.0, 1.6, *[1.0] * 6], dtype=torch.float64))
    generator = torch.Generator().manual_seed(0)
    missed = 0
    for _ in range(150):
        values, others = _subsets(Batches(generator, root, 4, 40), 4, 8, None)
        low = others[:, 1].mean() - _reach(others)[1]
        high = values[:, 1].mean() + _reach(values)[1]
        missed += not low <= 4.0 <= high
    assert missed <= 15


def test_a_model_that_has_nothing_to_differentiate_is_refused(subject, net):
    frozen = net(0).requires_grad_(requires_grad=False)
    with pytest.raises(ArgumentError, match="no parameters that require a gradient"):
        ends(subject(frozen), "test", examples=60, subsets=2, steps=5)


def test_the_cost_counts_two_gradients_per_product(subject):
    def cost(examples, steps):
        [spent] = shared(subject(), examples=examples, subsets=4, steps=steps).values()
        return spent

    assert cost(40, 30) == 2 * 40 * (30 + 5 + 15 + 6)
    assert cost(40, 10) == 2 * 40 * (10 + 5 + 10 + 6)
    assert cost(4000, 10) == 2 * 60 * (10 + 5)  # of the whole part there are no subsets to compare


def test_without_a_train_part_it_is_the_part_there_is(net, blobs):
    made = Subject(net(0, nn.Linear(4, 1)), {"test": (blobs(20)[0], torch.zeros(20, 1))},
                   SquaredError())  # fmt: skip
    assert ends(made, "test", examples=99, subsets=2, steps=5).part == "test"
    assert np.isfinite(ends(made, "test", examples=99, subsets=2, steps=5).high).all()
