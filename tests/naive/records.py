"""Records into cells, with dictionaries; and keyed codes from hashlib."""

import hashlib
import math
from collections import defaultdict


def cells(records, aggregate):
    """Rows of (area, period, unit, value) to {(area, period): (observed, contributors, largest, second)}."""
    by_unit = defaultdict(lambda: defaultdict(list))
    for area, period, unit, value in records:
        area = area.strip() if area is not None else ""
        unit = unit.strip() if isinstance(unit, str) else unit
        if not area or period is None or unit in (None, "") or value is None or not math.isfinite(value):
            continue
        by_unit[area, period][unit].append(float(value))
    found = {}
    for cell, units in by_unit.items():
        if aggregate == "count_units":
            parts, observed = [1.0] * len(units), float(len(units))
        elif aggregate == "share":
            parts, observed = [1.0] * len(units), float(sum(any(values) for values in units.values()))
        elif aggregate == "sum":
            parts = [math.fsum(values) for values in units.values()]
            observed = math.fsum(parts)
        else:
            parts = [math.fsum(values) / len(values) for values in units.values()]
            observed = math.fsum(parts) / len(parts)
        top = sorted((abs(part) for part in parts), reverse=True)
        found[cell] = observed, len(units), top[0], top[1] if len(top) > 1 else 0.0
    return found


def code(identifier, key):
    """The code of an identifier as 32 hexadecimal digits, or None for nobody."""
    if identifier is None:
        return None
    if isinstance(identifier, float):
        identifier = int(identifier) if identifier == int(identifier) else identifier
    text = str(identifier).strip(" \t\r\n\f\v\xa0")
    whole, point, rest = text.partition(".")
    if whole and point and rest and set(rest) == {"0"} and all(letter in "0123456789" for letter in whole):
        text = whole
    if text and all(letter in "0123456789" for letter in text):
        text = text.lstrip("0")
    if not text:
        return None
    key = key if len(key) <= 64 else hashlib.blake2b(key).digest()
    return hashlib.blake2b(text.encode(), key=key, digest_size=16).hexdigest()
