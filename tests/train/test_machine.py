import os

import pytest
import torch

from wellposed.errors import ArgumentError
from wellposed.train import Plan
from wellposed.train._machine import choose_device, settings


def test_auto_takes_the_first_there_is(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu") == choose_device("cpu")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("mps") == choose_device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("cuda")


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ArgumentError, match=r"'cuda'.*none.*device='auto'"):
        choose_device("cuda")


def test_settings_are_put_back(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    threads = torch.get_num_threads()
    plan = Plan(threads=threads + 1, deterministic=True)
    with pytest.raises(KeyError), settings(plan, torch.device("cuda")):  # noqa: PT012
        assert torch.get_num_threads() == threads + 1
        assert torch.are_deterministic_algorithms_enabled()
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
        raise KeyError
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


def test_without_a_wish_nothing_is_changed(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    threads = torch.get_num_threads()
    with settings(Plan(), torch.device("cpu")):
        assert torch.get_num_threads() == threads
        assert not torch.are_deterministic_algorithms_enabled()
    with settings(Plan(deterministic=True), torch.device("cpu")):
        assert torch.are_deterministic_algorithms_enabled()
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
