"""Relaxed losses on grids: the partial differential equations behind the optimizers, solved."""

from wellposed.pde._caustic import caustic_time as caustic_time
from wellposed.pde._cole_hopf import cole_hopf as cole_hopf
from wellposed.pde._finite_differences import finite_differences as finite_differences
from wellposed.pde._gibbs import Gibbs as Gibbs
from wellposed.pde._gibbs import gibbs as gibbs
from wellposed.pde._grid import Grid as Grid
from wellposed.pde._heat import heat as heat
from wellposed.pde._hopf_lax import hopf_lax as hopf_lax
from wellposed.pde._hopf_lax import sup_convolution as sup_convolution
from wellposed.pde._lasry_lions import lasry_lions as lasry_lions
from wellposed.pde._relaxed import Relaxed as Relaxed
from wellposed.pde._toy_losses import TOY_LOSSES as TOY_LOSSES
from wellposed.pde._toy_losses import ToyLoss as ToyLoss
