import pytest
import torch
from torch import nn

from wellposed.audit._subject import weights_digest
from wellposed.audit._twin import twin
from wellposed.errors import ArgumentError
from wellposed.regularizers import L2


class Casts(nn.Module):
    """Computes in a type of its own, and gives back the type it was given."""

    def __init__(self, dtype, *, back=True):
        super().__init__()
        self.dtype, self.back = dtype, back

    def forward(self, inputs):
        found = torch.tanh(inputs.to(self.dtype))
        return found.to(inputs.dtype) if self.back else found


class Stubborn(nn.Module):
    """Cannot be copied."""

    def __deepcopy__(self, memo):
        raise TypeError("no copies")

    def forward(self, inputs):
        return inputs


def test_it_is_the_objective_in_float64_on_a_copy(subject):
    made = subject(regularizer=L2(0.1))
    before = weights_digest(made.model.state_dict())
    found = twin(made, "x", 5)
    assert found.precision == "float64"
    assert found.inputs.dtype == torch.float64
    value = found.objective(found.inputs)
    torch.testing.assert_close(value.float(), made.objective(*made.take("train", 5)))
    with torch.no_grad():
        found.parameters[0].zero_()
    assert weights_digest(made.model.state_dict()) == before
    assert made.model[0].weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("layer", "precision"),
    [
        (Casts(torch.float32), "float32"),
        (Casts(torch.float32, back=False), "float32"),
        (Casts(torch.bfloat16), "bfloat16"),
        (Casts(torch.float64), "float64"),
        (nn.Dropout(0.5), "float64"),
    ],
    ids=["inside", "outside", "bfloat16", "float64", "dropout"],
)
def test_the_least_precise_step_is_found(subject, net, layer, precision):
    made = subject(net(0, nn.Linear(4, 4), layer, nn.Linear(4, 3)).train(), loss=None)
    found = twin(made, "x", 5)
    assert found.precision == precision
    assert not found.model.training


def test_targets_that_are_no_class_numbers_follow(subject, net):
    x = torch.randn(20, 4)

    def loss(outputs, targets):
        return nn.functional.binary_cross_entropy_with_logits(
            outputs, targets, reduction="none"
        ).squeeze(1)

    made = subject(net(0, nn.Linear(4, 1)), data=(x, (x[:, :1] > 0).float()), loss=loss)
    found = twin(made, "x", 5)
    assert found.targets.dtype == torch.float64
    assert found.losses(found.model(found.inputs), found.targets).dtype == torch.float64


def test_weights_of_a_torch_loss_follow(subject):
    weight = torch.tensor([1.0, 2.0, 3.0])
    made = subject(loss=nn.CrossEntropyLoss(weight=weight, reduction="none"))
    assert twin(made, "x", 5).precision == "float64"
    assert made.loss.weight.dtype == torch.float32


def test_a_tensor_with_a_graph_that_a_module_keeps_is_copied(subject, net):
    class Keeps(nn.Module):
        def __init__(self):
            super().__init__()
            self.factor = nn.Parameter(torch.ones(4))

        def forward(self, inputs):
            self.kept = 2 * self.factor
            return inputs * self.kept

    made = subject(net(0, Keeps(), nn.Linear(4, 3)))
    made.objective(*made.take("train", 3))
    assert not made.model[0].kept.is_leaf
    found = twin(made, "x", 5)
    assert found.precision == "float64"
    found.objective(found.inputs).backward()
    assert made.model[0].factor.grad is None


def test_integers_stay(subject, net):
    tokens = (torch.randint(0, 5, (9, 4)), torch.arange(9) % 3)
    model = net(0, nn.Embedding(5, 2), nn.Flatten(), nn.Linear(8, 3))
    assert twin(subject(model, data=tokens), "x", 4).inputs.dtype == torch.int64


def test_what_cannot_be_copied_or_evaluated_is_said(subject, net):
    with pytest.raises(ArgumentError, match=r"x works on a copy .* TypeError: no copies"):
        twin(subject(net(0, Stubborn(), nn.Linear(4, 3))), "x", 5)
    model = net()
    with torch.no_grad():
        model[2].bias.fill_(float("inf"))
    with pytest.raises(ArgumentError, match=r"x differentiates the objective, which is not finite"):
        twin(subject(model), "x", 5)
    with pytest.raises(ArgumentError, match=r"the loss gives shape \(\).*reduction='none'"):
        twin(subject(loss=nn.CrossEntropyLoss()), "x", 5)


def test_values_are_told_apart_by_the_rounding_of_1_or_of_the_largest_output(subject, net):
    small = twin(subject(net(0, nn.Linear(4, 3))), "x", 5)
    with torch.no_grad():
        small.parameters[0].mul_(1e-3)
        small.parameters[1].copy_(torch.tensor([0.1, 0.2, 0.3]))
        assert small.grain() == 2**-52
        small.parameters[1].copy_(torch.tensor([0.0, -64.0, 1.0]))
    assert small.grain() == pytest.approx(64 * 2**-52, rel=1e-3)
