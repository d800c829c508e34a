"""Which small areas deviate significantly, from what, how sure are we, and which can be followed up?"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from zoo_geo._version import __version__

if TYPE_CHECKING:
    from zoo_geo.areas import Areas as Areas
    from zoo_geo.areas import read_areas as read_areas
    from zoo_geo.branches import BranchGroup as BranchGroup
    from zoo_geo.branches import branch_table as branch_table
    from zoo_geo.cbs_tables import CbsTable as CbsTable
    from zoo_geo.cbs_tables import read_cbs as read_cbs
    from zoo_geo.co_occurrences import co_occurrence as co_occurrence
    from zoo_geo.detectors.base import Detection as Detection
    from zoo_geo.detectors.bivariate_local_moran import BivariateLocalMoran as BivariateLocalMoran
    from zoo_geo.detectors.deviation import Deviation as Deviation
    from zoo_geo.detectors.emerging import Emerging as Emerging
    from zoo_geo.detectors.getis_ord import GetisOrd as GetisOrd
    from zoo_geo.detectors.graph_scan import GraphScan as GraphScan
    from zoo_geo.detectors.local_geary import LocalGeary as LocalGeary
    from zoo_geo.detectors.local_join_counts import LocalJoinCounts as LocalJoinCounts
    from zoo_geo.detectors.local_moran import LocalMoran as LocalMoran
    from zoo_geo.detectors.scan import Scan as Scan
    from zoo_geo.detectors.spike import Spike as Spike
    from zoo_geo.detectors.trend import Trend as Trend
    from zoo_geo.detectors.unusual_mix import UnusualMix as UnusualMix
    from zoo_geo.errors import DisclosureError as DisclosureError
    from zoo_geo.errors import InputError as InputError
    from zoo_geo.errors import ReviewError as ReviewError
    from zoo_geo.errors import StudyError as StudyError
    from zoo_geo.errors import ZooGeoError as ZooGeoError
    from zoo_geo.explain import sentence as sentence
    from zoo_geo.flags import Flags as Flags
    from zoo_geo.flags import flag as flag
    from zoo_geo.leaks import check_leaks as check_leaks
    from zoo_geo.linking import link_periods as link_periods
    from zoo_geo.microdata import Aggregates as Aggregates
    from zoo_geo.microdata import RecordIndicator as RecordIndicator
    from zoo_geo.microdata import read_microdata as read_microdata
    from zoo_geo.outputs.plots import funnel_plot as funnel_plot
    from zoo_geo.outputs.plots import observed_expected_plot as observed_expected_plot
    from zoo_geo.panel import Indicator as Indicator
    from zoo_geo.panel import Panel as Panel
    from zoo_geo.peers import Peers as Peers
    from zoo_geo.peers import build_peers as build_peers
    from zoo_geo.pipeline import run as run
    from zoo_geo.places import Located as Located
    from zoo_geo.places import locate as locate
    from zoo_geo.places import locate_addresses as locate_addresses
    from zoo_geo.places import locate_codes as locate_codes
    from zoo_geo.priorities import Priority as Priority
    from zoo_geo.priorities import priority as priority
    from zoo_geo.pseudonyms import Key as Key
    from zoo_geo.rates import smoothed_rates as smoothed_rates
    from zoo_geo.records import Limits as Limits
    from zoo_geo.records import Source as Source
    from zoo_geo.structure import global_statistics as global_statistics
    from zoo_geo.study import load_study as load_study
    from zoo_geo.weights import build_weights as build_weights

_HOME = {
    "areas": ("Areas", "read_areas"),
    "branches": ("BranchGroup", "branch_table"),
    "cbs_tables": ("CbsTable", "read_cbs"),
    "co_occurrences": ("co_occurrence",),
    "detectors.base": ("Detection",),
    "detectors.bivariate_local_moran": ("BivariateLocalMoran",),
    "detectors.deviation": ("Deviation",),
    "detectors.emerging": ("Emerging",),
    "detectors.getis_ord": ("GetisOrd",),
    "detectors.graph_scan": ("GraphScan",),
    "detectors.local_geary": ("LocalGeary",),
    "detectors.local_join_counts": ("LocalJoinCounts",),
    "detectors.local_moran": ("LocalMoran",),
    "detectors.scan": ("Scan",),
    "detectors.spike": ("Spike",),
    "detectors.trend": ("Trend",),
    "detectors.unusual_mix": ("UnusualMix",),
    "errors": ("DisclosureError", "InputError", "ReviewError", "StudyError", "ZooGeoError"),
    "explain": ("sentence",),
    "flags": ("Flags", "flag"),
    "leaks": ("check_leaks",),
    "microdata": ("Aggregates", "RecordIndicator", "read_microdata"),
    "linking": ("link_periods",),
    "outputs.plots": ("funnel_plot", "observed_expected_plot"),
    "panel": ("Indicator", "Panel"),
    "peers": ("Peers", "build_peers"),
    "pipeline": ("run",),
    "places": ("Located", "locate", "locate_addresses", "locate_codes"),
    "priorities": ("Priority", "priority"),
    "pseudonyms": ("Key",),
    "rates": ("smoothed_rates",),
    "records": ("Limits", "Source"),
    "structure": ("global_statistics",),
    "study": ("load_study",),
    "weights": ("build_weights",),
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}

__all__ = ["__version__", *_MODULE]


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for, so that `import zoo_geo` stays quick."""
    if name not in _MODULE:
        raise AttributeError(f"module 'zoo_geo' has no attribute {name!r}")
    return getattr(import_module(f"zoo_geo.{_MODULE[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
