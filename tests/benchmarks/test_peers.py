import numpy as np
import polars as pl
import pytest

from benchmarks.measures import measure
from benchmarks.peers import CHEAP_PEERS, naive_bayes, prior

FEATURES = {"source": "cat", "amount": "num"}


def opportunities(count: int, seed: int) -> pl.DataFrame:
    """Make opportunities of which fairs win .8 and the others .2."""
    random = np.random.default_rng(seed)
    source = random.choice(["web", "fair", "partner"], count)
    chance = np.where(source == "fair", 0.8, 0.2)
    return pl.DataFrame(
        {
            "id": [f"O{seed}-{index:05}" for index in range(count)],
            "created_at": [f"2024-{1 + index * 12 // count:02}-01" for index in range(count)],
            "source": pl.Series(source).set(pl.Series(random.random(count) < 0.05), None),
            "amount": random.lognormal(9, 1, count),
            "outcome": np.where(random.random(count) < chance, "won", "lost"),
        }
    )


@pytest.mark.parametrize("name", [name for name in CHEAP_PEERS if name != "prior"])
@pytest.mark.parametrize("time", ["created_at", None])
def test_peer_finds_a_plain_signal(name, time):
    """Each peer ranks by a signal that is there."""
    test = opportunities(500, 2)
    found = CHEAP_PEERS[name](opportunities(600, 1), test, FEATURES, time)
    assert measure((test["outcome"] == "won").cast(pl.Float64).to_numpy(), found).auc > 0.7


@pytest.mark.parametrize("name", ["Odoo's naive Bayes", "logistic regression"])
def test_answers_come_in_the_order_of_the_test_rows(name):
    """Turning the rows round turns the answers round, and nothing else."""
    train, test = opportunities(600, 1), opportunities(100, 2)
    forward = CHEAP_PEERS[name](train, test, FEATURES, "created_at")
    backward = CHEAP_PEERS[name](train.reverse(), test.reverse(), FEATURES, "created_at")
    assert backward[::-1] == pytest.approx(forward, abs=1e-4)


def test_peers_take_values_never_seen():
    """An unseen category and a missing number still give a probability."""
    train = opportunities(600, 1)
    test = pl.DataFrame({"id": ["N"], "created_at": ["2025-01-01"], "source": ["new"], "amount": [None]}).cast(
        {"amount": pl.Float64}
    )
    for name, peer in CHEAP_PEERS.items():
        assert 0 < peer(train, test, FEATURES, "created_at")[0] < 1, name


def test_prior_is_the_win_rate():
    """The prior knows nothing but the share of wins."""
    train = pl.DataFrame({"outcome": ["won", "lost", "lost", "lost"]})
    assert list(prior(train, train.head(2), {}, None)) == [0.25, 0.25]


def test_naive_bayes_by_hand():
    """Two of three web offers won, none of one fair: the formula of the docstring, worked out."""
    train = pl.DataFrame({"source": ["web", "web", "web", "fair"], "outcome": ["won", "won", "lost", "lost"]})
    test = pl.DataFrame({"source": ["web", "fair", None]})
    web_won, web_lost = 0.5 * 2.1 / 2.2, 0.5 * 1.1 / 2.2
    fair_won, fair_lost = 0.5 * 0.1 / 2.2, 0.5 * 1.1 / 2.2
    expected = [web_won / (web_won + web_lost), fair_won / (fair_won + fair_lost), 0.5]
    assert naive_bayes(train, test, {"source": "cat"}, None) == pytest.approx(expected)
