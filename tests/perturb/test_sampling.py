import torch

from wellposed.perturb._sampling import centers, sampled


def ramps(n=1, height=13, width=9):
    """Images whose two channels are their own row and column, from the center."""
    rows, columns = centers(torch.empty(n, 1, height, width, dtype=torch.float64))
    rows, columns = torch.broadcast_tensors(rows, columns)
    return torch.stack([rows, columns]).expand(n, 2, height, width)


def test_reads_where_it_is_told():
    x = ramps()
    y = sampled(x, x[:, 0] + 1.5, x[:, 1] - 0.25)[..., 2:-2, 1:-1]
    torch.testing.assert_close(y[:, 0], x[:, 0, 2:-2, 1:-1] + 1.5, rtol=0, atol=1e-12)
    torch.testing.assert_close(y[:, 1], x[:, 1, 2:-2, 1:-1] - 0.25, rtol=0, atol=1e-12)


def test_outside_repeats_the_border():
    x = ramps()
    y = sampled(x, x[:, 0] + 100, x[:, 1] - 100)
    torch.testing.assert_close(y[:, 0], torch.full_like(y[:, 0], 6), rtol=0, atol=1e-12)
    torch.testing.assert_close(y[:, 1], torch.full_like(y[:, 1], -4), rtol=0, atol=1e-12)


def test_a_pixel_is_its_own_center():
    rows, columns = centers(torch.empty(1, 1, 1, 1))
    assert rows.item() == columns.item() == 0
