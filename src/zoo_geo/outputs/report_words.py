"""Words of the report, in English and Dutch."""

from __future__ import annotations

from zoo_geo.outputs.tables import NOTICE

HEADINGS: dict[str, dict[str, str]] = {
    "en": {
        "read": "{areas} areas; detectors: {detectors}.",
        "notices": "What the reader has to know",
        "indicators": "Indicators: question, definition, source",
        "small": (
            "{flags} of {of} flags on counts {lie} on areas with an exposure below a fifth of what the rate "
            "is per (below 200 for a rate per 1,000)."
        ),
        "lie_1": "lies",
        "lie": "lie",
        "structure": "Is there spatial structure at all?",
        "alike": (
            "Neighbouring areas are more alike than chance makes them in {alike} of {of} figures "
            "(Moran's I, p <= 0.05{unlike}). Of figures without any structure, about one in forty would "
            "look so too."
        ),
        "unlike": ", and less alike in {n}",
        "explained": (
            "Where they are not, the map of a figure as a whole cannot be told from chance; single areas "
            "may still stand out. Where they are, the map shows regions, but not yet why: people, houses "
            "and shops also lie together."
        ),
        "extreme": (
            "In {n} more, Moran and Geary disagree, as they do where a few extreme areas decide: look at "
            "those areas first."
        ),
        "measures": (
            "Moran's I is above 0, and Geary's C below 1, where neighbours are alike; G / expected is "
            "above 1 where high rates lie together. Moran and Geary run on rates that are standardised "
            "for the size of the population (empirical Bayes); G runs on the rates as they are, and its "
            "p is too small where areas with few people lie together. p: share of {permutations} random "
            "arrangements of the figures over the map that are as extreme, two-sided; it cannot be below "
            "{least}."
        ),
        "reading_alike": "neighbours alike",
        "reading_unlike": "neighbours unlike",
        "reading_extreme": "a few extreme areas?",
        "reading_none": "no structure seen",
        "peers": "Areas that are alike",
        "peers_good": "{good} of {areas} areas have good peers, by {features}.",
        "peers_distance_mean": "A typical area and its peers differ by {n} spreads on a feature.",
        "peers_stability": "When a feature is left out, a share of {n} of its peers stays.",
        "peers_stability_resampled": (
            "When other areas, drawn at random, set scales and clusters, a share of {n} of all peers is "
            "the same "
            "both times."
        ),
        "peers_shaky": (
            "Flags that rest on peers of which less than half would stay: {n}; read them with care."
        ),
        "peers_id": "Peer set {id}.",
        "covariates": "What covariates explain",
        "covariates_told": (
            "{of} flags lie on the same side of all areas together. Of the deviation of {half} of these, "
            "covariates explain half or more; of {none}, hardly any. Ratio before: observed over what all "
            "areas together lead to expect. Ratio after: over what the area's covariates lead to expect, "
            "fitted to areas elsewhere. Explained: the share of the ratio's logarithm that is gone. "
            "What is explained can still be wrong, and what is not explained harmless."
        ),
        "more": "And {n} more, in report_internal.json.",
        "flags": "Flags",
        "flags_by_detector": "Flags by the detector that raises them",
        "follow_up": "Follow-up",
        "truth": "Known anomalies",
        "compared": (
            "{found} of {planted} planted anomalies {were} found; "
            "{none} of {flags} flags {are} none ({share}%)."
        ),
        "were_1": "was",
        "were": "were",
        "are_1": "is",
        "are": "are",
        "cells": "Cells by status",
        "classes": "Cells by class",
        "none": "Nothing.",
        "internal": NOTICE,
    },
    "nl": {
        "read": "{areas} gebieden; detectoren: {detectors}.",
        "notices": "Wat de lezer moet weten",
        "indicators": "Indicatoren: vraag, definitie, bron",
        "small": (
            "{flags} van {of} vlaggen op aantallen {lie} in gebieden met een noemer onder een vijfde van de "
            "eenheid van het cijfer (onder 200 bij een cijfer per 1.000)."
        ),
        "lie_1": "ligt",
        "lie": "liggen",
        "structure": "Is er wel ruimtelijke samenhang?",
        "alike": (
            "Bij {alike} van {of} cijfers lijken buurgebieden meer op elkaar dan door toeval te "
            "verklaren is (Morans I, p <= 0,05{unlike}). Van cijfers zonder enige samenhang zou ongeveer "
            "een op de veertig er ook zo uitzien."
        ),
        "unlike": "; bij {n} juist minder",
        "explained": (
            "Waar dat niet zo is, is de kaart van een cijfer als geheel niet van toeval te "
            "onderscheiden; losse gebieden kunnen er nog steeds uitspringen. Waar het wel zo is, toont "
            "de kaart streken, maar nog niet waardoor: ook mensen, huizen en winkels liggen bij elkaar."
        ),
        "extreme": (
            "Bij nog {n} spreken Moran en Geary elkaar tegen, zoals wanneer enkele extreme gebieden de "
            "doorslag geven: kijk eerst naar die gebieden."
        ),
        "measures": (
            "Morans I ligt boven 0, en Geary's C onder 1, waar buren op elkaar lijken; G / verwacht ligt "
            "boven 1 waar hoge cijfers bij elkaar liggen. Moran en Geary gaan over cijfers die voor de "
            "omvang van de bevolking zijn gestandaardiseerd (empirical Bayes); G over de cijfers zoals "
            "ze zijn, en de p daarvan is te klein waar gebieden met weinig inwoners bij elkaar liggen. "
            "p: het deel van {permutations} willekeurige verdelingen van de cijfers over de kaart dat "
            "even uitzonderlijk is, tweezijdig; lager dan {least} kan niet."
        ),
        "reading_alike": "buren lijken op elkaar",
        "reading_unlike": "buren verschillen juist",
        "reading_extreme": "enkele extreme gebieden?",
        "reading_none": "geen samenhang gezien",
        "peers": "Vergelijkbare gebieden",
        "peers_good": "{good} van {areas} gebieden hebben goede vergelijkingsgebieden, naar {features}.",
        "peers_distance_mean": (
            "Een typisch gebied verschilt per kenmerk {n} spreidingen van zijn vergelijkingsgebieden."
        ),
        "peers_stability": "Zonder een van de kenmerken blijft een aandeel van {n} daarvan over.",
        "peers_stability_resampled": (
            "Als andere, willekeurig gekozen gebieden de schalen en groepen bepalen, is een aandeel van "
            "{n} van "
            "alle vergelijkingsgebieden beide keren hetzelfde."
        ),
        "peers_shaky": (
            "Vlaggen met vergelijkingsgebieden waarvan minder dan de helft blijft: {n}; lees die met zorg."
        ),
        "peers_id": "Vergelijkingsset {id}.",
        "covariates": "Wat kenmerken verklaren",
        "covariates_told": (
            "{of} vlaggen liggen aan dezelfde kant van alle gebieden samen. Bij {half} daarvan verklaren "
            "kenmerken de helft of meer van de afwijking, bij {none} bijna niets. Verhouding ervoor: gezien "
            "gedeeld door wat alle gebieden samen doen verwachten. Erna: door wat kenmerken van het gebied "
            "doen verwachten, geschat op gebieden elders. Verklaard: welk deel van de logaritme van de "
            "verhouding weg is. Wat verklaard is kan toch mis zijn, wat niet verklaard is onschuldig."
        ),
        "more": "En nog {n}, in report_internal.json.",
        "flags": "Vlaggen",
        "flags_by_detector": "Vlaggen per detector die ze opwerpt",
        "follow_up": "Opvolging",
        "truth": "Bekende afwijkingen",
        "compared": (
            "{found} van {planted} ingebouwde afwijkingen {were} gevonden; "
            "{none} van {flags} vlaggen {are} bij geen ({share}%)."
        ),
        "were_1": "is",
        "were": "zijn",
        "are_1": "hoort",
        "are": "horen",
        "cells": "Cellen naar status",
        "classes": "Cellen naar klasse",
        "none": "Niets.",
        "internal": "intern: niet voor publicatie",
    },
}

COLUMNS: dict[str, dict[str, str]] = {
    "en": {
        "moran": "Moran's I",
        "moran_p": "p (I)",
        "geary": "Geary's C",
        "geary_p": "p (C)",
        "getis_ord": "G / expected",
        "getis_ord_p": "p (G)",
        "reading": "in words",
        "for_example": "for example",
        "few_candidates": "fewer peers than asked for",
        "too_far": "peers too far",
        "no_candidates": "nobody to compare with",
        "missing_features": "features missing",
        "ratio_before": "ratio before",
        "ratio_after": "ratio after",
    },
    "nl": {
        "moran": "Morans I",
        "moran_p": "p (I)",
        "geary": "Geary's C",
        "geary_p": "p (C)",
        "getis_ord": "G / verwacht",
        "getis_ord_p": "p (G)",
        "reading": "in woorden",
        "for_example": "bijvoorbeeld",
        "reason": "reden",
        "areas": "gebieden",
        "few_candidates": "minder vergelijkingsgebieden dan gevraagd",
        "too_far": "vergelijkingsgebieden te ver weg",
        "no_candidates": "niemand om mee te vergelijken",
        "missing_features": "kenmerken ontbreken",
        "area": "gebied",
        "direction": "richting",
        "ratio_before": "verhouding ervoor",
        "ratio_after": "verhouding erna",
        "explained": "verklaard",
        "period": "periode",
        "high": "hoog",
        "low": "laag",
        "all": "alle",
        "flags": "vlaggen",
        "kind": "soort",
        "planted": "ingebouwd",
        "found": "gevonden",
        "ok": "cijfer",
        "missing": "geen cijfer",
        "secret": "geheim",
        "no_exposure": "geen noemer",
        "isolated": "geen buren",
        "constant": "alle gebieden gelijk",
        "too_few": "te weinig om iets te zeggen",
        "not_tested": "niet bekeken",
        "high_998": "hoog (99,8%)",
        "high_95": "hoog (95%)",
        "as_expected": "zoals verwacht",
        "low_95": "laag (95%)",
        "low_998": "laag (99,8%)",
    },
}
"""Headings of the tables that differ from the names of the data."""
