"""min: torch.optim, and the relaxations around it."""

from contextlib import suppress

from torch.optim import ASGD as ASGD
from torch.optim import LBFGS as LBFGS
from torch.optim import SGD as SGD
from torch.optim import Adadelta as Adadelta
from torch.optim import Adafactor as Adafactor
from torch.optim import Adagrad as Adagrad
from torch.optim import Adam as Adam
from torch.optim import Adamax as Adamax
from torch.optim import AdamW as AdamW
from torch.optim import NAdam as NAdam
from torch.optim import Optimizer as Optimizer
from torch.optim import RAdam as RAdam
from torch.optim import RMSprop as RMSprop
from torch.optim import Rprop as Rprop
from torch.optim import SparseAdam as SparseAdam
from torch.optim.lr_scheduler import ChainedScheduler as ChainedScheduler
from torch.optim.lr_scheduler import ConstantLR as ConstantLR
from torch.optim.lr_scheduler import CosineAnnealingLR as CosineAnnealingLR
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts as CosineAnnealingWarmRestarts
from torch.optim.lr_scheduler import CyclicLR as CyclicLR
from torch.optim.lr_scheduler import ExponentialLR as ExponentialLR
from torch.optim.lr_scheduler import LambdaLR as LambdaLR
from torch.optim.lr_scheduler import LinearLR as LinearLR
from torch.optim.lr_scheduler import LRScheduler as LRScheduler
from torch.optim.lr_scheduler import MultiplicativeLR as MultiplicativeLR
from torch.optim.lr_scheduler import MultiStepLR as MultiStepLR
from torch.optim.lr_scheduler import OneCycleLR as OneCycleLR
from torch.optim.lr_scheduler import PolynomialLR as PolynomialLR
from torch.optim.lr_scheduler import ReduceLROnPlateau as ReduceLROnPlateau
from torch.optim.lr_scheduler import SequentialLR as SequentialLR
from torch.optim.lr_scheduler import StepLR as StepLR
from torch.optim.swa_utils import SWALR as SWALR
from torch.optim.swa_utils import AveragedModel as AveragedModel

from wellposed.optim._anchored import Anchored as Anchored
from wellposed.optim._batch_norm import anchor_statistics as anchor_statistics
from wellposed.optim._batch_norm import recompute_batch_norm as recompute_batch_norm
from wellposed.optim._citations import CITATIONS as CITATIONS
from wellposed.optim._effort import Effort as Effort
from wellposed.optim._entropy_sgd import EntropySGD as EntropySGD
from wellposed.optim._fused import fuse as fuse
from wellposed.optim._gauss_newton import GaussNewton as GaussNewton
from wellposed.optim._gradient_noise import GradientNoise as GradientNoise
from wellposed.optim._group_scheduler import GroupScheduler as GroupScheduler
from wellposed.optim._laplacian_smoothing import LaplacianSmoothing as LaplacianSmoothing
from wellposed.optim._lookahead import Lookahead as Lookahead
from wellposed.optim._memory import memory as memory
from wellposed.optim._newton_cg import NewtonCG as NewtonCG
from wellposed.optim._proximal_sgd import ProximalSGD as ProximalSGD
from wellposed.optim._relaxation import Relaxation as Relaxation
from wellposed.optim._schedules import Constant as Constant
from wellposed.optim._schedules import Cosine as Cosine
from wellposed.optim._schedules import Linear as Linear
from wellposed.optim._schedules import Milestones as Milestones
from wellposed.optim._schedules import RobbinsMonro as RobbinsMonro
from wellposed.optim._schedules import Schedule as Schedule
from wellposed.optim._schedules import Triangle as Triangle

with suppress(ImportError):  # since torch 2.9
    from torch.optim import Muon as Muon
