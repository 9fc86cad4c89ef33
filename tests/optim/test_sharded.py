"""Every relaxation, data parallel and sharded: as in one process, and resumed exactly."""

import pytest


@pytest.mark.slow
def test_two_processes_that_share_the_work_train_as_one(pair):
    found = pair("sharded")
    assert found[0].keys() == found[1].keys()
    assert len(found[0]) >= 7
