"""The recipes that come with the package."""

from importlib import resources

from wellposed.errors import UnknownNameError

_HOME = resources.files("wellposed.recipe") / "presets"


def presets() -> dict[str, str]:
    """Name of each preset, and the first line of its comment."""
    return {
        file.name.removesuffix(".toml"): file.read_text().split("\n", 1)[0].lstrip("# ")
        for file in sorted(_HOME.iterdir(), key=lambda file: file.name)
        if file.name.endswith(".toml")
    }


def preset(name: str) -> str:
    """The text of a preset, comments and all.

    Raises:
        UnknownNameError: If there is none of this name.
    """
    known = presets()
    if name not in known:
        raise UnknownNameError("recipe", name, known)
    return (_HOME / f"{name}.toml").read_text()
