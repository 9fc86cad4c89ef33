import torch
from torch import nn

from wellposed.perturb import Linf, Margin, Pool
from wellposed.perturb._attack import Attack


class Lead(nn.Module):
    def forward(self, x):
        return torch.stack([x[:, 0] - 0.5, torch.zeros(len(x))], 1)


class Diary(Attack):
    """Notes who is in the batch, at which clock and in which round."""

    def __init__(self, calls, restarts, *, nearest):
        self.calls, self.restarts, self.smallest = calls, restarts, nearest
        self.notes = []

    def length(self, _ball):
        return self.calls

    def rounds(self, _classes):
        return self.restarts

    def start(self, rows):
        assert rows.clock.tolist() == [-1] * len(rows)
        assert not rows.state
        rows.state["x"] = rows.center.clone()

    def step(self, rows):
        entries = zip(rows.index.tolist(), rows.round.tolist(), rows.clock.tolist(), strict=True)
        self.notes.append(list(entries))
        rows.state["x"] = rows.project(rows.state["x"] - 0.1)
        rows.value(rows.state["x"], Margin())


X = torch.tensor([[0.9], [0.65], [0.4], [0.95], [0.55]])
Y = torch.zeros(5, dtype=torch.int64)


def test_who_is_done_leaves_and_the_next_one_enters():
    diary = Diary(3, 1, nearest=False)
    found = diary(Lead(), X, Y, Linf(0.3), pool=Pool(batch=2))
    assert found.broken.tolist() == [False, True, True, False, True]
    assert diary.notes == [
        [(0, 0, 0), (1, 0, 0)],
        [(0, 0, 1), (1, 0, 1)],
        [(0, 0, 2), (3, 0, 0)],  # 1 broke in two steps, 2 was broken from the start
        [(3, 0, 1), (4, 0, 0)],
        [(3, 0, 2)],
    ]
    assert found.forwards.tolist() == [4, 4, 1, 4, 3]  # one at the input, one to confirm
    assert found.gradients.sum() == 0


def test_the_batch_stays_full_while_examples_wait():
    diary = Diary(4, 1, nearest=False)
    x = 0.5 + 0.5 * torch.rand(200, 1, generator=torch.Generator().manual_seed(0))
    found = diary(Lead(), x, torch.zeros(200).long(), Linf(0.25), pool=Pool(batch=16))
    assert 60 < found.broken.sum() < 140
    started = [any(i == 199 for i, _, _ in note) for note in diary.notes].index(True)
    assert all(len(note) == 16 for note in diary.notes[:started])
    assert started > 20


def test_who_does_not_break_begins_another_round():
    diary = Diary(2, 2, nearest=False)
    diary(Lead(), X[:2], Y[:2], Linf(0.05), pool=Pool(batch=2))
    assert diary.notes == [[(0, r, t), (1, r, t)] for r in (0, 1) for t in (0, 1)]


def test_who_looks_for_the_nearest_stays_after_breaking():
    diary = Diary(4, 1, nearest=True)
    found = diary(Lead(), X[1:4], Y[:3], Linf(0.3), pool=Pool(batch=3))
    assert [len(note) for note in diary.notes] == [2] * 4
    assert found.broken.tolist() == [True, True, False]
    torch.testing.assert_close(found.examples[:2], torch.tensor([[0.45], [0.4]]))
