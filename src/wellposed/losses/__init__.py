"""Losses per example, shape (batch,): the differentiable surrogate, never the error."""

from wellposed.losses._base import Loss as Loss
from wellposed.losses._base import mean_per_example as mean_per_example
from wellposed.losses._cross_entropy import CrossEntropy as CrossEntropy
from wellposed.losses._hinge import Hinge as Hinge
from wellposed.losses._squared_error import SquaredError as SquaredError
