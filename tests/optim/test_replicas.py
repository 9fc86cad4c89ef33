"""Replicas in several processes."""

import pytest

from wellposed.errors import ArgumentError
from wellposed.optim import Replicas


def test_without_a_process_group_there_are_none():
    with pytest.raises(ArgumentError, match=r"without a process group.*init_process_group"):
        Replicas()


@pytest.mark.slow
def test_two_processes_are_two_replicas(pair):
    found = pair("replicas")
    assert found[0].keys() == found[1].keys()
    assert len(found[0]) >= 11
