"""What every interval asks for."""

from wellposed.errors import require

Interval = tuple[float, float]


def require_level(level: float) -> None:
    """Refuse a confidence level that is not between 0 and 1."""
    require(0 < level < 1, f"a confidence level is between 0 and 1, got level={level:g}; try 0.95")
