"""The vocabulary: every column that leaves the package, with its unit, meaning and origin.

``derived_from`` is what disclosure control reads: a column that is derived from a protected
count is protected with it.
"""

from __future__ import annotations

from dataclasses import dataclass

STATUSES = ("ok", "missing", "secret", "no_exposure", "isolated", "constant", "too_few", "not_tested")
"""What a cell's figure is worth, in order of precedence after ``ok``."""

CLASSES = (
    "high_998", "high_95", "as_expected", "low_95", "low_998",
    "too_few", "secret", "missing", "no_exposure", "isolated", "constant", "not_tested",
)  # fmt: skip
"""Classes of a cell: two control levels as in funnel plots, and the reasons for having none."""

SMALL_EXPOSURE = 0.2
"""A count per exposure is doubtful below this share of what its rate is per: below 200 residents for a rate
per 1,000, people who pass through outnumber those who are counted."""


@dataclass(frozen=True)
class Column:
    """One column of a result.

    Parameters
    ----------
    name
        As it stands in the file.
    dtype
        ``string``, ``integer``, ``number`` or ``boolean`` (the types of a table schema).
    unit
        What one unit of it is; ``-`` for codes and words.
    doc
        One sentence.
    derived_from
        The columns that it is computed from; empty for what is read or chosen.
    """

    name: str
    dtype: str
    unit: str
    doc: str
    derived_from: tuple[str, ...] = ()


_COUNTS = ("observed", "exposure")
_MODEL = ("observed", "exposure", "expected")

_ALL = (
    Column("internal", "string", "-", "Says that the row has not been through disclosure control."),
    Column("area", "string", "-", "Code of the area."),
    Column("area_name", "string", "-", "Name of the area."),
    Column("indicator", "string", "-", "Id of the indicator."),
    Column("indicator_title", "string", "-", "Title of the indicator."),
    Column("period", "string", "-", "Period; 'all' where the input has none."),
    Column("family", "string", "-", "poisson, binomial or gaussian."),
    Column("detector", "string", "-", "Name of the detector."),
    Column("reference", "string", "-", "What the area is compared with."),
    Column("observed", "number", "count or value", "What was seen."),
    Column("exposure", "number", "people, addresses ... or weight", "Out of what, or per what."),
    Column("value", "number", "per `per` units of exposure", "Observed per exposure.", _COUNTS),
    Column("expected", "number", "as observed", "What the reference leads to expect.", _COUNTS),
    Column("ratio", "number", "share", "Observed / expected.", _MODEL),
    Column("ratio_low", "number", "share", "Lower end of its 95 % interval: chance and the error of what is expected, not the spread of true rates.", _MODEL),
    Column("ratio_high", "number", "share", "Upper end of that interval.", _MODEL),
    Column("statistic", "number", "-", "The detector's statistic.", _MODEL),
    Column("z", "number", "standard deviations", "Deviation in the units of its null.", _MODEL),
    Column("p_value", "number", "share", "Probability under the null of the detector.", _MODEL),
    Column("q_value", "number", "share", "p after correction within its family.", ("p_value",)),
    Column("direction", "string", "-", "high, low or none.", _MODEL),
    Column("label", "string", "-", "The detector's class.", _MODEL),
    Column("class", "string", "-", "Control-limit class of the cell.", _MODEL),
    Column("status", "string", "-", "ok, or why there is no figure."),
    Column("cluster", "integer", "-", "Number of the cluster that holds the area, or none.", _MODEL),
    Column("permutations", "integer", "draws", "Draws that counted for the area."),
    Column("contributors", "integer", "units", "Distinct units that a figure of records is made of."),
    Column("largest", "number", "as observed", "Greatest contribution of one unit to a figure of records, without sign."),
    Column("second_largest", "number", "as observed", "The greatest but one; 0 where there is none."),
    Column("joins", "integer", "areas", "Neighbours with a 1, of an area with a 1.", ("observed",)),
    Column("joins_expected", "number", "areas", "Neighbours with a 1 that chance leads to expect.", ("observed",)),
    Column("other_value", "number", "per `per` of the other indicator", "Mean of the other indicator over the neighbours.", _COUNTS),
    Column("other_mean", "number", "per `per` of the other indicator", "Mean of the other indicator over all areas.", _COUNTS),
    Column("n_indicators", "integer", "indicators", "Indicators of the theme that have a score here.", ("observed",)),
    Column("parts", "string", "standard deviations", "Indicators that carry a combination, each with its score; in brackets what the others lead to expect.", _MODEL),
    Column("odd_alone", "string", "-", "Indicators whose own figure is odd without the others.", _MODEL),
    Column("n_parts", "integer", "indicators", "Figures that are small in p themselves.", _MODEL),
    Column("spread", "number", "variance of the relative rate", "Spread phi of true rates about the reference.", _COUNTS),
    Column("n_neighbors", "integer", "areas", "Neighbours that have a figure.", ()),
    Column("neighbors_value", "number", "per `per` units of exposure", "Rate of the neighbours together.", _COUNTS),
    Column("neighbors_flagged", "integer", "areas", "Neighbours that are flagged in the same direction.", _MODEL),
    Column("reference_value", "number", "per `per` units of exposure", "Rate that the reference leads to expect.", _COUNTS),
    Column("n_periods", "integer", "periods", "Periods of the area's series that count: of Spike those that it is held against (of history='before' earlier ones only)."),
    Column("n_hot", "integer", "periods", "Periods in which the area is a hot spot.", _MODEL),
    Column("n_cold", "integer", "periods", "Periods in which the area is a cold spot.", _MODEL),
    Column("trend_z", "number", "standard deviations", "Mann-Kendall trend of z over the periods.", _MODEL),
    Column("trend_p", "number", "share", "Two-sided p of that trend.", _MODEL),
    Column("slope", "number", "value per year or period", "Sen's slope of the series: a year where all periods are years (four digits), else a period.", _COUNTS),
    Column("slope_low", "number", "value per year or period", "Lower end of its 95 % interval.", _COUNTS),
    Column("slope_high", "number", "value per year or period", "Upper end of its 95 % interval.", _COUNTS),
    Column("change", "number", "share", "End of Sen's line over its beginning.", _COUNTS),
    Column("autocorrelation", "number", "share", "Correlation of successive periods beside the trend.", _COUNTS),
    Column("history_value", "number", "per `per` units of exposure", "Rate of the area's other periods together.", _COUNTS),
    Column("history", "string", "-", "Periods that Spike holds one against: all others, or those before it only."),
    Column("surroundings_change", "number", "share (values: as observed)", "Factor (shares: on odds; values: difference) by which the surroundings changed between the other periods and this one; of Trend from the first to the last.", _COUNTS),
    Column("ratio_before", "number", "share", "Observed over what the plain rate of all other areas leads to expect, before covariates.", _COUNTS),
    Column("explained", "number", "share", "Part of that deviation, on the log scale, that covariates explain.", _MODEL),
    Column("events", "number", "events", "Events behind a count of distinct units.", ()),
    Column("smoothed", "number", "per `per` units of exposure", "Empirical-Bayes rate.", _COUNTS),
    Column("own_weight", "number", "share", "Weight of the area's own rate in the smoothed one.", ("exposure",)),
    Column("group_observed", "number", "count or value", "Observed in the area and its neighbours together.", _COUNTS),
    Column("group_expected", "number", "as observed", "Expected in the area and its neighbours together.", _COUNTS),
    Column("group_ratio", "number", "share", "Group observed / group expected.", _MODEL),
    Column("cluster_observed", "number", "count", "Observed in the cluster that holds the area.", _COUNTS),
    Column("cluster_expected", "number", "count", "Expected in the cluster that holds the area.", _COUNTS),
    Column("cluster_areas", "number", "areas", "Areas of the cluster that holds the area, also where another detector tells the flag.", _MODEL),
    Column("relative_risk", "number", "share", "Observed / expected in the cluster over that outside of it.", _MODEL),
    Column("members", "string", "-", "Codes of the areas of a cluster, nearest to its centre first.", _MODEL),
    Column("p_gumbel", "number", "share", "p by the tail of a Gumbel law through the replicates' maxima.", _MODEL),
    Column("x", "number", "units of the map", "Centre of a cluster.", _MODEL),
    Column("y", "number", "units of the map", "Centre of a cluster.", _MODEL),
    Column("radius", "number", "units of the map", "Reach of a cluster from its centre, along the longest axis.", _MODEL),
    Column("own_low", "number", "share", "Lower end of the 95 % interval of observed / expected of the area over the periods of its cluster.", _MODEL),
    Column("own_high", "number", "share", "Upper end of that interval.", _MODEL),
    Column("overdispersion", "number", "share", "Variance over mean of a typical count, where a scan takes rates to be the same everywhere; above 1 + 6 / sqrt(areas) it raises no flag.", _MODEL),
    Column("start", "string", "-", "First period of a cluster, or of that which holds the area.", _MODEL),
    Column("end", "string", "-", "Last period of a cluster; of its periods only this one is tested.", _MODEL),
    Column("log_likelihood_ratio", "number", "-", "Log likelihood ratio of a cluster, the cost of its border left out.", _MODEL),
    Column("angle", "number", "degrees", "Direction of the long axis of a cluster, from east to north.", _MODEL),
    Column("axis_ratio", "number", "-", "Long axis of a cluster over its short one.", _MODEL),
    Column("residual", "number", "standard deviations", "Deviance residual that the local statistic ran on.", _MODEL),
    Column("flag_id", "string", "-", "Stable id of study, area, period and indicator."),
    Column("flagged", "boolean", "-", "Whether the cell is flagged.", ("q_value", "ratio", "observed")),
    Column("supports", "boolean", "-", "Whether the detector finds the cell significant and large enough.", ("q_value", "ratio", "observed")),
    Column("raises", "boolean", "-", "Whether the evidence raises the flag or stands beside it as context.", ("q_value", "ratio", "observed")),
    Column("evidence", "string", "-", "The detectors that support the flag.", ("q_value",)),
    Column("contrary", "string", "-", "Detectors, context too, that find the same cell deviate in the other direction.", ("q_value",)),
    Column("agrees", "string", "-", "Comparisons of the own figure, context too, in which it deviates significantly the same way.", ("q_value",)),
    Column("disagrees", "string", "-", "Comparisons of the own figure in which it lies inside the 95 % control limits.", ("p_value",)),
    Column("method", "string", "-", "How q was adjusted: bh, by, holm, bonferroni, none, or family (p already is for the whole map)."),
    Column("n_evidence", "integer", "kinds", "Kinds of evidence: the area's own figure (a cluster of one area is no other), a group of neighbours, a cluster.", ("q_value",)),
    Column("excess", "number", "as observed", "Observed - expected.", _MODEL),
    Column("excess_low", "number", "as observed", "Lower end of the 95 % interval of the excess.", _MODEL),
    Column("rank", "integer", "-", "Place in the order of follow-up.", ("excess_low",)),
    Column("cost", "number", "as given", "Cost of following the flag up."),
    Column("selected", "boolean", "-", "Whether the capacity reaches the flag.", ("rank",)),
    Column("per", "number", "exposure", "Exposure that `value` is per."),
    Column("measure", "string", "-", "moran, geary or getis_ord: the global statistic."),
    Column("field", "string", "-", "What a global statistic ran on: rate, eb_rate or residual."),
    Column("inference", "string", "-", "Where p comes from: permutation, moments or normal."),
    Column("variance", "number", "-", "Variance of the statistic under the null.", _COUNTS),
    Column("n_areas", "integer", "areas", "Areas that have a value."),
    Column("n_isolates", "integer", "areas", "Of these, areas without a neighbour that has a value."),
    Column("sentence", "string", "-", "The row in words.", _MODEL),
    Column("theme", "string", "-", "Theme that an indicator belongs to."),
    Column("title", "string", "-", "Title of an indicator."),
    Column("question", "string", "-", "The question that an indicator answers."),
    Column("definition", "string", "-", "What an indicator counts, exactly."),
    Column("source", "string", "-", "Where the figures of an indicator come from."),
    Column("unit", "string", "-", "What the exposure of an indicator counts."),
)  # fmt: skip

COLUMNS: dict[str, Column] = {column.name: column for column in _ALL}
"""Name to column, for all columns that leave the package."""

DETECTION_COLUMNS = (
    "area", "indicator", "period", "detector", "reference", "observed", "exposure", "value",
    "expected", "ratio", "ratio_low", "ratio_high", "statistic", "z", "p_value", "direction",
    "label", "status", "cluster",
)  # fmt: skip
"""Columns that every `Detection.frame` starts with."""

GLOBAL_COLUMNS = (
    "indicator", "period", "field", "measure", "statistic", "expected", "variance", "z", "p_value", "inference",
    "permutations", "n_areas", "n_isolates", "status",
)  # fmt: skip
"""Columns of `global_statistics`; ``status`` may also be ``negative``: the measure needs values of 0 or more."""
