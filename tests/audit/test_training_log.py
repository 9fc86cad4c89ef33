import math

import numpy as np
import pytest
import torch
from scipy.stats import linregress

from wellposed.audit._training_log import (
    Column,
    block_means,
    guess_loss,
    number,
    slope,
    training_log,
)
from wellposed.errors import ArgumentError
from wellposed.losses import SquaredError


@pytest.mark.wrong_types
def test_a_log_of_ours_and_one_of_others(subject):
    ours = [
        {"event": "train", "step": 4, "objective": 1.0, "loss": 0.9, "lr": 0.1},
        {"event": "evaluation", "step": 4, "split": "train", "n": 9, "loss": 0.5},
        {"event": "evaluation", "step": 4, "split": "validation", "n": 9, "loss": 2, "error": 0.5},
        {"event": "train", "step": 8, "objective": "nan", "gradient_norm": "inf"},
    ]
    found = training_log(subject(log=ours), "a")
    np.testing.assert_equal(found.train["objective"].value, [1.0, math.nan])
    np.testing.assert_equal(found.train["gradient_norm"].value, [math.inf])
    assert found.train["lr"].step.tolist() == [4]
    assert found.part == "validation"
    assert {name: c.value.tolist() for name, c in found.validation.items()} == {
        "loss": [2.0], "error": [0.5], "n": [9.0],
    }  # fmt: skip
    theirs = [
        {"train_loss": torch.tensor(1.5), "learning_rate": np.float32(0.5), "val_loss": 3},
        "a line of text",
        {"step": 5, "loss": "12", "grad_norm": True},
        {"step": 2, "loss": 0.5},
    ]
    found = training_log(subject(log=theirs), "a")
    assert found.train["objective"].value.tolist() == [1.5, 0.5]
    assert found.train["objective"].step.tolist() == [0, 2]
    assert found.train["lr"].value.tolist() == [0.5]
    assert found.validation["loss"].value.tolist() == [3.0]
    assert "gradient_norm" not in found.train


def test_what_cannot_be_read_is_said_in_one_sentence(subject):
    for log in (None, []):
        with pytest.raises(ArgumentError, match="plateau reads the log of training, and this subj"):
            training_log(subject(log=log), "plateau")
    found = training_log(subject(log=[{"step": 1, "loss": "nan"}]), "a")
    with pytest.raises(ArgumentError, match="a needs at least 9 records with objective or loss"):
        found.column("objective", "a", 9)
    with pytest.raises(ArgumentError, match="1 of 1 with objective are not"):
        found.column("objective", "a", 1)
    with pytest.raises(ArgumentError, match="and the log has 0"):
        found.column("lr", "a", 1)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(3, 3.0), ("inf", math.inf), (True, None), ("3", None), (None, None), ([], None)],
)
def test_numbers(value, wanted):
    assert number(value) == wanted
    assert number(10**400) is None


def test_a_figure_keeps_the_extremes():
    values = np.zeros(5000)
    values[[1234, 4321]] = 7, -7
    x, y = Column(np.arange(5000.0), values).few()
    assert len(x) <= 600
    assert (max(y), min(y)) == (7, -7)
    assert 1234 in x


def test_means_and_the_loss_of_guessing(subject):
    assert block_means(np.arange(6.0), 3).tolist() == [0.5, 2.5, 4.5]
    assert block_means(np.arange(2.0), 9).tolist() == [0.0, 1.0]
    assert guess_loss(subject()) == pytest.approx(math.log(3))
    inputs = torch.ones(5, 4)
    parts = {"test": (inputs, torch.ones(5, 3))}
    assert guess_loss(subject(data=parts, loss=SquaredError())) is None


def test_the_slope_of_a_line():
    rng = np.random.default_rng(0)
    x, y = np.arange(9.0), rng.normal(size=9)
    oracle = linregress(x, y)
    value, low, high = slope(x, y, 0.9)
    assert value == pytest.approx(oracle.slope)
    assert (high - low) / 2 == pytest.approx(1.894578605 * oracle.stderr)  # t with 7 degrees
