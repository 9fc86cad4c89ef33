"""What an audit of a foreign model was told, for the folder that keeps its findings."""

from collections.abc import Mapping
from typing import Any

import tomli_w


def audit_recipe(settings: Mapping[str, Any]) -> str:
    """The settings as TOML, under [audit]; what is None is left out.

    Args:
        settings: Strings, numbers and booleans by name.
    """
    return tomli_w.dumps({"audit": {key: v for key, v in settings.items() if v is not None}})
