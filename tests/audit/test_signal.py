import math

import pytest
import torch
from tests.audit.deep import Residual, chain, examples
from torch import nn

from wellposed.audit import MeanField, Subject, examine, signal
from wellposed.runs import Verdict


def found(model, seed=0, data=None, **kwargs):
    subject = Subject(model, data or examples(seed=seed), **kwargs)
    return examine(subject, ["signal"], "quick")["signal"]


def per_layer(finding):
    return next(c["per layer"] for c in finding.evidence["chains"] if c["of"] == "gradients")


def test_a_deep_linear_network_of_orthogonal_matrices_is_exact():
    """Gradients and activations grow by g per layer, and nothing else happens."""
    for gain in (0.25, 1.0, 2.0):
        model = nn.Sequential(*(nn.Linear(12, 12, bias=False) for _ in range(9)))
        for layer in model:
            nn.init.orthogonal_(layer.weight, gain, torch.Generator().manual_seed(1))
        finding = found(model, data={"train": (examples()["train"][0], torch.arange(128) % 12)})
        assert per_layer(finding) == pytest.approx(gain, rel=1e-4)
        assert finding.value == pytest.approx(max(gain, 1 / gain) ** 8, rel=1e-3)
        assert finding.interval == pytest.approx((finding.value, finding.value), rel=1e-3)


def test_thirty_layers_of_tanh_vanish_and_the_cause_is_named():
    finding = found(chain(30, activation=nn.Tanh))
    assert finding.verdict is Verdict.FAIL
    assert finding.value > 1e6
    assert finding.interval[0] > 1e3
    assert "shrink" in finding.statement
    assert "torch's default draw, of variance 1/(3 fan in), which with Tanh" in finding.statement
    assert "equal to" in finding.verified
    assert finding.remedied < 10
    assert "wellposed.init" in finding.remedy
    assert finding.where == "0 to 60"


def test_the_factor_is_the_one_that_theory_gives():
    """Torch's default draw: a sixth of a gradient's power passes a ReLU layer."""
    factors = [per_layer(found(chain(20, 64, seed=k), k)) for k in range(5)]
    # 20 layers of width 64: the mean log of 5 networks has a standard deviation of 0.02
    assert math.prod(factors) ** 0.2 == pytest.approx(math.sqrt(1 / 6), rel=0.06)
    field = MeanField(torch.tanh, 4.0)
    chi = field.chi(field.fixed_point())
    factor = per_layer(found(chain(20, 64, nn.Tanh, scale=4.0)))
    assert factor == pytest.approx(math.sqrt(chi), rel=0.06)


@pytest.mark.parametrize("activation", [nn.Tanh, nn.ReLU])
def test_exploding_networks_are_found(activation):
    finding = found(chain(32, activation=activation, scale=9.0))
    assert finding.verdict is Verdict.FAIL
    assert "grow" in finding.statement
    assert "variance 9." in finding.statement or "variance 8." in finding.statement
    assert finding.remedied < 10
    if activation is nn.ReLU:
        assert "2/(fan in) would keep it" in finding.statement


def test_one_layer_that_lets_nothing_pass_is_named():
    model = chain(9, activation=nn.Tanh, scale=1.0)
    with torch.no_grad():
        model[8].weight *= 1e-6
    finding = found(model)
    assert finding.verdict is Verdict.FAIL
    assert "at 8" in finding.statement


def test_a_gradient_that_is_exactly_zero_below_a_dead_layer():
    model = chain(6, scale=2.0)
    with torch.no_grad():
        model[4].bias -= 1e3
    finding = found(model)
    assert finding.verdict is Verdict.FAIL
    assert finding.value == math.inf
    assert "exactly 0 at the first 6 of 7 Linear layers" in finding.statement


def test_saturation_is_told_from_a_wrong_variance():
    model = chain(8, activation=nn.Tanh, scale=1.0)
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.constant_(layer.bias, 3.0)
    assert "saturated" in found(model).statement


def test_sums_of_residual_branches_are_named_and_only_without_normalization():
    finding = found(Residual(16, normalize=False))
    assert finding.verdict is Verdict.FAIL
    assert "16 sums of a residual branch" in finding.statement
    assert found(Residual(16, normalize=True)).verdict is Verdict.PASS


def test_healthy_twins_do_not_alarm():
    """20 seeds each: He's and orthogonal weights, batch normalization, residual blocks."""

    def orthogonal(seed):
        model = chain(10, 16, nn.Tanh, seed=seed)
        for layer in model:
            if isinstance(layer, nn.Linear):
                nn.init.orthogonal_(layer.weight, 1, torch.Generator().manual_seed(seed))
        return model

    twins = {
        "He": lambda seed: chain(10, 16, scale=2.0, seed=seed),
        "orthogonal": orthogonal,
        "batch": lambda seed: chain(8, 16, normalize=True, seed=seed),
        "residual": lambda seed: Residual(4, 16, normalize=True, seed=seed),
    }
    verdicts = {
        name: [signal(Subject(make(seed), examples(32, seed))).verdict for seed in range(20)]
        for name, make in twins.items()
    }
    assert verdicts == {name: [Verdict.PASS] * 20 for name in twins}


def test_recurrent_networks_warn_but_cannot_lose_an_update_to_rounding():
    class Unrolled(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.head = nn.Linear(12, 12), nn.Linear(12, 3)

        def forward(self, x):
            for _ in range(16):
                x = torch.tanh(self.cell(x))
            return self.head(x)

    torch.manual_seed(0)
    finding = found(Unrolled())
    assert finding.verdict is Verdict.WARN
    assert "with tanh" in finding.statement


def test_says_what_it_did_not_see_and_where_there_is_no_depth():
    torch.manual_seed(0)
    finding = found(nn.Linear(12, 3))
    assert finding.verdict is Verdict.UNKNOWN
    assert "a network of one layer has no depth" in finding.statement

    class Constant(nn.Module):
        def forward(self, x):
            return x.detach()[:, :3]

    assert found(Constant()).verdict is Verdict.UNKNOWN


def test_numbers_beyond_float32_are_named_at_their_layer():
    finding = found(chain(30, scale=1e6))
    assert finding.verdict is Verdict.FAIL
    assert "activations are not finite, first at" in finding.statement


def test_trained_weights_are_told_that_the_remedy_is_for_a_new_training():
    model = chain(12, activation=nn.Tanh)
    with torch.no_grad():
        initial = {k: v.clone() for k, v in model.state_dict().items()}
        model[0].weight += 0.01
    assert "from the start" in found(model, initial=initial).remedy
    assert "from the start" not in found(model).remedy


def test_figures_show_gradients_activations_and_theory():
    finding = found(chain(10, activation=nn.Tanh))
    gradients, activations, table = finding.figures
    assert [s.name for s in gradients.series] == [
        "random combination of outputs", "mean-field theory", "loss, scaled to the last"
    ]  # fmt: skip
    measured, theory = gradients.series[:2]
    assert theory.y[0] == pytest.approx(measured.y[0], rel=1.0)  # ten layers of width 32
    assert gradients.log_y
    assert activations.series[0].name == "measured"
    assert len(table.rows) == 11


def test_a_last_layer_of_zeros_and_outputs_that_are_not_finite(net, blobs):
    model = net(0, nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    with torch.no_grad():
        model[2].weight.zero_()
    found = examine(Subject(model, blobs()), ["signal", "collapse"])
    assert found["signal"].verdict is Verdict.FAIL
    assert "most weights are 0" in found["signal"].statement
    assert found["collapse"].verdict is Verdict.FAIL
    with torch.no_grad():
        model[2].weight.fill_(3e38)
    found = examine(Subject(model, blobs()), ["signal", "collapse"])
    assert found["signal"].verdict is Verdict.FAIL
    assert found["collapse"].verdict is Verdict.UNKNOWN
    assert "those of 2 are not finite" in found["collapse"].statement


def test_functions_without_modules_are_not_seen_and_it_says_so(blobs):
    class Functions(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.ParameterList([nn.Parameter(torch.randn(4, 3))])

        def forward(self, inputs):
            return inputs @ self.table[0]

    found = examine(Subject(Functions(), blobs()), ["signal"])["signal"]
    assert "hooks see 0 with weights" in found.statement
