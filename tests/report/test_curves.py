import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellposed.report._curves import Curve, mean_curve, read_history, smooth, thin

ordinates = st.lists(st.floats(), max_size=300)


@given(y=ordinates, most=st.integers(4, 50))
def test_thinned_curve_is_small_and_keeps_its_extremes(y, most):
    curve = Curve(tuple(range(len(y))), tuple(y))
    found = thin(curve, most)
    assert len(found.x) <= max(most, 3 * (most // 2) + 2)
    assert list(found.x) == sorted(set(found.x))
    if curve.finite:
        assert min(found.finite) == min(curve.finite)
        assert max(found.finite) == max(curve.finite)
        assert math.isfinite(sum(found.finite)) or max(map(abs, found.finite)) > 1e300
    if y:
        assert (found.x[0], found.x[-1]) == (0, len(y) - 1)


def test_gap_survives_thinning():
    y = [1.0] * 500 + [math.nan] + [1.0] * 500
    assert any(math.isnan(value) for value in thin(Curve(tuple(range(1001)), tuple(y)), 50).y)


def test_mean_over_common_part():
    one = Curve((0, 10, 20, 30), (0.0, 1.0, 2.0, 3.0))
    other = Curve((10, 20, 40), (3.0, math.nan, 3.0))
    found = mean_curve([one, other])
    assert found == Curve((10, 20, 30), (2.0, 2.5, 3.0))


@pytest.mark.parametrize(
    "curves",
    [
        [],
        [Curve((1,), (math.nan,))],
        [Curve((0, 1), (1, 1)), Curve((5, 6), (1, 1))],
    ],
    ids=["none", "nothing finite", "nothing in common"],
)
def test_no_mean(curves):
    assert mean_curve(curves) is None


def test_log_becomes_curves(run_folder):
    gaps = []
    history = read_history(run_folder, gaps)
    assert gaps == []
    assert (history.step, history.epoch) == (780, 20)
    assert list(history.curves) == [
        "objective", "loss", "penalty", "error train", "lr", "gradient_norm", "optimizer gamma",
        "optimizer kappa", "optimizer mean_distance", "error validation", "loss validation",
    ]  # fmt: skip
    assert history.curves["lr"].x[:2] == (20, 40)


def test_what_is_no_number_is_passed_over(make_run, tmp_path):
    folder = make_run(tmp_path / "run", steps=0)
    for record in (
        {"event": "train", "step": "1", "loss": 1.0},
        {"event": "train", "step": True, "loss": 1.0},
        {"event": "train", "step": math.inf, "loss": 1.0},
        {"event": "party", "step": 1, "loss": 1.0},
        {"event": "train", "step": 2, "loss": "much", "lr": True, "optimizer": [1]},
        {"event": "train", "step": 3, "loss": 10**400, "objective": math.nan},
        {"event": "train", "step": 4, "optimizer": {"phase": "inner", "gamma": 1}},
    ):
        folder.log.append(record)
    history = read_history(folder, [])
    assert list(history.curves) == ["objective", "optimizer gamma"]
    assert history.step == 4


def test_damaged_log_keeps_what_came_before(make_run, tmp_path):
    folder = make_run(tmp_path / "run", steps=100)
    with folder.log.path.open("ab") as file:
        file.write(b"{garbage}\n{}\n")
    gaps = []
    assert read_history(folder, gaps).step == 100
    assert "line 8, is damaged" in gaps[0]


def test_empty_log_is_said(make_run, tmp_path):
    gaps = []
    assert read_history(make_run(tmp_path / "run", steps=0), gaps).curves == {}
    assert gaps == ["log.jsonl holds no records, so there are no curves."]


def test_long_log_and_many_names_stay_small(make_run, tmp_path):
    folder = make_run(tmp_path / "run", steps=0)
    lines = [f'{{"event":"train","step":{k},"loss":{math.sin(k)}}}\n' for k in range(9_000)]
    lines += [
        f'{{"event":"evaluation","step":9000,"split":"s{k}","error":0.5}}\n' for k in range(500)
    ]
    folder.log.path.write_text("".join(lines))
    history = read_history(folder, [])
    assert len(history.curves) <= 40
    assert len(history.curves["loss"].x) <= 602
    assert max(history.curves["loss"].y) == max(np.sin(np.arange(9_000)))


def test_curve_of_nothing_finite_is_thinned_too():
    curve = Curve(tuple(range(1000)), (math.nan,) * 1000)
    assert len(thin(curve, 10).x) <= 7


def test_smooth_takes_means_over_equal_stretches():
    rng = np.random.default_rng(0)
    x, y = np.arange(600.0), rng.normal(size=600)
    found = smooth(Curve(tuple(x), tuple(y)), 6)
    edges = [np.minimum((x / 599 * 6).astype(int), 5) == k for k in range(6)]
    assert found.y == pytest.approx([y[edge].mean() for edge in edges])
    assert found.x == pytest.approx([x[edge].mean() for edge in edges])


def test_smooth_leaves_short_curves_and_skips_gaps():
    short = Curve((0, 1), (math.nan, 2.0))
    assert smooth(short) is short
    gap = Curve((0, 1, 2, 100), (1.0, math.nan, 3.0, 5.0))
    assert smooth(gap, 2) == Curve((1.0, 100.0), (2.0, 5.0))
    same = Curve((7.0,) * 3, (1.0, 2.0, 3.0))
    assert smooth(same, 2) == Curve((7.0,), (2.0,))
