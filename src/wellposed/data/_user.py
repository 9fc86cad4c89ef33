"""Data from a function of the user's own."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, final

from wellposed.data._base import Raw, Source
from wellposed.data._examples import Examples
from wellposed.data._places import Places
from wellposed.errors import (
    DataError,
    UnknownNameError,
    WellposedError,
    first_line,
    in_a_line,
    require,
)


@final
@dataclass(frozen=True)
class UserSource(Source):
    """What a function "package.module:function" returns.

    The function returns a `Raw`, or a pair (inputs, targets) of arrays or tensors, which becomes
    the train part. If it has a parameter `places`, it is given the places to look in.

    Args:
        function: Where it is, as "package.module:function"; the module must be importable.
        arguments: Its keyword arguments.
    """

    function: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    name = "user"

    def __post_init__(self) -> None:
        module, colon, name = self.function.partition(":")
        require(
            bool(module and colon and name),
            f"a user's data source is written package.module:function, got {self.function!r}",
        )

    def find(self, places: Places) -> str | None:  # noqa: ARG002
        """The function's name: whether it finds its data shows when it is called."""
        return self.function

    def read(self, places: Places) -> Raw:
        """Call the function and check what it returns.

        Raises:
            DataError: If it raises, or returns something else.
        """
        function = self._imported()
        wanted = inspect.signature(function).parameters
        extra = {"places": places} if "places" in wanted else {}
        try:
            value = function(**extra, **self.arguments)
        except WellposedError:
            raise
        except Exception as error:
            raise DataError(
                f"{self.function} raised {in_a_line(error)}; it must return a Raw or a pair "
                f" (inputs, targets)"
            ) from error
        if isinstance(value, tuple) and len(value) == 2:
            train = Examples(*value)
            count = 1 + int(train.targets.max())
            require(
                int(train.targets.min()) >= 0 and count <= len(train),
                f"{self.function} returned class numbers from {int(train.targets.min())} to "
                f"{count - 1}; number the classes 0, 1, 2, ...",
            )
            value = Raw(train=train, classes=tuple(map(str, range(count))), origin=self.function)
        if not isinstance(value, Raw):
            raise DataError(
                f"{self.function} returned {type(value).__name__}; it must return a Raw or a pair "
                f"(inputs, targets)"
            )
        return value

    def _imported(self) -> Callable[..., Any]:
        module_name, _, name = self.function.partition(":")
        try:
            module = importlib.import_module(module_name)
        except ImportError as error:
            raise DataError(
                f"the module of {self.function} cannot be imported ({first_line(error)}); install "
                f"it or run where it can be found"
            ) from error
        function: Callable[..., Any] | None = getattr(module, name, None)
        if not callable(function):
            known = (k for k, v in vars(module).items() if inspect.isfunction(v))
            raise UnknownNameError(f"function of {module_name}", name, known)
        return function
