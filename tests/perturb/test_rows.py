import pytest
import torch
from torch import nn

from wellposed.perturb import L1, L2, CrossEntropy, Game, Linf, Margin, Rows
from wellposed.perturb._frozen import frozen


def rows_of(
    model, center, labels, *, eps=0.5, length=10, smallest=False, deepest=False, clock=0, ball=None
):
    n = len(center)
    names = ("round", "gradients", "forwards")
    counts = {name: torch.zeros(n, dtype=torch.int64) for name in names}
    columns = {
        "index": torch.arange(n),
        "center": center,
        "labels": labels,
        "examples": center.clone(),
        "margin": torch.full((n,), 9.0),
        "broken": torch.zeros(n, dtype=torch.bool),
        "size": torch.full((n,), torch.inf, dtype=torch.float64),
        "clock": torch.full((n,), clock),
        **counts,
    }
    game = Game(model, ball or Linf(eps), (0.0, 1.0), 0, length, smallest, deepest)
    return Rows(game, columns)


@pytest.fixture
def model():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4))
    with frozen(net, 0):
        yield net


CENTER = torch.rand(5, 2, 3, generator=torch.Generator().manual_seed(1))
LABELS = torch.tensor([0, 1, 2, 3, 0])


def test_slopes_are_those_of_each_example_alone(model):
    rows = rows_of(model, CENTER, LABELS)
    values, slopes = rows.slopes(CENTER, [CrossEntropy(), Margin()])
    assert slopes.shape == (5, 2, 2, 3)
    for i in range(5):
        for k, objective in enumerate([CrossEntropy(), Margin()]):
            x = CENTER[i : i + 1].clone().requires_grad_()
            value = objective(model(x), LABELS[i : i + 1])
            torch.testing.assert_close(values[i, k], value[0].detach())
            torch.testing.assert_close(slopes[i, k], torch.autograd.grad(value, x)[0][0])
    assert rows.columns["gradients"].tolist() == [2] * 5


def test_rows_in_their_last_step_get_the_value_and_pay_a_forward_pass(model):
    rows = rows_of(model, CENTER, LABELS, eps=0.0)
    rows.columns["broken"][:] = True  # so that nothing is asked again
    rows.columns["clock"] = torch.tensor([0, 9, 3, 9, 9])
    values, slopes = rows.gradient(CENTER, Margin())
    full_values, full_slopes = rows_of(model, CENTER, LABELS).gradient(CENTER, Margin())
    torch.testing.assert_close(values, full_values)
    torch.testing.assert_close(slopes[[0, 2]], full_slopes[[0, 2]])
    assert (slopes[[1, 3, 4]] == 0).all()
    assert rows.columns["gradients"].tolist() == [1, 0, 1, 0, 0]
    assert rows.columns["forwards"].tolist() == [0, 1, 0, 1, 1]
    rows.columns["clock"][:] = 9
    values, slopes = rows.gradient(CENTER, Margin())
    torch.testing.assert_close(values, full_values)
    assert (slopes == 0).all()


class Lead(nn.Module):
    """Two classes; class 0 leads by the first coordinate minus 0.3."""

    def forward(self, x):
        return torch.stack([x[:, 0] - 0.3, torch.zeros(len(x))], 1)


def test_a_constant_model_has_no_slope():
    class Constant(nn.Module):
        def forward(self, x):
            return torch.ones(len(x), 2)

    constant = rows_of(Constant(), torch.rand(3, 2), torch.zeros(3).long())
    assert (constant.gradient(constant.center, Margin())[1] == 0).all()


def test_keeps_the_best_point_inside_and_none_outside():
    rows = rows_of(Lead(), torch.full((1, 1), 0.9), torch.tensor([0]), eps=0.5)
    for x in (0.8, 0.5, 0.7, 0.2, -0.1):  # the last two leave the ball, and the bounds
        rows.logits(torch.tensor([[x]]))
    assert rows.best.item() == 0.5
    assert rows.margin.item() == pytest.approx(0.2)
    assert not rows.broken.any()
    rows = rows_of(Lead(), torch.full((1, 1), 0.1), torch.tensor([0]), eps=0.5)
    rows.columns["margin"][:] = 9
    rows.logits(torch.tensor([[-0.05]]))
    assert rows.margin.item() == 9


def test_a_point_that_breaks_is_asked_again_and_the_first_one_is_kept():
    rows = rows_of(Lead(), torch.full((2, 1), 0.6), torch.tensor([0, 0]), eps=0.5)
    rows.logits(torch.tensor([[0.25], [0.5]]))
    assert rows.broken.tolist() == [True, False]
    assert rows.columns["forwards"].tolist() == [2, 1]
    rows.logits(torch.tensor([[0.2], [0.3]]))  # a tie
    assert rows.broken.tolist() == [True, True]
    torch.testing.assert_close(rows.best, torch.tensor([[0.25], [0.3]]))


def test_what_breaks_only_once_is_not_broken():
    class Fickle(nn.Module):
        calls = 0

        def forward(self, x):
            self.calls += 1
            lead = torch.full((len(x),), 1.0 if self.calls % 2 == 0 else -1.0)
            return torch.stack([lead, torch.zeros(len(x))], 1)

    rows = rows_of(Fickle(), torch.full((3, 1), 0.6), torch.zeros(3).long())
    rows.logits(rows.center)
    assert not rows.broken.any()
    assert rows.margin.tolist() == [1.0] * 3
    assert rows.columns["forwards"].tolist() == [2] * 3


def test_the_smallest_that_breaks_is_kept():
    center = torch.full((1, 1), 0.6)
    rows = rows_of(Lead(), center, torch.tensor([0]), eps=0.5, smallest=True)
    kept = []
    for x in (0.4, 0.2, 0.25, 0.1, 0.28, 0.35):
        rows.logits(torch.tensor([[x]]))
        kept.append(round(rows.best.item(), 3))
    assert kept == [0.4, 0.2, 0.25, 0.25, 0.28, 0.28]
    assert rows.size.item() == pytest.approx(0.32)
    assert rows.broken.all()


def test_the_deepest_that_breaks_is_kept():
    center = torch.full((1, 1), 0.6)
    rows = rows_of(Lead(), center, torch.tensor([0]), eps=0.45, deepest=True)
    kept = []
    for x in (0.55, 0.4, 0.2, 0.3, 0.1, 0.16, 0.18):
        rows.logits(torch.tensor([[x]]))
        kept.append(round(rows.best.item(), 3))
    assert kept == [0.55, 0.4, 0.2, 0.2, 0.2, 0.16, 0.16]
    assert rows.margin.item() == pytest.approx(-0.14)
    assert rows.broken.all()


def test_random_numbers_differ_between_draws_steps_rounds_and_examples(model):
    rows = rows_of(model, CENTER, LABELS)
    drawn = [rows.uniform(4), rows.uniform(4)]
    rows.tick()
    drawn += [rows.uniform(4), rows.take(torch.tensor([4, 1])).uniform(4)]
    rows.columns["round"] += 1
    drawn.append(rows.uniform(4))
    values = torch.cat(drawn).flatten()
    assert len(values.unique()) == len(values)
    again = rows_of(model, CENTER, LABELS)
    assert torch.equal(again.uniform(4), drawn[0])
    assert torch.equal(again.take(torch.tensor([3])).uniform(4), drawn[1][3:4])


def test_begins_where_it_is_told(model):
    rows = rows_of(model, CENTER, LABELS, eps=0.1)
    assert torch.equal(rows.begin(random=False), CENTER)
    assert (rows.begin(random=True) - CENTER).abs().max() > 0.05
    rows.columns["begin"] = CENTER + 1
    assert torch.equal(rows.begin(random=True), Linf(0.1).project(CENTER + 1, CENTER))
    rows.columns["round"][1] = 1  # a restart is the attack's own
    assert torch.equal(rows.begin(random=False)[1], CENTER[1])


def test_rows_are_taken_and_joined_with_their_state(model):
    rows = rows_of(model, CENTER, LABELS)
    rows.state["x"] = torch.arange(5)
    mask = torch.tensor([True, False, False, True, True])
    both = rows.take(~mask).joined(rows.take(mask))
    assert both.index.tolist() == both.state["x"].tolist() == [1, 2, 0, 3, 4]
    assert len(rows.take(mask & False).joined(both)) == 5


@pytest.mark.parametrize("ball", [L2(0.1), L1(0.1)])
def test_what_a_bound_stops_gives_its_share_to_the_others(model, ball):
    center = torch.tensor([[[0.0, 1.0, 0.5], [0.0, 1.0, 0.25]]])
    slope = torch.tensor([[[-9.0, 8.0, 1.0], [7.0, -6.0, 0.0]]])
    free = torch.tensor([[[0.0, 0.0, 1.0], [7.0, -6.0, 0.0]]])
    rows = rows_of(model, center, LABELS[:1], ball=ball)
    torch.testing.assert_close(rows.uphill(center, slope), ball.steepest(free))
    box = rows_of(model, center, LABELS[:1])
    assert torch.equal(box.uphill(center, slope), slope.sign())
