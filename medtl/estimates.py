"""How a figure is written, wherever one stands: terminal, card, report, page.

A figure is an entry of metrics.json: `{"value", "low", "high"}` (95 %); without an interval low and high are None and `reason` says why;
without a value it is `{"value": None, "reason"}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ONE_TRAINING = "Intervals speak of test patients, not of training luck."
"""Said wherever a single training is judged: another seed would give another model, and no interval of one model knows how different."""


def times(count: int) -> str:
    """How often, in words.

    >>> times(1), times(2), times(1200)
    ('once', 'twice', '1,200 times')
    """
    return {1: "once", 2: "twice"}.get(count, f"{count:,} times")


def number(value: float) -> str:
    """Three decimals; what is not 1 is not shown as 1, and what is not 0 not as 0.

    >>> number(0.9123), number(0.99962), number(0.99999), number(1.0), number(0.00002)
    ('0.912', '0.9996', '>0.9999', '1.000', '<0.0001')
    """
    if 0.9995 <= value < 1:
        return f"{int(value * 10000) / 10000:.4f}" if value < 0.9999 else ">0.9999"
    if 0 < value < 0.0005:
        return f"{value:.4f}" if value >= 0.0001 else "<0.0001"
    return f"{value:.3f}"


def interval(figure: Mapping[str, Any]) -> str:
    """`0.871 to 0.945`; empty where there is none.

    >>> interval({"value": 0.9123, "low": 0.8711, "high": 0.9454})
    '0.871 to 0.945'
    """
    low, high = figure.get("low"), figure.get("high")
    return "" if low is None or high is None else f"{number(low)} to {number(high)}"


def estimate(figure: Mapping[str, Any] | None) -> str:
    """`0.912 (0.871 to 0.945)`, or why there is no interval, or no figure; a note follows (`over 6 of 7 classes …`).

    >>> estimate({"value": 0.9123, "low": 0.8711, "high": 0.9454})
    '0.912 (0.871 to 0.945)'
    >>> estimate({"value": None, "reason": "no cases"})
    'n/a (no cases)'
    """
    if not figure or figure.get("value") is None:
        return f"n/a ({(figure or {}).get('reason') or 'not measured'})"
    beside = interval(figure) or figure.get("reason") or ""
    note = f" {figure['note']}" if figure.get("note") else ""
    return number(figure["value"]) + (f" ({beside})" if beside else "") + note


def signed(value: float) -> str:
    """A difference, with its sign; what rounds to 0 is 0.

    >>> signed(0.0712), signed(-0.0004), signed(-0.012)
    ('+0.071', '0.000', '-0.012')
    """
    return f"{value:+.3f}" if abs(value) >= 0.0005 else "0.000"


def difference(gap: Mapping[str, Any]) -> str:
    """`-0.587 (-0.652 to -0.522)`; without an interval the reason in its place.

    >>> difference({"value": -0.5874, "low": -0.6521, "high": -0.5222})
    '-0.587 (-0.652 to -0.522)'
    >>> difference({"value": None, "reason": "one group only"})
    'n/a (one group only)'
    """
    if gap.get("value") is None:
        return f"n/a ({gap.get('reason')})"
    beside = f"{signed(gap['low'])} to {signed(gap['high'])}" if gap.get("low") is not None else gap.get("reason", "")
    return f"{signed(gap['value'])} ({beside})"


def percent(share: float, decimals: int = 1) -> str:
    """A share in [0, 1] as a percentage, rounded to neither 0 nor 100 where it is neither.

    >>> percent(0.123), percent(0.0), percent(1.0), percent(0.0002), percent(0.9999), percent(0.004, 0)
    ('12.3 %', '0 %', '100 %', '<0.1 %', '>99.9 %', '<1 %')
    """
    step = 10.0**-decimals
    if share in (0, 1):
        return f"{100 * share:.0f} %"
    if 100 * share < step / 2:
        return f"<{step:.{decimals}f} %"
    if 100 * share >= 100 - step / 2:
        return f">{100 - step:.{decimals}f} %"
    return f"{100 * share:.{decimals}f} %"
