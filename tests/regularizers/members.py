"""Every regularizer that looks at the batch, in a few of its forms, by name."""

from wellposed.regularizers import (
    AdversarialTraining,
    Curvature,
    GradientAlignment,
    InputGradient,
    IntervalBounds,
    JacobianNorm,
    Trades,
)

MEMBERS = {
    "tikhonov": InputGradient(0.5, norm="l2"),
    "total variation": InputGradient(0.1, power=1, h=0.02),
    "fgsm": InputGradient(0.1, power=1),
    "lipschitz": InputGradient(0.3, norm="l1", power="max", h=0.1),
    "exact": InputGradient(0.3, estimator="exact"),
    "half": InputGradient(0.3, share=0.5),
    "symmetric": InputGradient(0.3, symmetric=True),
    "noise": InputGradient(0.3, noise=0.01),
    "two steps": InputGradient(0.3, steps=2),
    "trimmed": InputGradient(0.3, share=0.5, trim=0.25),
    "jacobian": JacobianNorm(0.1),
    "jacobian, exact": JacobianNorm(0.1, projections=None),
    "curvature": Curvature(2.0, h=0.3),
    "alignment": GradientAlignment(0.2, eps=0.1),
    "intervals": IntervalBounds(0.02),
    "fast fgsm": AdversarialTraining(0.1),
    "n-fgsm": AdversarialTraining(0.1, init="wide"),
    "pgd, l2": AdversarialTraining(0.5, norm="l2", steps=3, bn="train"),
    "pgd, l1": AdversarialTraining(2.0, norm="l1", steps=2, init="zero"),
    "trades": Trades(0.1, steps=2),
    "trades, train": Trades(0.1, steps=2, bn="train"),
}
