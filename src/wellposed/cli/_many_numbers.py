"""Several numbers after one option: `--eps 0.01 0.02` is `--eps 0.01 --eps 0.02`."""

from collections.abc import Iterator, Sequence
from typing import Any, final

from typer.core import TyperCommand, TyperOption


@final
class ManyNumbers(TyperCommand):
    """A command whose repeated options, if "..." ends their metavar, take all numbers to come."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Name the option again before each further number."""
        names = {
            name
            for option in self.params
            if isinstance(option, TyperOption) and (option.metavar or "").endswith("...")
            for name in option.opts
        }
        return super().parse_args(ctx, list(_repeated(args, names)))


def _repeated(arguments: Sequence[str], names: set[str]) -> Iterator[str]:
    """The arguments, with each number after another one of an option led by its name."""
    name, known = "", False  # of the option that takes numbers here; whether it has one
    for argument in arguments:
        option, equals, _ = argument.partition("=")
        if option in names:
            name, known = option, bool(equals)
        elif not _is_number(argument):
            name = ""
        elif name and known:
            yield name
        else:
            known = True
        yield argument


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
