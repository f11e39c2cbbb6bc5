"""The page about metrics against the code: the table has every family as it is."""

from docs_pages import DOCS, codes, table, text

from labsessions.backend import reasons
from labsessions.metrics.families import FAMILIES, Kind

METRICS = DOCS / "metrics.md"


def test_the_table_has_every_metric() -> None:
    """In the order of the code, under the name that queries use; histograms without their ending."""
    shown = [(codes(name)[0], kind, codes(labels), meaning) for name, kind, labels, meaning in table(METRICS, "Metric")]
    assert shown == [
        (
            family.name if family.kind is Kind.HISTOGRAM else family.sample_names[0],
            family.kind.value,
            list(family.labels),
            family.help,
        )
        for family in FAMILIES
    ]


def test_the_page_has_every_kind_of_error() -> None:
    """What stands for a status in `code`."""
    assert [kind for kind in reasons.KINDS if f"`{kind}`" not in text(METRICS)] == []
