import pytest

from wellposed.train import Plan
from wellposed.train._cadence import Cadence


@pytest.mark.parametrize(
    ("epochs", "per_epoch", "expected"),
    [(20, 38, 10), (1, 469, 10), (100, 469, 94), (3, 5, 5), (1000, 5000, 100), (10, 13, 13)],
)
def test_by_default_an_epoch_is_cut_into_equal_parts(epochs, per_epoch, expected):
    cadence = Cadence(Plan(epochs=epochs), per_epoch)
    assert cadence.log_every == expected
    assert cadence.total_steps == epochs * per_epoch
    assert cadence.logs(per_epoch)
    at = [step for step in range(1, per_epoch + 1) if cadence.logs(step)]
    gaps = [b - a for a, b in zip([0, *at], at, strict=False)]
    assert max(gaps) <= max(expected, per_epoch % expected)


def test_what_the_plan_says_is_done():
    plan = Plan(log_every=4, evaluate_every=3, checkpoint_every=7)
    cadence = Cadence(plan, 10)
    assert [s for s in range(1, 21) if cadence.logs(s)] == [4, 8, 10, 14, 18, 20]
    assert [s for s in range(1, 21) if cadence.evaluates(s)] == [3, 6, 9, 12, 15, 18]
    assert [s for s in range(1, 21) if cadence.saves(s)] == [7, 14]


def test_epochs_are_the_default_for_evaluations_and_the_clock_for_checkpoints():
    cadence = Cadence(Plan(), 10)
    assert [s for s in range(1, 31) if cadence.evaluates(s)] == [10, 20, 30]
    assert not any(cadence.saves(s) for s in range(1, 31))
    cadence = Cadence(Plan(checkpoint_every="epoch"), 10)
    assert [s for s in range(1, 31) if cadence.saves(s)] == [10, 20, 30]
