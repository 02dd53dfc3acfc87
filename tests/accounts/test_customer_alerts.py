import polars as pl
import pytest

from forecast.accounts.alerts import ALERT_KINDS, find_alerts
from forecast.accounts.tiers import TierPolicy, Yardsticks
from forecast.accounts.wording import absent_sentence, alert_sentence, evidence_sentence, why_absent

YARDSTICKS = Yardsticks(a=100.0, b=50.0, usual_probability=0.2, usual_pace=1.0, usual_lately=0.5)
CALM = {
    "purchase_days": 5,
    "recency_days": 10,
    "gap_max_days": 20,
    "latest_gap_days": 30.0,
    "probability_active": 0.6,
    "tier": "A",
    "potential": "steady",
    "overdue": False,
}


def alerts_of(kinds=ALERT_KINDS, **changes):
    """Give the alerts of one customer, within a horizon of 100 days."""
    found = find_alerts(pl.DataFrame([CALM | changes]), YARDSTICKS, TierPolicy(), horizon_days=100, kinds=kinds)
    return [tuple(alert.values()) for alert in found.to_list()[0]]


@pytest.mark.parametrize(
    ("changes", "alerts"),
    [
        ({}, []),
        ({"probability_active": 0.3}, [("churn_risk", 0.3, 0.5)]),
        ({"probability_active": 0.45}, []),
        ({"probability_active": 0.3, "tier": "C"}, []),
        ({"probability_active": 0.3, "purchase_days": 1}, []),
        ({"probability_active": 0.3, "recency_days": 60}, []),
        ({"potential": "dormant", "gap_max_days": 70, "recency_days": 80}, [("dormant_again", 80.0, 70.0)]),
        ({"potential": "dormant", "recency_days": 80}, []),
        ({"potential": "dormant", "gap_max_days": 70, "recency_days": 171}, []),
        ({"overdue": True, "recency_days": 40}, [("overdue", 40.0, 30.0)]),
        ({"overdue": True, "recency_days": 131}, []),
        ({"overdue": True, "probability_active": 0.1}, [("churn_risk", 0.1, 0.5), ("overdue", 10.0, 30.0)]),
    ],
)
def test_an_alert_is_raised_where_its_rule_holds(changes, alerts):
    """Each alert concerns the customers of its population only, with its value and what is usual."""
    assert alerts_of(**changes) == alerts


def test_an_alert_that_did_not_prove_better_is_not_given():
    """Only the kinds asked for are raised."""
    assert alerts_of(kinds=["churn_risk"], overdue=True) == []
    assert alerts_of(kinds=[], overdue=True, probability_active=0.1) == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_alerts_are_said_in_both_languages(language):
    """The sentence carries value and what is usual, a probability in percent."""
    said = alert_sentence({"kind": "churn_risk", "value": 0.25, "usual": 0.5}, language)
    assert "25%" in said
    assert "50%" in said
    assert "40" in alert_sentence({"kind": "overdue", "value": 40.0, "usual": 31.0}, language)


@pytest.mark.parametrize("kind", [*ALERT_KINDS, "next_products", "prospects"])
def test_findings_are_said_in_both_languages(kind):
    """A finding names its figures, or how many there were to judge by; in Chinese it is Chinese."""
    found = {"customers": 17, "ours": 0.7123, "simple": 0.5, "chance": 0.62, "passed": False, "enough": True}
    for language, chinese in (("en", False), ("zh", True)):
        compared, short = (evidence_sentence(kind, {**found, "enough": enough}, language) for enough in (True, False))
        assert "0.7" in compared
        assert "62%" in compared
        assert "17" in short
        assert [any("一" <= letter <= "鿿" for letter in said) for said in (compared, short)] == [chinese] * 2
        assert why_absent({kind: found}, kind, language) == compared
        assert compared in absent_sentence(kind, compared, language)
    assert why_absent({kind: {**found, "passed": True}}, kind, "en") == ""
    assert "留出" in why_absent({}, kind, "zh")
