import json
import math

import numpy as np
import pytest
from scipy import stats as reference

from wellposed.compare import Entry, Outcome, judge

COST = {"gradient_evaluations": 100.0, "seconds": 2.0, "cpu_seconds": 1.5, "optimizer_bytes": 8.0}


def run(method, seed, error, cost=COST, examples=10_000):
    return Outcome(Entry(method, seed), error, "test", examples, cost)


def judged(errors, **settings):
    outcomes = [run(m, s, e, **settings) for m, row in errors.items() for s, e in enumerate(row)]
    return judge(outcomes, dict.fromkeys(errors, "sgd"))


def test_means_errors_and_intervals_are_student_s():
    row = [0.03, 0.04, 0.06]
    found = judged({"a": row, "b": [0.05, 0.06, 0.07]}).methods[0]
    error = np.std(row, ddof=1) / math.sqrt(3)
    low, high = reference.t.interval(0.95, 2, loc=np.mean(row), scale=error)
    assert found.mean == pytest.approx(np.mean(row))
    assert found.standard_error == pytest.approx(error)
    assert found.interval == pytest.approx((max(low, 0), high))
    assert found.runs == ("runs/a/seed-0", "runs/a/seed-1", "runs/a/seed-2")
    assert found.gradient_evaluations == 100.0


def test_pairs_are_compared_seed_by_seed():
    a, b = [0.03, 0.05, 0.09, 0.04], [0.04, 0.06, 0.101, 0.05]
    found = judged({"a": a, "b": b})
    d = np.subtract(a, b)
    error = np.std(d, ddof=1) / 2
    low, high = reference.t.interval(0.95, 3, loc=d.mean(), scale=error)
    assert found.pairs[0].difference == pytest.approx(d.mean())
    assert found.pairs[0].interval == pytest.approx((low, high))
    assert found.pairs[0].decided
    assert "a errs less than b" in found.pairs[0].statement


def test_all_pairs_hold_together():
    rows = {"a": [0.01, 0.02, 0.03], "b": [0.02, 0.04, 0.06], "c": [0.5, 0.7, 0.6]}
    found = judged(rows)
    d = np.subtract(rows["a"], rows["b"])
    half = reference.t.ppf(1 - 0.05 / 3 / 2, 2) * np.std(d, ddof=1) / math.sqrt(3)
    assert found.pairs[0].interval == pytest.approx((d.mean() - half, d.mean() + half))
    assert len(found.pairs) == 3


def test_equal_differences_of_one_example_decide_nothing():
    found = judged({"a": [0.10, 0.12, 0.11], "b": [0.11, 0.13, 0.12]}, examples=100)
    assert found.pairs[0].difference == pytest.approx(-0.01)
    assert not found.pairs[0].decided
    assert "No winner" in found.statement


def test_seeds_that_can_find_nothing_are_said():
    found = judged({"a": [0.1, 0.3], "b": [0.3, 0.1], "c": [0.2, 0.6]})
    assert found.statement.endswith("no difference can be found.")


def test_a_clear_winner_is_named():
    found = judged({"a": [0.010, 0.011, 0.012], "b": [0.2, 0.2, 0.202]})
    assert found.best.name == "a"
    assert found.statement.startswith("a has the smallest test error, 1.10 %.")


def test_no_winner_where_the_means_overlap_although_pairs_differ():
    base = np.array([0.05, 0.10, 0.20, 0.30])
    found = judged({"a": base, "b": base + np.array([0.010, 0.011, 0.010, 0.011])})
    assert found.pairs[0].decided
    assert found.statement.startswith("No winner: seed by seed a errs less than every other, but")


def test_a_single_seed_decides_nothing():
    found = judged({"a": [0.1], "b": [0.2]})
    assert found.pairs == ()
    assert found.methods[0].standard_error is None
    assert found.methods[0].interval is None
    assert found.detectable is None
    assert found.statement == (
        "A single seed decides nothing: in this one a had the smallest test error."
    )
    assert "in this one a, b had the smallest" in judged({"a": [0.1], "b": [0.1]}).statement


def test_a_single_method_is_only_measured():
    found = judged({"a": [0.1, 0.12]})
    assert found.statement == ""
    assert found.methods[0].mean == pytest.approx(0.11)


def test_a_diverged_run_is_counted_and_said():
    outcomes = [
        run("a", 0, 0.1),
        Outcome(Entry("a", 1), 1.0, "", 0, {}, "nan at step 3"),
        run("b", 0, 0.2),
        run("b", 1, 0.2),
    ]
    found = judge(outcomes, {"a": "sgd", "b": "adam"})
    assert found.methods[0].errors == (0.1, 1.0)
    assert found.methods[0].mean == pytest.approx(0.55)
    assert found.methods[0].diverged == (1,)
    assert found.methods[0].seconds == 2.0
    assert "a diverged in 1 of 2 runs; each counts with an error of 100 %." in found.statement
    assert found.equal_budget


@pytest.mark.parametrize("seeds", [1, 2])
def test_all_runs_diverged_is_still_a_verdict(seeds):
    outcomes = [Outcome(Entry(m, s), 1.0, "", 0, {}, "nan") for m in "ab" for s in range(seeds)]
    found = judge(outcomes, {"a": "sgd", "b": "adam"})
    assert found.metric == "test error"
    assert found.methods[0].gradient_evaluations is None
    assert not any(pair.decided for pair in found.pairs)
    assert found.detectable is None
    assert found.statement.endswith("100 %. No run came to its end, so nothing can be said.")


def test_unequal_budgets_are_said():
    outcomes = [run("a", s, 0.1) for s in (0, 1)]
    outcomes += [run("b", s, 0.2, cost=COST | {"gradient_evaluations": 200.0}) for s in (0, 1)]
    found = judge(outcomes, {"a": "sgd", "b": "sgd"})
    assert not found.equal_budget
    assert "did not take equally many gradients" in found.statement


@pytest.mark.parametrize(("methods", "seeds"), [(2, 3), (2, 5), (4, 3)])
def test_what_could_have_been_seen_is_said(methods, seeds):
    # With true difference d the t test at the pairs' level finds it in 80 % of the cases.
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(20000, seeds))
    rows = {"a": list(0.3 + 0.01 * noise[0])} | {name: [0.3] * seeds for name in "bcd"}
    found = judged(dict(list(rows.items())[:methods]))
    couples = methods * (methods - 1) / 2
    variances = [np.var(0.01 * noise[0], ddof=1)] * (methods - 1)
    spread = math.sqrt(sum(variances) / couples)
    shift = found.detectable / spread  # in units of the standard deviation
    samples = noise + shift
    t = samples.mean(1) / (samples.std(1, ddof=1) / math.sqrt(seeds))
    power = np.mean(np.abs(t) > reference.t.ppf(1 - 0.025 / couples, seeds - 1))
    assert power == pytest.approx(0.8, abs=0.01)
    assert "would more likely than one time in five be missed" in found.statement


@pytest.mark.parametrize("methods", [2, 4])
def test_equal_methods_are_rarely_told_apart(methods):
    # A/A: the share of races that decide any pair is at most 5 %, up to the simulation's error.
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(400):
        seeds = rng.normal(0.1, 0.02, size=3)  # shared by all methods of a seed
        rows = {str(k): list(seeds + rng.normal(0, 0.005, 3)) for k in range(methods)}
        wrong += any(pair.decided for pair in judged(rows).pairs)
    assert wrong / 400 < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)


def test_a_comparison_is_json():
    found = judged({"a": [0.1, 0.12], "b": [0.2, 0.22]}).to_dict()
    again = json.loads(json.dumps(found, allow_nan=False))
    assert again["methods"][0]["name"] == "a"
    assert {"metric", "level", "seeds", "methods", "pairs", "statement"} <= again.keys()
