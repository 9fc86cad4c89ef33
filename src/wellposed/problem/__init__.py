"""The formula: data, model, loss and regularizer, and what is measured on them."""

from wellposed.problem._error import top_k_error as top_k_error
from wellposed.problem._modes import eval_mode as eval_mode
from wellposed.problem._problem import Problem as Problem
from wellposed.problem._problem import Terms as Terms
