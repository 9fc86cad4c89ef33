import pytest
import torch
from tests.audit.deep import Residual, chain, examples
from torch import nn

from wellposed.audit import Subject, collapse, examine
from wellposed.runs import Verdict


def found(model, seed=0, n=128):
    return examine(Subject(model, examples(n, seed)), ["collapse"], "quick")["collapse"]


def test_torchs_default_draw_makes_all_inputs_one():
    """Sizes do not show it: the biases hold them up (study 0.6)."""
    finding = found(chain(24, 128))
    assert finding.verdict is Verdict.FAIL
    assert finding.interval[0] > finding.threshold.value > 1e5
    assert "Inputs merge" in finding.statement
    assert "torch's default draw" in finding.statement
    assert finding.remedied < 10
    assert 'wellposed.init.He(), in a recipe init = "he"' in finding.remedy
    assert finding.verified.endswith("equal")
    assert [s.name for s in finding.figures[0].series] == [
        "two inputs", "mean-field theory", "an input and its perturbation"
    ]  # fmt: skip


def test_fewer_layers_only_warn():
    finding = found(chain(9, 64))
    assert finding.verdict is Verdict.WARN
    assert finding.threshold.value < finding.interval[0]


def test_a_chaotic_network_scatters_near_inputs():
    finding = found(chain(20, 64, nn.Tanh, scale=9.0))
    assert finding.verdict is Verdict.WARN
    assert "Inputs scatter" in finding.statement
    assert "variance 9" in finding.statement or "variance 8" in finding.statement


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: chain(8, 16, scale=2.0, seed=seed),
        lambda seed: chain(8, 16, nn.Tanh, scale=1.0, seed=seed),
        lambda seed: chain(8, 16, normalize=True, seed=seed),
        lambda seed: Residual(4, 16, normalize=True, seed=seed),
    ],
    ids=["He", "tanh", "batch", "residual"],
)
def test_healthy_twins_do_not_alarm(make):
    verdicts = [
        collapse(Subject(make(seed), examples(48, seed)), examples=48).verdict for seed in range(20)
    ]
    assert verdicts == [Verdict.PASS] * 20


def test_where_it_cannot_run_it_says_why():
    model = chain(3)
    x = torch.ones(20, 12)
    subject = Subject(model, {"train": (x, torch.arange(20) % 3)})
    finding = examine(subject, ["collapse"], "quick")["collapse"]
    assert finding.verdict is Verdict.UNKNOWN
    assert "distinct inputs" in finding.statement
