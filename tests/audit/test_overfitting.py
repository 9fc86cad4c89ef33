import math

import numpy as np
import pytest
from tests.audit.trainings import train

from wellposed.audit import overfitting
from wellposed.audit._overfitting import _rise
from wellposed.audit._training_log import Column
from wellposed.errors import ArgumentError
from wellposed.runs import Verdict
from wellposed.stats import newcombe


def log_of(losses, errors=None, n=1000):
    log = [{"step": 10 * k, "objective": 1.0 / (k + 1)} for k in range(len(losses))]
    for k, loss in enumerate(losses):
        told = {} if errors is None else {"error": errors[k], "n": n}
        log.append(
            {"event": "evaluation", "step": 10 * k, "split": "validation", "loss": loss} | told
        )
    return log


def test_the_onset_and_the_rise_of_a_line_are_exact(subject):
    losses = [3, 2, 1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6]
    finding = overfitting(subject(log=log_of(losses)))
    assert finding.verdict is Verdict.WARN
    assert finding.value == pytest.approx(0.6)
    assert finding.interval == pytest.approx((0.6, 0.6))
    assert finding.where == "from step 20"
    assert "stop early, at step 20" in finding.remedy
    assert finding.verified.endswith("equal")


def test_a_rise_of_the_error_has_newcombes_interval(subject):
    errors = [0.5, 0.1, 0.1, 0.2]
    finding = overfitting(subject(log=log_of([1, 1, 1, 1], errors)))
    level = 1 - 0.05 / 3
    assert finding.verdict is Verdict.WARN
    assert finding.interval == pytest.approx(newcombe((200, 1000), (100, 1000), level))
    assert finding.level == pytest.approx(level)


def test_the_interval_of_the_rise_covers():
    rng = np.random.default_rng(0)
    true = np.concatenate([[3, 2, 1.0], 1 + 0.05 * np.arange(1, 13)])
    covered = 0
    for _ in range(500):
        losses = true + 0.02 * rng.normal(size=len(true))
        _, (low, high), level = _rise(Column(np.arange(15.0), losses))
        covered += low <= true[-1] / losses.min() - 1 <= high
    assert level == pytest.approx(0.99)
    assert covered >= 488  # 495 expected; fewer with a probability of 0.3 %


@pytest.mark.parametrize("seed", range(5))
def test_memorizing_is_found(subject, seed):
    log = train(seed, examples=40, noisy=0.4, hidden=64, steps=300, lr=1.0)
    finding = overfitting(subject(log=log))
    assert finding.verdict is Verdict.WARN
    assert finding.interval[0] > 0


@pytest.mark.parametrize("seed", range(20))
def test_healthy_trainings_raise_no_alarm(subject, seed):
    log = train(seed, examples=2000, steps=160, schedule=lambda s: 1 - s)
    assert overfitting(subject(log=log)).verdict in {Verdict.PASS, Verdict.UNKNOWN}


def test_few_evaluations_after_the_lowest_have_no_interval(subject):
    finding = overfitting(subject(log=log_of([3, 2, 1, 1.5])))
    assert finding.verdict is Verdict.UNKNOWN
    assert finding.interval is None
    finding = overfitting(subject(log=log_of([4, 3, 2, 1])))
    assert finding.verdict is Verdict.PASS
    assert finding.statement == "The validation loss is lowest at its last evaluation, step 30."


def test_errors_alone(subject):
    def errors_only(errors, **more):
        return [{"event": "evaluation", "step": k, "error": e} | more for k, e in enumerate(errors)]

    finding = overfitting(subject(log=errors_only([0.5, 0.1, 0.1, 0.1], n=10_000)))
    assert finding.verdict is Verdict.PASS
    finding = overfitting(subject(log=errors_only([0.5, 0.1, 0.1, 0.12], n=100)))
    assert finding.verdict is Verdict.UNKNOWN
    finding = overfitting(subject(log=errors_only([0.5, 0.1, 0.1, 0.1])))
    assert finding.verdict is Verdict.UNKNOWN
    assert "without the number of examples" in finding.statement


@pytest.mark.parametrize("log", [None, log_of([1, 2, 3]), log_of([1, 2, 3, math.nan])])
def test_what_it_cannot_read_it_says(subject, log):
    with pytest.raises(ArgumentError, match=r"^overfitting (reads|needs)"):
        overfitting(subject(log=log))
