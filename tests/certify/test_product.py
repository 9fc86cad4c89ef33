import torch

from wellposed.certify._arithmetic import EXACT, SINGLE
from wellposed.certify._product import Product

PRODUCT = Product((0, 1), (1,))


def intervals():
    generator = torch.Generator().manual_seed(0)
    middle = 3 * torch.randn((2, 500), generator=generator, dtype=torch.float64)
    half = 10 ** (4 * torch.rand((2, 500), generator=generator, dtype=torch.float64) - 3)
    return list(middle - half), list(middle + half)


def drawn(lows, highs):
    """Points of the rectangles, corners among them."""
    generator = torch.Generator().manual_seed(1)
    shares = torch.rand((2, 400, 500), generator=generator, dtype=torch.float64)
    shares[:, :100] = shares[:, :100].round()
    return [
        low + share * (high - low) for low, high, share in zip(lows, highs, shares, strict=True)
    ]


def test_the_product_lies_within_its_range_and_the_range_is_reached():
    lows, highs = intervals()
    low, high = PRODUCT.range(lows, highs)
    value = PRODUCT.apply(*drawn(lows, highs))
    assert (value >= low - 1e-12).all()
    assert (value <= high + 1e-12).all()
    torch.testing.assert_close(value.amin(0), low, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(value.amax(0), high, rtol=1e-9, atol=1e-9)


def test_the_product_is_as_near_to_its_plane_as_it_says_and_no_nearer():
    lows, highs = intervals()
    first, second, apart = PRODUCT.plane(lows, highs)
    x, y = drawn(lows, highs)
    off = (x * y - (second * x + first * y - first * second)).abs()
    assert (off <= apart + 1e-11).all()
    torch.testing.assert_close(off.amax(0), apart, rtol=1e-6, atol=1e-9)


def test_the_program_stays_within_its_error():
    x = torch.randn(10000, generator=torch.Generator().manual_seed(2))
    y = x.flip(0)
    exact = x.double() * y.double()
    error = PRODUCT.error(exact.abs(), SINGLE)
    assert (((x * y).double() - exact).abs() <= error).all()
    assert (PRODUCT.error(exact.abs(), EXACT) < 1e-14).all()
