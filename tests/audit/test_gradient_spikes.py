import numpy as np
import pytest
from tests.audit.trainings import train

from wellposed.audit import gradient_spikes
from wellposed.audit._gradient_spikes import running_scores
from wellposed.errors import ArgumentError
from wellposed.runs import Verdict


def log_of(norms):
    return [{"step": 10 * k, "loss": 1.0, "gradient_norm": float(v)} for k, v in enumerate(norms)]


def test_planted_spikes_are_named(subject):
    rng = np.random.default_rng(0)
    norms = np.exp(rng.normal(0, 0.3, 200)) * np.linspace(3, 1, 200)
    norms[[50, 120]] *= 30
    finding = gradient_spikes(subject(log=log_of(norms)))
    assert finding.verdict is Verdict.WARN
    assert finding.value == 2
    assert finding.where == "step 500, step 1,200"
    assert finding.verified.endswith("equal")
    rest = np.delete(norms, [50, 120])
    assert finding.remedy.startswith(f"[train] clip_norm = {np.quantile(rest, 0.99):.2g}")
    assert finding.figures[1].rows[0][0] == "500"


@pytest.mark.parametrize("n", [20, 51, 400])
def test_false_alarms_keep_to_their_level(n):
    rng = np.random.default_rng(n)
    alarms = 0
    for _ in range(200):
        values = np.exp(rng.normal(0, 0.5, n))
        middle, scores, bound = running_scores(values)
        alarms += bool(((scores > bound) & (values > 3 * middle)).any())
    assert alarms <= 6  # 1 % of 200, and more with a probability of 0.5 %


@pytest.mark.parametrize("turned", [False, True])
def test_a_steep_decay_or_rise_is_no_spike(subject, turned):
    norms = 100 * 0.8 ** np.arange(60) + 1
    norms = norms[::-1] if turned else norms
    assert gradient_spikes(subject(log=log_of(norms))).verdict is Verdict.PASS


@pytest.mark.parametrize("seed", range(20))
def test_healthy_trainings_raise_no_alarm(subject, seed):
    log = train(seed, examples=2000, steps=120, schedule=lambda s: min(10 * s, 1.0))
    assert gradient_spikes(subject(log=log)).verdict is Verdict.PASS


def test_norms_of_zero_and_constant_norms(subject):
    assert gradient_spikes(subject(log=log_of(np.zeros(30)))).verdict is Verdict.PASS
    assert gradient_spikes(subject(log=log_of(np.ones(31)))).verdict is Verdict.PASS
    norms = np.ones(50)
    norms[30] = 1e300
    assert gradient_spikes(subject(log=log_of(norms))).value == 1


@pytest.mark.parametrize("log", [None, log_of([1.0] * 19), [{"step": 1, "loss": 1.0}] * 30])
def test_what_it_cannot_read_it_says(subject, log):
    with pytest.raises(ArgumentError, match=r"^gradient-spikes (reads|needs)"):
        gradient_spikes(subject(log=log))
