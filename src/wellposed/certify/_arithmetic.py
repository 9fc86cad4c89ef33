r"""What rounding may do: a bound for the program that runs, and one for our own computation.

A sum of n products, in whatever order, with or without fused multiplication and addition, differs
from the exact one by at most $\gamma_n \sum_i |a_i b_i|$, $\gamma_n = nu / (1 - nu)$, with u the
unit roundoff, as long as nothing overflows.

References:
    Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, 2002, chapter 3.
"""

import math
from dataclasses import dataclass
from typing import final

import torch

from wellposed.errors import require

_MOST = 0.01  # of nu: beyond, sums are so long that no bound is worth having


@final
@dataclass(frozen=True, slots=True)
class Arithmetic:
    """A floating-point format, as far as errors go.

    Args:
        unit: Unit roundoff: the largest relative error of one operation; 0 for exact arithmetic.
        least: The largest absolute error of one operation whose result is subnormal or flushed.
        most: No number up to this one overflows.
    """

    unit: float
    least: float
    most: float = math.inf

    def gamma(self, n: int) -> float:
        r"""The relative error $nu / (1 - nu)$ of n roundings, itself rounded up.

        Raises `ArgumentError` if n is too large for this format.
        """
        product = n * self.unit
        require(
            product <= _MOST,
            f"a sum of {n} terms has no useful bound with a unit roundoff of {self.unit:.1e}; "
            "certify a smaller network, or the same one in float64",
        )
        return product / (1 - product) * (1 + 1e-12)


EXACT = Arithmetic(0.0, 0.0)
SINGLE = Arithmetic(2.0**-24, 2.0**-126, 2.0**127)
DOUBLE = Arithmetic(2.0**-53, 2.0**-1022, 2.0**1023)


def arithmetic(dtype: torch.dtype) -> Arithmetic:
    """That of a type of numbers.

    Raises `ArgumentError` if it is neither float32 nor float64.
    """
    known = {torch.float32: SINGLE, torch.float64: DOUBLE}
    require(
        dtype in known,
        f"certificates are for networks in float32 or float64, found {dtype}; convert it first",
    )
    return known[dtype]
