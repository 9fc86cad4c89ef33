from math import comb

import pytest
import torch
from torch import nn

from wellposed.audit import Subject, examine
from wellposed.audit._inputs import beyond_chance
from wellposed.data import Digits, Standardization, load
from wellposed.runs import Pictures, Verdict


class Any(nn.Module):
    """Takes whatever comes."""

    def __init__(self, classes=10):
        super().__init__()
        self.classes = classes

    def forward(self, x):
        return torch.zeros(len(x), self.classes)


def parts(seed, n=(600, 200), shape=(1, 6, 6)):
    generator = torch.Generator().manual_seed(seed)
    return {
        part: (torch.rand(size, *shape, generator=generator), torch.arange(size) % 10)
        for part, size in zip(("train", "test"), n, strict=True)
    }


def found(data, **known):
    return examine(Subject(Any(), data, **known), ["inputs"])["inputs"]


def test_healthy_parts_raise_no_alarm():
    assert all(found(parts(seed), seed=seed).verdict is Verdict.PASS for seed in range(20))


def test_digits_pass():
    finding = found(load(Digits()))
    assert finding.verdict is Verdict.PASS
    assert "equal" in finding.verified


def test_a_part_scaled_by_255_fails():
    data = parts(0)
    data["test"] = (data["test"][0] * 255, data["test"][1])
    finding = found(data)
    assert finding.verdict is Verdict.FAIL
    assert finding.value == 1.0
    assert finding.threshold.kind == "null distribution"
    assert finding.where == "test"
    assert found(data, input_range=(0.0, 1.0)).threshold.kind == "arithmetic"


def test_a_part_divided_once_too_often_is_found():
    data = parts(0)
    data["test"] = (data["test"][0] / 255, data["test"][1])
    assert found(data, input_range=(0.0, 1.0)).verdict is Verdict.FAIL  # by its narrow spread


def test_a_part_standardized_by_itself_or_not_at_all():
    data = parts(0)
    x = data["train"][0]
    data["train"] = ((x - 0.5) / 0.29, data["train"][1])
    assert found(data).verdict in {Verdict.WARN, Verdict.FAIL}


def test_the_range_is_that_of_raw_inputs():
    known = Standardization((0.5,), (0.25,))
    data = {k: (known.apply(x), y) for k, (x, y) in parts(0).items()}
    healthy = found(data, standardization=known, input_range=(0.0, 1.0))
    assert healthy.verdict is Verdict.PASS
    data["test"][0][7] += 9
    broken = found(data, standardization=known, input_range=(0.0, 1.0))
    assert broken.verdict is Verdict.FAIL
    assert "1 of 200 inputs outside the recorded range [0, 1]" in broken.statement
    assert [p.caption for p in broken.figures[1].rows[0]] == ["test 7"]
    three = Standardization((0.5, 0.4, 0.3), (0.25, 0.2, 0.1))
    color = {k: (three.apply(x), y) for k, (x, y) in parts(0, shape=(3, 6, 6)).items()}
    assert found(color, standardization=three, input_range=(0, 1)).verdict is Verdict.PASS


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_fails(value):
    data = parts(0)
    data["train"][0][3, 0, 2, 2] = value
    finding = found(data)
    assert finding.verdict is Verdict.FAIL
    assert "1 of 600 inputs that are not finite" in finding.statement
    assert isinstance(finding.figures[1], Pictures)


def test_constant_inputs_warn():
    data = parts(0)
    data["test"][0][11] = 0.5
    finding = found(data)
    assert finding.verdict is Verdict.WARN
    assert "constant" in finding.statement


def test_classes_that_train_lacks_fail_and_other_shares_warn():
    data = parts(0)
    x, y = data["train"]
    data["train"] = (x[y != 4], y[y != 4])
    missing = found(data)
    assert missing.verdict is Verdict.FAIL
    assert "classes that train lacks: 4" in missing.statement
    uneven = parts(0)
    uneven["test"][1][:100] = 0
    finding = found(uneven)
    assert finding.verdict is Verdict.WARN
    assert "shares of classes" in finding.statement


def test_the_chance_of_being_beyond_all_others():
    # k of n exceed the greatest of N: the k largest of N + n are all among the n
    for k, n, total in ((1, 5, 7), (3, 5, 7), (5, 5, 7)):
        assert beyond_chance(k, n, total) == pytest.approx(comb(n, k) / comb(n + total, k))
    assert beyond_chance(0, 5, 7) == 1
    assert beyond_chance(6, 5, 7) == 0


def test_few_examples_leave_it_open():
    finding = found(parts(0, n=(600, 4), shape=(30,)))
    assert finding.verdict is Verdict.UNKNOWN
    assert finding.interval[1] > 0.5


def test_tokens_one_part_and_regression():
    tokens = {k: (torch.randint(50, (300, 12)), torch.arange(300) % 10) for k in ("train", "test")}
    assert found(tokens).verdict is Verdict.PASS
    x = torch.randn(100, 5)
    line = Subject(nn.Linear(5, 1), (x, torch.randn(100, 1)), nn.MSELoss(reduction="none"))
    assert examine(line, ["inputs"])["inputs"].verdict is Verdict.PASS
