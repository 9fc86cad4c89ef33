"""Every member goes on bit for bit from any phase of its cycle, in whichever way it was kept."""

import copy
import pickle

import pytest
import torch
from tests.optim.members import OURS
from tests.optim.tiny import copies, equal, run, switch, weights

pytestmark = pytest.mark.simulation

STEPS, LATER = 12, 6  # at least two cycles of up to 5 steps, and one more end

ours = pytest.mark.parametrize("make", OURS.values(), ids=OURS)
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)


def trail(make, dtype):
    """The weights after each step of an undisturbed run."""
    params = weights(dtype)
    optimizer = make(params)
    found = [copies(params)]
    for _ in range(STEPS + LATER):
        run(optimizer, params, 1)
        found.append(copies(params))
    return found


@ours
@dtypes
@pytest.mark.parametrize("evaluating", [False, True], ids=["training", "evaluating"])
def test_from_a_checkpoint_at_every_phase(make, dtype, evaluating):
    expected = trail(make, dtype)
    params = weights(dtype)
    optimizer = make(params)
    for step in range(STEPS):
        switch(optimizer, to_anchor=evaluating)
        twins = copies(params)
        again = make(twins)
        again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        switch(again, to_anchor=False)
        switch(optimizer, to_anchor=False)
        assert equal(params, expected[step])
        assert equal(twins, expected[step])
        run(again, twins, LATER)
        assert equal(twins, expected[step + LATER])
        run(optimizer, params, 1)
    assert not equal(params, expected[0])


@ours
@dtypes
@pytest.mark.parametrize(
    "twin",
    [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))],
    ids=["copied", "pickled"],
)
def test_from_a_twin_at_every_phase(make, dtype, twin):
    expected = trail(make, dtype)
    params = weights(dtype)
    optimizer = make(params)
    for step in range(STEPS):
        twins, again = twin((params, optimizer))
        run(again, twins, LATER)
        assert equal(twins, expected[step + LATER])
        assert equal(params, expected[step])
        run(optimizer, params, 1)
