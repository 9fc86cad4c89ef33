import pytest
from jaxtyping import TypeCheckError

from wellposed.errors import ArgumentError
from wellposed.train import Plan


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("epochs", 2.5),
        ("batch_size", 0),
        ("batch_size", True),
        ("accumulate", 0),
        ("threads", 0),
        ("threads", 10**12),
        ("patience", 0),
        ("evaluate_every", -1),
        ("log_every", 0),
        ("checkpoint_every", 0),
        ("checkpoint_every", "often"),
        ("evaluate_every", "epoch"),
        ("precision", "float16"),
        ("device", "tpu"),
        ("monitor", "f1"),
        ("seed", -1),
        ("clip_norm", 0.0),
        ("ema", 1.0),
        ("ema", 0.0),
    ],
)
def test_refuses_what_is_out_of_range_and_says_what_was_found(field, value):
    with pytest.raises((ArgumentError, TypeCheckError), match=rf"{field}[\s\S]*{value!s:.1}"):
        Plan(**{field: value})


@pytest.mark.parametrize(
    ("examples", "batch_size", "accumulate", "per_epoch"),
    [(100, 10, 1, 10), (101, 10, 1, 11), (101, 10, 4, 3), (5, 10, 3, 1)],
)
def test_counts_steps(examples, batch_size, accumulate, per_epoch):
    plan = Plan(epochs=7, batch_size=batch_size, accumulate=accumulate)
    assert plan.steps_per_epoch(examples) == per_epoch
    assert plan.total_steps(examples) == 7 * per_epoch
