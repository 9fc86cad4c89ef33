"""What the closure of a method that sets the output layer answers, checked."""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from wellposed.errors import ArgumentError, require

SQUARED, ENTROPY = "squared error", "cross-entropy"


def features_and_targets(answer: Any, layer: nn.Linear, loss: str) -> tuple[Tensor, Tensor]:
    """Features, shape (N, inputs), and targets: class numbers, or values of shape (N, outputs).

    Args:
        answer: Of the closure.
        layer: The output layer.
        loss: "squared error", for which class numbers become one-hot vectors, or "cross-entropy".

    Raises:
        ArgumentError: If the answer is no such pair.
    """
    if not (isinstance(answer, tuple) and len(answer) == 2):
        raise ArgumentError(
            f"the closure of VarPro returned a {type(answer).__name__}; it returns "
            "(features, targets), what the output layer gets and what it should give"
        )
    features, targets = answer
    require(
        features.dim() == 2 and features.shape[1] == layer.in_features and len(features) > 0,
        f"the closure of VarPro returned features of shape {tuple(features.shape)}; the output "
        f"layer takes (N, {layer.in_features})",
    )
    classes = targets.dim() == 1 and not targets.is_floating_point()
    if classes:
        least, most = int(targets.min()), int(targets.max())
        require(
            least >= 0 and most < layer.out_features,
            f"the closure of VarPro returned classes from {least} to {most}; the output layer has "
            f"{layer.out_features} outputs",
        )
    if loss == SQUARED:
        if classes:
            targets = functional.one_hot(targets.long(), layer.out_features)
        expected = f"values of shape {(len(features), layer.out_features)} or class numbers"
        fits = targets.shape == (len(features), layer.out_features)
    else:
        expected = f"class numbers, shape ({len(features)},)"
        fits = classes and len(targets) == len(features)
    require(
        fits,
        f"the closure of VarPro returned targets of type {targets.dtype} and shape "
        f"{tuple(targets.shape)}; the {loss} takes {expected}",
    )
    return features, targets if loss == SQUARED else targets.long()
