"""One sentence for each wrong closure."""

import pytest
import torch

from wellposed.errors import ArgumentError
from wellposed.optim._answers import ask, backward_explained, scalar


def test_no_closure():
    with pytest.raises(ArgumentError, match=r"Name\.step\(\) got no closure.*that does this"):
        ask(None, "Name", "does this")


def test_a_closure_is_called_once():
    calls = []
    assert ask(lambda: calls.append(1) or 5, "Name", "") == 5
    assert calls == [1]


WRONG = [
    (None, "returned a NoneType"),
    (0.5, "returned a float"),
    (torch.ones(3), r"shape \(3,\).*mean"),
    (torch.tensor(torch.nan), r"a loss of nan.*not changed"),
    (torch.tensor(-torch.inf), "a loss of -inf"),
    (torch.tensor(1.0), r"without a graph.*detach"),
]


@pytest.mark.parametrize(("answer", "sentence"), WRONG, ids=[s[:14] for _, s in WRONG])
def test_no_loss(answer, sentence):
    with pytest.raises(ArgumentError, match=sentence) as caught:
        scalar(answer, "Name", graph=True)
    assert "Name" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_one_number_of_any_shape_is_a_loss(shape):
    answer = torch.ones(shape, requires_grad=True)
    assert scalar(answer, "Name", graph=True) is answer
    assert scalar(torch.ones(shape), "Name") == 1


def test_a_graph_that_is_used_up():
    loss = torch.ones(2, requires_grad=True).square().sum()
    loss.backward()
    with pytest.raises(ArgumentError, match=r"called backward\(\)"), backward_explained("Name"):
        loss.backward()


def test_other_errors_are_left_alone():
    with pytest.raises(RuntimeError, match="mine"), backward_explained("Name"):
        raise RuntimeError("mine")
