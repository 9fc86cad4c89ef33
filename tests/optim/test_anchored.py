"""What holds for every optimizer with an anchor, on the smallest one there is."""

import pytest
import torch
from torch import nn

from wellposed.errors import ArgumentError
from wellposed.optim import Anchored


class Shadow(Anchored):
    """Keeps in its state what the weights were before each step."""

    def __init__(self, params):
        super().__init__(params, {"inner_index": 0, "outer_index": 0, "at_anchor": False})

    @torch.no_grad()
    def step(self, closure=None):  # noqa: ARG002
        self.check_training()
        for p in self.param_groups[0]["params"]:
            self.state[p]["anchor"] = p.clone()
            p.sub_(p.grad)
        self.param_groups[0]["inner_index"] += 1

    def finish_cycle(self):
        self.eval()

    def diagnostics(self):
        return {}

    def _exchange(self, *, to_anchor):  # noqa: ARG002
        for p, slots in self.state.items():
            kept = p.clone()
            p.copy_(slots["anchor"])
            slots["anchor"] = kept


@pytest.fixture
def weight():
    return nn.Parameter(torch.tensor([3.0]))


@pytest.fixture
def stepped(weight):
    optimizer = Shadow([weight])
    weight.grad = torch.ones(1)
    optimizer.step()
    return optimizer


def test_it_cannot_be_made_itself(weight):
    with pytest.raises(TypeError, match="abstract"):
        Anchored([weight], {})


def test_eval_and_train_exchange_and_may_be_repeated(weight, stepped):
    assert stepped.phase == (1, 0)
    for _ in range(2):
        stepped.eval()
        assert weight.item() == 3.0
    for _ in range(2):
        stepped.train()
        assert weight.item() == 2.0


def test_the_context_puts_back_what_was_there(weight, stepped):
    with stepped.at_anchor():
        assert weight.item() == 3.0
        with stepped.at_anchor():
            assert weight.item() == 3.0
        assert weight.item() == 3.0
    assert weight.item() == 2.0
    stepped.eval()
    with pytest.raises(RuntimeError, match="inside"), stepped.at_anchor():
        raise RuntimeError("inside")
    assert weight.item() == 3.0


def test_a_step_at_the_anchor_is_refused(stepped):
    stepped.eval()
    with pytest.raises(ArgumentError, match="while the model holds the anchor; call train"):
        stepped.step()
