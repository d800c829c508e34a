"""Panels of several periods for tests: tables of areas by periods, in code order."""

import numpy as np
import pandas as pd

from zoo_geo.panel import Panel


def panel_of(world, tables, size=None, family="poisson", seed=None, periods=None, breaks=None):
    """Panel of tables of shape (n, n_periods) by indicator; `size` is a column, or a table too."""
    tables = tables if isinstance(tables, dict) else {"y": tables}
    count = np.asarray(next(iter(tables.values()))).shape[1]
    periods = periods or [str(2001 + t) for t in range(count)]
    order = world.order(seed)
    parts = []
    for t, period in enumerate(periods):
        part = pd.DataFrame({"area": world.codes, "period": period})
        for name, table in tables.items():
            part[name] = np.asarray(table, dtype=float)[:, t]
        if size is not None:
            wide = np.asarray(size, dtype=float)
            part["size"] = wide if wide.ndim == 1 else wide[:, t]
        parts.append(part.iloc[order])
    panel = Panel.from_frame(
        pd.concat(parts), area="area", period="period", observed=list(tables),
        exposure=None if size is None else "size", family=family,
    )  # fmt: skip
    if breaks is None:
        return panel
    values = {name: getattr(panel, name) for name in panel.__dataclass_fields__}
    return Panel(**values | {"breaks": np.asarray(breaks, bool)[order]})


def calm(world, count, seed=0, rate=0.02, spread=0.02, bursts=0.3, between=0.5):
    """Sizes, and counts of areas that differ among each other and stray from year to year."""
    draws = np.random.default_rng(seed)
    n = len(world)
    size = draws.integers(200, 4000, n).astype(float)
    mean = size * rate * np.exp(draws.normal(0, between, n))
    course = np.exp(draws.normal(0, 0.1, count))
    counts = np.empty((n, count))
    for t in range(count):
        events = mean * course[t] * (draws.gamma(1 / spread, spread, n) if spread else 1.0)
        counts[:, t] = draws.poisson(draws.gamma(events / bursts, bursts) if bursts else events)
    return size, counts


def of_period(frame, column, world, period, indicator="y"):
    """One indicator's column in one period, in code order."""
    rows = frame[(frame["indicator"] == indicator) & (frame["period"] == period)].set_index("area")[column]
    return rows.reindex(world.codes).to_numpy()
