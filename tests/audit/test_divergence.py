import math

import numpy as np
import pytest
from tests.audit.trainings import train

from wellposed.audit import divergence, examine
from wellposed.errors import ArgumentError
from wellposed.runs import Verdict


def falling(n=60):
    return [{"step": k, "objective": 2.0 * 0.9**k, "lr": 0.5} for k in range(n)]


def test_where_the_log_stops_being_finite(subject):
    log = falling()
    log[41]["objective"] = "nan"
    log[40] |= {"gradient_norm": "inf"}
    finding = divergence(subject(log=log))
    assert finding.verdict is Verdict.FAIL
    assert finding.statement == (
        "Training diverged: 2 of 121 logged numbers are not finite, first the gradient norm at "
        "step 40."
    )
    assert finding.where == "step 40"
    assert finding.value == 2
    assert finding.remedy.startswith("[optimizer] lr = 0.05 instead of 0.5")
    assert finding.verified.endswith("equal")


def test_what_the_training_loop_said(subject):
    failure = (
        "the loss became nan at step 5 (last finite value 1.2e+31)\n  first seen in  layer 2\n"
        "  try            lr=1e+05 instead of 1e+06"
    )
    finding = divergence(subject(log=None, failure=failure))
    assert finding.verdict is Verdict.FAIL
    assert finding.where == "step 5"
    assert finding.statement.startswith(
        "Training diverged: the loss was not finite at step 5 (last"
    )
    assert finding.remedy == "lr=1e+05 instead of 1e+06"
    assert divergence(subject(log=falling(), failure="the disk is full")).verdict is Verdict.PASS


def test_a_late_rise_is_measured_exactly(subject):
    log = falling(60) + [{"step": 60 + k, "objective": 1.5} for k in range(10)]
    finding = divergence(subject(log=log))
    assert finding.verdict is Verdict.WARN
    assert finding.value == pytest.approx((1.5 - 0.0052) / (2 - 0.0052), abs=2e-3)
    assert finding.interval[0] == pytest.approx(finding.value)


def test_worse_than_guessing_fails(subject):
    rng = np.random.default_rng(0)
    log = [{"step": k, "objective": 2 * math.log(3) + rng.random()} for k in range(40)]
    finding = divergence(subject(log=log))
    assert finding.verdict is Verdict.FAIL
    assert finding.threshold.value == pytest.approx(math.log(3))
    assert finding.interval[0] > math.log(3)


@pytest.mark.parametrize("seed", range(20))
def test_healthy_trainings_pass(subject, seed):
    log = train(seed, examples=2000, steps=120)
    assert divergence(subject(log=log)).verdict is Verdict.PASS


def test_it_runs_on_weights_that_are_not_finite(subject):
    made = subject(log=falling())
    made.model[0].weight.data.fill_(math.nan)
    assert examine(made, ["divergence"])["divergence"].verdict is Verdict.PASS


@pytest.mark.parametrize("log", [None, [], [{"step": 1, "loss": 1.0}], ["x"] * 20])
@pytest.mark.wrong_types
def test_without_a_log_it_says_so(subject, log):
    with pytest.raises(ArgumentError, match=r"^divergence (reads|needs)"):
        divergence(subject(log=log))
