"""The numbers of a record, by the names that TensorBoard and MLflow show them under."""

from collections.abc import Mapping
from typing import Any

_POSITION = ("step", "n")


def named_numbers(record: Mapping[str, Any]) -> dict[str, float]:
    """A record of the log as a flat dict: "train/objective", "validation/error", ...

    The optimizer's diagnostics are found under "train/optimizer/"; what is no number is left out.
    """
    split = "train" if record["event"] == "train" else record["split"]
    found: dict[str, float] = {}
    for name, value in record.items():
        if name in _POSITION:
            continue
        inner = value.items() if isinstance(value, Mapping) else ()
        for key, number in ((name, value), *((f"{name}/{k}", v) for k, v in inner)):
            if isinstance(number, int | float) and not isinstance(number, bool):
                found[f"{split}/{key}"] = float(number)
    return found
