"""DuckDB's values as JSON can hold them."""

import math
from decimal import Decimal
from typing import Any

SAFE_INTEGER = 2**63


def plain(value: Any) -> Any:
    """Decimals become numbers, integers beyond 64 bits become text, NaN and infinity null, all within lists too."""
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case bool() | None | str():
            return value
        case int():
            return value if -SAFE_INTEGER <= value < SAFE_INTEGER else str(value)
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {str(name): plain(member) for name, member in value.items()}
        case list() | tuple():
            return [plain(member) for member in value]
    return value
