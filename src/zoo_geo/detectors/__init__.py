"""Detectors: one file each, found through the registry."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo_geo.detectors.base import Detector

NAMES = (
    "bivariate_local_moran",
    "deviation",
    "emerging",
    "getis_ord",
    "graph_scan",
    "local_geary",
    "local_join_counts",
    "local_moran",
    "scan",
    "spike",
    "trend",
    "unusual_mix",
)
"""Modules of this folder that hold a detector."""


def registry() -> dict[str, type[Detector]]:
    """Return every detector by its name."""
    from zoo_geo.detectors.base import Detector

    for name in NAMES:
        import_module(f"zoo_geo.detectors.{name}")
    return {kind.name: kind for kind in Detector.kinds}
