import math

from wellposed.report._charts import Team, constants, race_charts, run_charts
from wellposed.report._curves import Curve, History


def curve(*y):
    return Curve(tuple(range(len(y))), tuple(y))


def history(**curves):
    return History({name.replace("_", " ", 1): c for name, c in curves.items()}, 1, 1)


def test_charts_of_a_run():
    curves = {
        "objective": curve(3, 2, 1),
        "loss": curve(2, 1, 0.5),
        "penalty": curve(1, 1, 0.5),
        "error train": curve(0.9, 0.1, 0.01),
        "error validation": curve(0.9, 0.2, 0.05),
        "gradient_norm": curve(1, 2, 1),
        "optimizer mine": curve(3, 2, 1),
        "optimizer gamma": curve(1, 2, 3),
        "lambda_min": curve(-2, -1),
        "optimizer kappa": curve(0.1, 0.1),
        "optimizer inner_index": curve(1, 2),
    }
    found = {chart.heading: chart for chart in run_charts(History(curves))}
    assert list(found) == [
        "Objective",
        "Error",
        "Gradient norm",
        "Pull: gamma",
        "Most negative curvature: lambda_min",
        "mine",
    ]
    assert found["mine"].note.startswith("as the optimizer reports it; from 3.00 to 1.00")
    assert found["Pull: gamma"].note.startswith("to the anchor, the inverse of t; ")
    assert ">loss</text>" in found["Objective"].narrow
    assert ">validation</text>" in found["Error"].narrow
    note = found["Error"].note.replace("\u00a0", " ")
    assert note == (
        "fraction of examples wrong; train from 90.0 % to 1.0 %, lowest 1.0 %; "
        "validation from 90.0 % to 5.0 %, lowest 5.0 %; logarithmic scale"
    )
    assert constants(History(curves)) == [("kappa", "0.1")]


def test_penalty_of_zero_does_not_double_the_objective():
    curves = {"objective": curve(2, 1), "loss": curve(2, 1), "penalty": curve(0, 0)}
    [chart] = run_charts(History(curves))
    assert chart.narrow.count("<path") == 1


def test_objective_without_its_loss():
    [chart] = run_charts(History({"objective": curve(2, 1), "penalty": curve(1, 1)}))
    assert chart.narrow.count("<path") == 1


def test_run_without_curves_has_no_charts():
    assert run_charts(History()) == []
    assert constants(History()) == []


def test_curve_that_was_never_finite_is_drawn_empty():
    [chart] = run_charts(History({"objective": curve(math.nan, math.inf)}))
    assert "<path" not in chart.narrow
    assert chart.note == "mean loss + penalty on training batches"


def test_charts_of_a_race():
    teams = [
        Team("sgd", 0, [history(error_validation=curve(0.9, 0.05), objective=curve(3, 1))] * 3),
        Team("adamw", 1, [history(error_validation=curve(0.8, 0.04))]),
        Team("none", 2, []),
    ]
    first, second = race_charts(teams)
    assert (first.heading, second.heading) == ("Validation error", "Objective")
    assert first.narrow.count("faint") == 3
    assert first.narrow.count("<path") == 5
    assert ">sgd</text>" in first.wide
    assert ">adamw</text>" in first.wide
    assert ">sgd</text>" not in second.narrow
    assert second.wide == ""
    assert "sgd from 90.0" in first.narrow


def test_race_without_curves_has_no_charts():
    assert race_charts([Team("sgd", 0, [])]) == []
