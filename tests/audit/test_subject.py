import json

import pytest
import torch
from torch import nn

from wellposed.audit import Descent, Subject
from wellposed.audit._subject import weights_digest
from wellposed.errors import ArgumentError
from wellposed.losses import CrossEntropy, SquaredError
from wellposed.regularizers import L2, InputGradient


class Wrong(nn.Module):
    """Gives whatever it is told to."""

    def __init__(self, gives):
        super().__init__()
        self.gives = gives

    def forward(self, inputs):
        return self.gives(inputs)


def test_a_draw_of_rows_is_the_same_at_every_call_and_another_for_another_seed(subject):
    one, other = subject(), subject(seed=0)
    rows = one.rows("train", 20)
    assert torch.equal(rows, other.rows("train", 20))
    assert torch.equal(rows, rows.sort().values)
    assert len(rows.unique()) == 20
    assert not torch.equal(rows, Subject(one.model, one.parts, seed=1).rows("train", 20))
    assert torch.equal(one.rows("train", 1000), torch.arange(60))


def test_batches_are_what_take_gives_in_pieces(subject):
    made = subject(batch_size=7)
    inputs, targets = made.take("train", 20)
    pieces = list(made.batches("train", 20))
    assert [len(x) for x, _ in pieces] == [7, 7, 6]
    assert torch.equal(torch.cat([x for x, _ in pieces]), inputs)
    assert torch.equal(torch.cat([y for _, y in pieces]), targets)


def test_outputs_are_those_of_eval_mode_and_measured_once(subject, net):
    calls = []
    model = net(0, nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 3)).train()
    model.register_forward_hook(lambda *_: calls.append(model.training))
    made = subject(model, batch_size=10)
    calls.clear()
    outputs, targets = made.outputs("test")
    assert made.outputs("test", 1000)[0] is outputs
    assert calls == [False] * 3
    assert model.training
    assert torch.equal(outputs, model.eval()(made.take("test")[0]).detach())
    assert torch.equal(targets, made.take("test")[1])


def test_the_objective_is_mean_loss_plus_regularizer(subject):
    made, plain = subject(regularizer=L2(0.5)), subject()
    batch = made.take("test")
    squares = sum(p.square().sum() for p in made.parameters if p.dim() > 1)
    torch.testing.assert_close(made.objective(*batch) - plain.objective(*batch), squares / 4)


def test_the_objective_holds_a_regularizer_of_the_batch_with_the_loss_of_the_subject(subject):
    loss, term = CrossEntropy(label_smoothing=0.2), InputGradient(0.1, power=1)
    made = subject(loss=loss, regularizer=term)
    inputs, targets = made.take("test")
    whole = term.objective(made.model, inputs, targets, loss)
    torch.testing.assert_close(made.objective(inputs, targets), whole)


def test_quiet_gives_attention_second_derivatives_and_modes_back(subject, net):
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)

        def forward(self, inputs):
            return self.inner(inputs.unsqueeze(1).expand(-1, 3, -1)).mean(1)

    made = subject(net(0, Attention(), nn.Linear(4, 3)).train())
    with torch.no_grad(), made.quiet() as model:
        assert not model.training
        value = made.objective(*made.take("test", 3))
        grads = torch.autograd.grad(value, made.parameters, create_graph=True)
        again = torch.autograd.grad(sum(g.square().sum() for g in grads), made.parameters)
    assert any(g.any() for g in again)
    assert all(m.training for m in made.model.modules())


def test_a_generator_of_a_check_repeats(subject):
    made = subject()
    drawn = [torch.rand(3, generator=made.generator(n)).tolist() for n in ("a", "a", "b")]
    assert drawn[0] == drawn[1] != drawn[2]


def test_what_is_dear_is_made_once(subject):
    made, calls = subject(), []
    for _ in range(2):
        assert made.cached("key", lambda: calls.append(1) or "value") == "value"
    assert calls == [1]


def test_looking_at_it_first_draws_nothing(net, blobs):
    class Noisy(nn.Module):
        def forward(self, inputs):
            return inputs + torch.randn_like(inputs)

    model = net(0, Noisy(), nn.Linear(4, 3))
    before = torch.get_rng_state()
    Subject(model, blobs())
    assert torch.equal(torch.get_rng_state(), before)


def test_classes_are_numbers_where_nobody_names_them(subject, blobs):
    x, y = blobs()
    assert subject().classes == ("0", "1", "2")
    assert subject(classes=["a", "b", "c"]).require_classes("x") == ("a", "b", "c")
    assert subject(data=(x, y.float())).classes == ()
    assert subject(loss=SquaredError()).classes == ()
    assert subject(nn.Linear(4, 1), loss=lambda o, t: (o[:, 0] - t) ** 2).classes == ()
    with pytest.raises(ArgumentError, match="gap is about classifiers"):
        subject(classes=()).require_classes("gap")


def test_a_verdict_is_about_the_part_kept_apart(subject, blobs):
    assert subject().judged == "test"
    assert subject(data={"train": blobs(), "validation": blobs()}).judged == "validation"
    only = subject(data={"train": blobs()})
    assert only.judged == "train"
    with pytest.raises(ArgumentError, match="gap needs a test part, and the data have train"):
        only.require_part("test", "gap")


def test_frozen_and_tied_parameters(subject, net):
    first = nn.Linear(4, 4)
    model = net(0, first, nn.Tanh(), first, nn.Linear(4, 3).requires_grad_(False))
    assert [tuple(p.shape) for p in subject(model).require_parameters("x")] == [(4, 4), (4,)]
    with pytest.raises(ArgumentError, match="taylor differentiates by the weights"):
        subject(model.requires_grad_(False)).require_parameters("taylor")


def test_an_optimizer_is_taken_for_its_step(subject, net):
    model = net()
    made = subject(model, descent=torch.optim.SGD(model.parameters(), 0.25))
    assert made.descent == Descent("sgd", 0.25)


def test_a_subject_is_told_apart_by_weights_data_and_loss(subject, net, blobs):
    said = subject().describe()
    assert said == json.loads(json.dumps(said)) == subject().describe()
    assert said["parameters"] == 67
    assert said["parts"] == {"train": 60, "test": 30}
    others = [
        subject(net(1)),
        subject(data={"train": blobs(60, 1), "test": blobs(30, 3)}),
        subject(loss=SquaredError()),
        subject(name="mine"),
    ]
    assert all(other.describe() != said for other in others)


def test_what_json_has_kept_of_an_adam_is_the_same_subject(subject):
    said = subject(descent=Descent("adam", lr=0.01, betas=(0.9, 0.999))).describe()
    assert said == json.loads(json.dumps(said))
    assert said["descent"]["betas"] == [0.9, 0.999]


def test_the_digest_sees_names_types_shapes_and_the_sign_of_zero():
    zero = torch.zeros(2, 2)
    states = [{"a": zero}, {"b": zero}, {"a": zero.reshape(4)}, {"a": zero.int()}, {"a": -zero}]
    assert len({weights_digest(state) for state in states}) == 5
    assert weights_digest({"a": torch.zeros(0), "b": zero.bfloat16()}) == weights_digest(
        {"a": torch.zeros(0), "b": zero.bfloat16().clone()}
    )


@pytest.mark.parametrize(
    ("model", "said"),
    [
        pytest.param(
            len, "found a builtin_function_or_method as the", marks=pytest.mark.wrong_types
        ),
        (nn.Linear(5, 3), r"Linear cannot take the test inputs, shape \(2, 4\) and torch.float32"),
        (Wrong(lambda x: (x, x)), "Wrong gives a tuple for 2 inputs"),
        (Wrong(lambda x: x.sum()), r"a tensor of shape \(\) for 2 inputs"),
        (Wrong(lambda x: x.double() @ x.T), "Wrong cannot take the test inputs.*RuntimeError"),
    ],
    ids=range(5),
)
def test_a_model_that_cannot_be_examined_is_said(subject, model, said):
    with pytest.raises(ArgumentError, match=said):
        subject(model)


def test_other_arguments_that_mean_nothing_are_said(subject):
    with pytest.raises(ArgumentError, match="4 classes are named"):
        subject(classes="abcd")
    with pytest.raises(ArgumentError, match="batch_size is at least 1"):
        subject(batch_size=0)
    made = subject(loss=nn.CrossEntropyLoss())
    with pytest.raises(ArgumentError, match=r"shape \(\) for 30 examples.*reduction='none'"):
        made.objective(*made.take("test"))


def test_a_model_without_parameters_is_on_the_cpu(subject):
    made = subject(nn.Identity(), classes=())
    assert made.device.type == "cpu"
    assert made.parameters == []


@pytest.mark.parametrize("step", [1, -1])
def test_labels_without_a_logit_are_refused_in_one_sentence(net, blobs, step):
    x, y = blobs(30)
    said = rf"train labels are {step} to {2 + step}, where .* gives 3 logits"
    with pytest.raises(ArgumentError, match=said):
        Subject(net(), {"train": (x, y + step), "test": (x, y)})


def test_one_logit_is_no_classifier_for_cross_entropy(net, blobs):
    x, y = blobs(30)
    with pytest.raises(ArgumentError, match=r"gives 1 logit per example: class numbers are 0 to 0"):
        Subject(net(0, nn.Linear(4, 1)), (x, y.clamp(max=1)))


def test_labels_that_the_loss_leaves_out_stop_only_checks_about_classes(net, blobs):
    x, y = blobs(30)
    made = Subject(net(), (x, torch.where(torch.arange(30) < 7, -100, y)))
    with pytest.raises(
        ArgumentError, match=r"gap needs class numbers, and the test labels are -100"
    ):
        made.require_classes("gap")
    assert made.losses(made.model(x), made.take("test")[1])[:7].abs().max() == 0
