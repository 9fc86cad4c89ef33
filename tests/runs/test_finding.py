import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellposed.errors import ArgumentError, RunFolderError
from wellposed.runs import Bars, Finding, Picture, Pictures, Threshold, Verdict
from wellposed.runs._json import dumps

INF, NAN = math.inf, math.nan
ABOVE = Threshold(1.0, "above", "theorem", "1 = 1")
BELOW = Threshold(1.0, "below", "arithmetic", "1 = 1")
HABIT = Threshold(1.0, "above", "convention", "everybody does")


def through_json(finding):
    """The finding after it was written as strict JSON and read again."""
    value, files = finding.to_dict()
    return Finding.from_dict(json.loads(dumps(value)), files)


@pytest.mark.parametrize(
    ("threshold", "interval", "verdict"),
    [
        (ABOVE, (1.1, 2.0), "fail"),
        (ABOVE, (0.5, 1.0), "pass"),
        (ABOVE, (0.5, 1.1), "unknown"),
        (ABOVE, (1.0, 1.1), "unknown"),
        (BELOW, (0.1, 0.9), "fail"),
        (BELOW, (1.0, INF), "pass"),
        (BELOW, (0.9, 1.5), "unknown"),
        (HABIT, (1.1, 2.0), "warn"),
        (HABIT, (0.1, 2.0), "unknown"),
        (ABOVE, (NAN, 0.5), "unknown"),
        (ABOVE, (2.0, NAN), "unknown"),
        (ABOVE, (2.0, 1.5), "unknown"),
        (ABOVE, (INF, INF), "fail"),
    ],
    ids=range(13),
)
def test_an_interval_is_judged_as_a_whole(threshold, interval, verdict):
    assert threshold.judge(interval).value == verdict


def test_the_worst_may_be_set_to_a_warning():
    assert ABOVE.judge((2.0, 3.0), Verdict.WARN) is Verdict.WARN
    assert ABOVE.judge((0.0, 3.0), Verdict.WARN) is Verdict.UNKNOWN


@given(low=st.floats(), width=st.floats(0, 10), bad=st.sampled_from(["above", "below"]))
def test_a_failure_that_judge_gives_is_one_that_a_finding_takes(low, width, bad):
    threshold, interval = Threshold(1.0, bad, "theorem", "t"), (low, low + width)
    verdict = threshold.judge(interval)
    made = Finding("x", verdict, "s", low, interval, threshold=threshold)
    assert made.verdict is verdict


def test_a_convention_never_fails():
    with pytest.raises(ArgumentError, match="ece fails by a convention, which can only warn"):
        Finding("ece", Verdict.FAIL, "s", 2.0, (1.5, 2.5), threshold=HABIT)
    assert Finding("ece", Verdict.WARN, "s", 2.0, (1.5, 2.5), threshold=HABIT)


@pytest.mark.parametrize(
    ("value", "interval"),
    [(2.0, (0.9, 3.0)), (2.0, (0.5, 0.9)), (0.5, None), (NAN, None), (2.0, (NAN, 3.0))],
    ids=range(5),
)
def test_a_failure_lies_wholly_beyond_its_threshold(value, interval):
    with pytest.raises(ArgumentError, match="not wholly above 1"):
        Finding("x", Verdict.FAIL, "s", value, interval, threshold=ABOVE)


def test_a_failure_with_a_threshold_has_measured_something():
    with pytest.raises(ArgumentError, match="x fails with None"):
        Finding("x", Verdict.FAIL, "s", threshold=ABOVE)
    assert Finding("x", Verdict.FAIL, "There is no such file.")
    assert Finding("x", Verdict.FAIL, "s", 1.5, threshold=ABOVE)


@pytest.mark.wrong_types
def test_a_threshold_has_one_of_five_grounds():
    with pytest.raises(ArgumentError, match="a threshold of kind 'hunch'; kinds are theorem"):
        Threshold(0, "above", "hunch", "")


def test_the_most_urgent_comes_first():
    order = sorted(Verdict, key=lambda verdict: verdict.rank)
    assert [v.value for v in order] == ["fail", "warn", "unknown", "pass"]


@pytest.mark.parametrize(
    ("value", "interval"),
    [(0.1, (0.1, 0.3)), (INF, (1e-300, INF)), (-INF, (-INF, -INF)), (None, None), (3.0, None)],
    ids=range(5),
)
def test_comes_back_the_same(value, interval):
    made = Finding(
        "blur",
        Verdict.WARN,
        "It is blurred.",
        value,
        interval,
        0.95,
        "share",
        threshold=Threshold(INF, "below", "null distribution", "N(0, 1)"),
        where="layer 3",
        evidence={"n": 3, "seeds": [1, 2], "names": {"a": "b"}},
        verified="twice",
        remedy="less of it",
        remedied=-INF,
        figures=(
            Bars("b", ("x",), (1.0,)),
            Pictures("p", ((Picture(b"one"),),)),
            Pictures("q", ((Picture(b"two"),),)),
        ),
        family="invariance",
        gradients=12,
        seconds=0.25,
    )
    assert through_json(made) == made
    assert set(made.to_dict()[1]) == {"audit/blur-1-000.png", "audit/blur-2-000.png"}


def test_nan_comes_back_as_nan():
    back = through_json(Finding("x", Verdict.UNKNOWN, "s", NAN, (NAN, 1.0)))
    assert math.isnan(back.value)
    assert math.isnan(back.interval[0])
    assert back.interval[1] == 1.0


@pytest.mark.parametrize(
    "damage",
    [
        {"verdict": "maybe"},
        {"interval": [1]},
        {"value": "many"},
        {"value": []},
        {"threshold": {"value": 1}},
        {"threshold": 3},
        {"figures": [{"kind": "bars"}]},
        {"figures": 3},
    ],
    ids=range(8),
)
def test_damage_is_said(damage):
    value, files = Finding("x", Verdict.PASS, "s", 0.5, threshold=ABOVE).to_dict()
    with pytest.raises(RunFolderError, match="damaged"):
        Finding.from_dict(value | damage, files)
    with pytest.raises(RunFolderError, match="damaged"):
        Finding.from_dict({k: v for k, v in value.items() if k != "check"}, files)


def test_what_was_spent_is_added_and_a_family_kept():
    made = Finding("x", Verdict.PASS, "s").spent(7, 0.5, "signal")
    assert (made.gradients, made.seconds, made.family) == (7, 0.5, "signal")
    assert made.spent(8, 1.0, "data").family == "signal"
