"""Linear algebra without matrices: an operator is a function v -> Av on flat vectors."""

from wellposed.linalg._agreement import Agreement as Agreement
from wellposed.linalg._cg import Solution as Solution
from wellposed.linalg._cg import steihaug as steihaug
from wellposed.linalg._curvature import Operator as Operator
from wellposed.linalg._curvature import gauss_newton as gauss_newton
from wellposed.linalg._curvature import hessian as hessian
from wellposed.linalg._flatten import flatten as flatten
from wellposed.linalg._flatten import unflatten as unflatten
from wellposed.linalg._jacobian import Jacobian as Jacobian
from wellposed.linalg._jacobian import jacobian as jacobian
from wellposed.linalg._lanczos import Ritz as Ritz
from wellposed.linalg._lanczos import lanczos as lanczos
from wellposed.linalg._layer_norms import OperatorNorm as OperatorNorm
from wellposed.linalg._layer_norms import operator_norm as operator_norm
from wellposed.linalg._layer_norms import row_norms as row_norms
from wellposed.linalg._layer_norms import spectral_norm as spectral_norm
from wellposed.linalg._least_eigenvalue import Eigenvalue as Eigenvalue
from wellposed.linalg._least_eigenvalue import least_eigenvalue as least_eigenvalue
from wellposed.linalg._mean_loss import MeanLoss as MeanLoss
from wellposed.linalg._mean_loss import Penalty as Penalty
from wellposed.linalg._products import Curvature as Curvature
from wellposed.linalg._products import curvature as curvature
from wellposed.linalg._products import random_start as random_start
from wellposed.linalg._spectrum import Spectrum as Spectrum
from wellposed.linalg._spectrum import spectrum as spectrum
