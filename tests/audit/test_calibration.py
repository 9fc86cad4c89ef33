import numpy as np
import pytest
import torch
from torch import nn

from wellposed.audit import Subject, calibration, examine
from wellposed.runs import Verdict
from wellposed.stats import expected_calibration_error


class Scaled(nn.Module):
    """Passes logits on, times a factor: 1 is calibrated."""

    def __init__(self, factor):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(float(factor)))

    def forward(self, x):
        return self.factor * x


def drawn(n, seed, classes=4):
    """Logits, and labels drawn from their softmax."""
    generator = torch.Generator().manual_seed(seed)
    z = 1.5 * torch.randn(n, classes, generator=generator)
    return z, torch.multinomial(z.softmax(1), 1, generator=generator)[:, 0]


def subject(factor, seed=0, n=2000, parts=("validation", "test"), **known):
    data = {part: drawn(n, 1000 * i + seed) for i, part in enumerate(parts)}
    return Subject(Scaled(factor), data, seed=seed, **known)


def found(*args, **known):
    return examine(subject(*args, **known), ["calibration"])["calibration"]


def test_a_network_that_is_too_sure_fails_and_is_cured():
    finding = found(3)
    assert finding.verdict is Verdict.FAIL
    assert finding.interval[0] > finding.threshold.value
    assert "overconfident" in finding.statement
    # the validation part alone chose T; the right one is 3
    assert finding.evidence["temperature"]["value"] == pytest.approx(3, rel=0.1)
    assert finding.remedied < finding.value / 3
    assert finding.evidence["after"]["p_value"] > 0.01
    assert "T = " in finding.remedy
    assert "equal" in finding.verified


def test_a_network_that_is_not_sure_enough():
    finding = found(0.3)
    assert finding.verdict is Verdict.FAIL
    assert "underconfident" in finding.statement


def test_a_little_too_sure_warns():
    finding = found(1.3, n=4000)
    assert finding.verdict is Verdict.WARN
    assert finding.evidence["p_value"] < 0.01


def test_the_number_is_that_of_the_bins():
    known = subject(3)
    finding = examine(known, ["calibration"])["calibration"]
    z, y = known.outputs("test")
    c, guess = z.double().softmax(1).max(1)
    right = expected_calibration_error(c.numpy(), (guess == y).numpy())
    assert finding.value == pytest.approx(right)


def test_healthy_networks_raise_no_alarm():
    verdicts = [calibration(subject(1, seed=seed, n=500), draws=500).verdict for seed in range(20)]
    assert verdicts.count(Verdict.PASS) >= 19


def test_without_a_validation_part_halves_scale_each_other():
    finding = found(3, parts=("test",))
    first, second = finding.evidence["temperature"]["value"]
    assert first != second
    assert first == pytest.approx(3, rel=0.15)
    assert "halves" in finding.evidence["temperature"]["fitted_on"]
    assert finding.remedied < finding.value / 3


def test_the_judged_labels_do_not_choose_the_temperature():
    one = subject(3)
    z, y = drawn(2000, 1000)
    data = {"validation": drawn(2000, 0), "test": (z, y.roll(1))}
    other = Subject(Scaled(3), data, seed=0)
    first, second = (examine(s, ["calibration"])["calibration"].evidence for s in (one, other))
    assert first["temperature"] == second["temperature"]
    assert first["scores"] != second["scores"]


def test_probabilities_instead_of_logits():
    data = {part: drawn(2000, i) for i, part in enumerate(("validation", "test"))}
    known = Subject(nn.Softmax(1), data)
    finding = examine(known, ["calibration"])["calibration"]
    assert finding.evidence["outputs"] == "probabilities"
    assert finding.verdict is Verdict.PASS


def test_two_classes_and_few_examples():
    data = {"test": drawn(60, 3, classes=2)}
    finding = examine(Subject(Scaled(1), data), ["calibration"])["calibration"]
    assert finding.evidence["bins"] == 3
    assert finding.verdict is Verdict.PASS


def test_a_network_that_knows_everything_has_no_temperature():
    z, _ = drawn(200, 0)
    known = Subject(Scaled(1), {"test": (z, z.argmax(1))})
    finding = examine(known, ["calibration"])["calibration"]
    assert finding.remedied is None
    assert "classified correctly" in finding.evidence["temperature"]["why"]


def test_figure_and_classes():
    finding = found(3)
    figure = finding.figures[0]
    assert [s.name for s in figure.series] == ["perfect", "as it is", "after temperature scaling"]
    assert len(figure.series[1].x) == 15
    assert (np.array(figure.series[1].low) <= np.array(figure.series[1].y)).all()
    classwise = finding.evidence["classwise"]
    assert classwise["error"] > 2 * classwise["null_mean"]


def test_a_temperature_beyond_all_numbers_is_no_remedy():
    for parts in (("validation", "test"), ("test",)):
        finding = examine(subject(-1, parts=parts), ["calibration"])["calibration"]
        assert finding.verdict is Verdict.FAIL
        assert finding.remedy.startswith("temperature scaling does not help: on the ")
        assert "the outputs say nothing about the labels, or the contrary" in finding.remedy
        assert finding.remedied is None
        assert [s.name for s in finding.figures[0].series] == ["perfect", "as it is"]


def test_what_it_cannot_judge():
    z, y = drawn(20, 0)
    few = examine(Subject(Scaled(1), (z, y)), ["calibration"])["calibration"]
    assert few.verdict is Verdict.UNKNOWN
    assert "at least 30 examples" in few.statement
    line = Subject(Scaled(1), (z, torch.randn(20, 4)), nn.MSELoss(reduction="none"))
    regression = examine(line, ["calibration"])["calibration"]
    assert regression.verdict is Verdict.UNKNOWN
    assert "is about classifiers" in regression.statement
