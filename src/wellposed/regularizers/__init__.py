"""R: penalties on the weights, with their proximal maps."""

from wellposed.regularizers._base import Point as Point
from wellposed.regularizers._base import Proximal as Proximal
from wellposed.regularizers._base import Regularizer as Regularizer
from wellposed.regularizers._base import Sum as Sum
from wellposed.regularizers._base import is_weight as is_weight
from wellposed.regularizers._elastic_net import L1 as L1
from wellposed.regularizers._elastic_net import L2 as L2
from wellposed.regularizers._elastic_net import ElasticNet as ElasticNet
