import torch

from wellposed.data._store import Memory, Selected, unit


def test_memory_reads_rows_in_the_order_asked_for():
    store = Memory(torch.arange(12).view(4, 3).to(torch.uint8))
    assert len(store) == 4
    assert store.shape == (3,)
    assert store.read(torch.tensor([2, 0, 2])).tolist() == [[6, 7, 8], [0, 1, 2], [6, 7, 8]]


def test_memory_hands_out_copies():
    store = Memory(torch.zeros(3, 2))
    store.read(torch.tensor([0])).fill_(7)
    assert store.tensor.sum() == 0


def test_selections_compose():
    store = Memory(torch.arange(10.0).view(10, 1))
    once = Selected(store, torch.tensor([9, 7, 5, 3]))
    twice = Selected(once, torch.tensor([3, 1]))
    assert len(twice) == 2
    assert twice.shape == (1,)
    assert twice.read(torch.tensor([0, 1])).flatten().tolist() == [3.0, 7.0]


def test_bytes_are_255ths_and_floats_are_themselves():
    raw = torch.tensor([[0, 51, 255]], dtype=torch.uint8)
    assert unit(raw).tolist() == [[0.0, torch.tensor(51 / 255).item(), 1.0]]
    assert raw.tolist() == [[0, 51, 255]]
    values = torch.tensor([[1.5, -2.0]])
    assert torch.equal(unit(values), values)
