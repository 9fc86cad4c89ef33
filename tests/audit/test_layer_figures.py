import math

from tests.audit.deep import chain, examples
from torch import nn

from wellposed.audit import Subject
from wellposed.audit._chain import propagate
from wellposed.audit._drift import drifts_of
from wellposed.audit._layer_figures import size_figures
from wellposed.runs import Curves, Listing


def of(model):
    subject = Subject(model, examples(32))
    found = propagate(subject, model, "train", 32)
    return size_figures(found, drifts_of(found, subject))


def test_curves_hold_one_point_per_layer_within_their_interval():
    gradients, activations, table = of(chain(5))
    assert isinstance(gradients, Curves)
    assert isinstance(table, Listing)
    for figure in (gradients, activations):
        line = figure.series[0]
        assert line.x == (1, 2, 3, 4, 5, 6)
        assert all(a <= b <= c for a, b, c in zip(line.low, line.y, line.high, strict=True))
    assert gradients.series[2].y[-1] == gradients.series[0].y[-1]
    assert table.rows[0][:2] == ("0", "ReLU")
    assert table.rows[-1][-1] == ""
    assert len({len(row) for row in table.rows}) == 1


def test_sizes_of_zero_leave_gaps_and_no_theory_no_line():
    model = chain(5, activation=lambda: nn.Softmax(1))
    gradients, _, _ = of(model)
    assert "mean-field theory" not in [s.name for s in gradients.series]
    dead = chain(5, scale=2.0)
    dead[4].weight.data.zero_()
    dead[4].bias.data.fill_(-1)
    gradients, activations, _ = of(dead)
    assert all(y > 0 or math.isnan(y) for f in (gradients, activations) for y in f.series[0].y)
