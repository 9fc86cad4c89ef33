"""What no perturbation in a ball can change: proven lower bounds, sound in rounding."""

from wellposed.certify._certify import METHODS as METHODS
from wellposed.certify._certify import Certified as Certified
from wellposed.certify._certify import certify as certify
from wellposed.certify._graph import Graph as Graph
from wellposed.certify._trace import trace as trace
