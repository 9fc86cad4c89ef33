"""R: penalties on the weights, with their proximal maps, and robust training on the batch."""

from wellposed.regularizers._adversarial_training import AdversarialTraining as AdversarialTraining
from wellposed.regularizers._adversary import Adversary as Adversary
from wellposed.regularizers._base import Evaluated as Evaluated
from wellposed.regularizers._base import Point as Point
from wellposed.regularizers._base import Proximal as Proximal
from wellposed.regularizers._base import Regularizer as Regularizer
from wellposed.regularizers._base import Sum as Sum
from wellposed.regularizers._base import is_weight as is_weight
from wellposed.regularizers._batch import BatchRegularizer as BatchRegularizer
from wellposed.regularizers._curvature import Curvature as Curvature
from wellposed.regularizers._elastic_net import L1 as L1
from wellposed.regularizers._elastic_net import L2 as L2
from wellposed.regularizers._elastic_net import ElasticNet as ElasticNet
from wellposed.regularizers._gradient_alignment import GradientAlignment as GradientAlignment
from wellposed.regularizers._input_gradient import InputGradient as InputGradient
from wellposed.regularizers._interval_bounds import IntervalBounds as IntervalBounds
from wellposed.regularizers._jacobian_norm import JacobianNorm as JacobianNorm
from wellposed.regularizers._trades import Trades as Trades
