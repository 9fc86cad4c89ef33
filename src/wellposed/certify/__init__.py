"""What no perturbation in a ball can change: proven lower bounds, sound in rounding."""

from wellposed.certify._certify import METHODS as METHODS
from wellposed.certify._certify import Certified as Certified
from wellposed.certify._certify import certify as certify
from wellposed.certify._graph import Graph as Graph
from wellposed.certify._lipschitz import Lipschitz as Lipschitz
from wellposed.certify._lipschitz import lipschitz as lipschitz
from wellposed.certify._smoothing import ABSTAINS as ABSTAINS
from wellposed.certify._smoothing import Smoothed as Smoothed
from wellposed.certify._smoothing import smoothing as smoothing
from wellposed.certify._trace import trace as trace
