"""Named sets of arguments, which explicit arguments override."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from wellposed.errors import UnknownNameError, require


def with_presets(init: Callable[..., None]) -> Callable[..., None]:
    """Let `__init__(..., preset="name")` start from `self.PRESETS["name"]` instead of the defaults.

    What the caller gives explicitly wins, even where it equals the default. `kappa` and `gamma`
    are two names of one number: giving both is refused, and one given explicitly replaces the
    other in a preset.
    """
    parameters = inspect.signature(init)

    @functools.wraps(init)
    def initialize(self: Any, *args: Any, **kwargs: Any) -> None:
        given = parameters.bind(self, *args, **kwargs).arguments
        require(
            given.get("kappa") is None or "gamma" not in given,
            "kappa and gamma were given; they say the same, choose one",
        )
        if (name := given.get("preset")) is not None:
            if name not in self.PRESETS:
                raise UnknownNameError("preset", name, self.PRESETS)
            preset = self.PRESETS[name]
            given = {**preset, **given}
        if given.get("kappa") is not None:
            given["gamma"] = 0.0
        init(**given)

    return initialize
