import math

import torch

from wellposed.perturb._hashed import hashed_uniform


def test_a_row_depends_on_its_own_keys_alone():
    index = torch.arange(50)
    all_rows = hashed_uniform([3, index, 1], 7)
    assert torch.equal(hashed_uniform([3, index[20:22], 1], 7), all_rows[20:22])
    assert torch.equal(hashed_uniform([3, index.flip(0), 1], 7), all_rows.flip(0))
    assert torch.equal(hashed_uniform([3, index, 1], 9)[:, :7], all_rows)


def test_any_other_key_gives_other_numbers():
    tuples = [(0, 1), (1, 0), (1, 1), (0, 0), (2**62, 0), (0,), (0, 0, 0), (1, 2, 3), (3, 2, 1)]
    drawn = [hashed_uniform([*keys[:-1], torch.tensor([keys[-1]])], 4) for keys in tuples]
    assert len(torch.cat(drawn).unique()) == 4 * len(tuples)


def test_is_uniform_and_uncorrelated():
    x = hashed_uniform([0, torch.arange(2000)], 20)
    n = x.numel()
    assert x.min() >= 0
    assert x.max() < 1
    gap = (x.flatten().sort().values - torch.arange(n) / n).abs().max()
    assert gap < 1.63 / math.sqrt(n)  # Kolmogorov, level 0.01
    correlation = torch.corrcoef(x.T) - torch.eye(20)
    assert correlation.abs().max() < 4.5 / math.sqrt(2000)
    steps = torch.corrcoef(torch.stack([x[:-1].flatten(), x[1:].flatten()]))[0, 1]
    assert abs(steps) < 4 / math.sqrt(n)


def test_is_splitmix_64():
    """Of one key 0 and one number: three mixings, done here with Python's integers."""

    def mixed(z):
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) % 2**64
        return z ^ (z >> 31)

    golden = 0x9E3779B97F4A7C15
    for key in (0, 1, 2**40):
        state = mixed(key + golden)
        expected = (mixed(mixed((state + golden) % 2**64)) >> 11) / 2**53
        assert hashed_uniform([torch.tensor([key])], 1).item() == expected
