import math

import torch

from wellposed.train import Step
from wellposed.train._window import Window


def step(index, objective, wrong=1, penalty=0.25, examples=4):
    """A step that took `wrong` of its examples for class 0; without classes if None."""
    targets = torch.zeros(examples, 2) if wrong is None else (torch.arange(examples) < wrong).long()
    outputs = torch.tensor([[1.0, 0.0]]).expand(examples, 2)
    return Step(index, torch.tensor(objective), torch.tensor(penalty), (outputs,), (targets,), 1)


def test_means_are_per_step_and_errors_per_example():
    window = Window()
    window.add(step(1, 1.0, wrong=4))
    window.add(step(2, 2.5, wrong=0, examples=12))
    means = window.means()
    assert means == {"objective": 1.75, "loss": 1.5, "penalty": 0.25, "error": 0.25}
    window.clear()
    assert window.read() == []
    assert window.last_objective == 2.5


def test_errors_are_counted_per_step_whatever_their_sizes():
    window = Window()
    sizes = [(1, 0), (5, 5), (3, 1), (2, 2)]
    for index, (examples, wrong) in enumerate(sizes):
        window.add(step(index, 1.0, wrong=wrong, examples=examples))
    assert [(row[4], row[3]) for row in window.read()] == sizes


def test_outputs_are_let_go_of_after_64_steps():
    window = Window()
    for index in range(64):
        window.add(step(index, 1.0))
    assert window._pending == []
    assert window.means()["error"] == 0.25


def test_without_classes_there_is_no_error():
    window = Window()
    window.add(step(1, 1.0, wrong=None))
    assert window.means()["error"] is None


def test_names_the_first_step_that_is_not_finite_and_the_value_before():
    window = Window()
    window.add(step(1, 3.0))
    window.clear()
    assert window.first_not_finite() is None
    window.add(step(2, float("inf")))
    assert window.first_not_finite() == (2, math.inf, 3.0)
    window = Window()
    for index, value in enumerate([1.0, 2.0, float("nan"), float("inf")]):
        window.add(step(index + 10, value))
    index, found, last = window.first_not_finite()
    assert (index, last) == (12, 2.0)
    assert math.isnan(found)


def test_goes_on_in_the_middle_as_if_it_had_not_stopped():
    whole, first, second = Window(), Window(), Window()
    values = [0.1 * k + 1e-9 for k in range(7)]
    for index, value in enumerate(values):
        whole.add(step(index, value))
        (first if index < 4 else second).add(step(index, value))
        if index == 3:
            second.load_state_dict(first.state_dict())
    assert second.means() == whole.means()
    assert math.isnan(second.last_objective)
