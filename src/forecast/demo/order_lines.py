"""What an order is made of: its main product, and accessories that the customer's plant uses."""

import numpy as np
import polars as pl

from forecast.demo.columns import Floats, Ints, ids, spread_rows
from forecast.demo.market import Market
from forecast.demo.products import MAIN_PRODUCTS

_LINES_PER_ORDER = (0.45, 0.75, 0.92)
_OWN_WEIGHT = 40.0
_COMPANION_WEIGHT = 1.0
_APPLICATIONS = ((0, 3, 9, 12), (1, 4, 8, 13), (2, 5, 10, 11), (0, 6, 7, 10), (3, 5, 8, 12))
"""Accessories that each kind of plant uses, the most used first."""


def draw_order_lines(rng: np.random.Generator, orders: pl.DataFrame, market: Market, *, first: int = 0) -> pl.DataFrame:
    """Draw the lines of each order: its main product, and none to three accessories; amounts add up to the order's.

    Their ids are from number `first` on. Accessories are those that the customer's plant uses, and those of the main
    product's family; of an order of an accessory, other ones.
    """
    extras = np.searchsorted(_LINES_PER_ORDER, rng.random(orders.height), side="right")
    own_share = np.round(rng.uniform(0.7, 0.95, orders.height), 1)
    chosen = _draw_accessories(rng, orders, market)
    rows = spread_rows(1 + extras)
    position = np.arange(len(rows)) - np.searchsorted(rows, rows, side="left")
    own = orders["product"].to_numpy()[rows]
    product = np.where(position == 0, own, chosen[rows, np.maximum(position - 1, 0)])
    amount = _split(orders["amount"].to_numpy(), extras, own_share, rows=rows, position=position)
    list_price = market.products["list_price"].to_numpy()[product]
    quantity = np.maximum(1.0, np.round(amount / list_price))
    return pl.DataFrame(
        {
            "id": ids("L", first + np.arange(len(rows)), digits=7),
            "created_at": orders["created_at"].gather(rows),
            "order_id": orders["id"].gather(rows),
            "product_id": market.products["id"].gather(product),
            "position": 1 + position,
            "quantity": quantity,
            "unit_price": np.round(amount / quantity, 2),
            "amount": amount,
            "discount_share": np.round(np.clip(1 - amount / (quantity * list_price), 0, 0.5), 3),
        }
    )


def _draw_accessories(rng: np.random.Generator, orders: pl.DataFrame, market: Market) -> Ints:
    """Draw three different accessories for each order, the first the likeliest, as product codes."""
    plant = rng.integers(0, len(_APPLICATIONS), market.accounts.height)
    family, own = market.products["family"].to_numpy(), orders["product"].to_numpy()
    goes_with = family[:, None] == family[None, MAIN_PRODUCTS:]
    weights = np.ones((len(_APPLICATIONS), goes_with.shape[1]))
    for kind, used in enumerate(_APPLICATIONS):
        weights[kind, list(used)] = _OWN_WEIGHT / np.sqrt(np.arange(1, len(used) + 1))
    likely = weights[plant[orders["account"].to_numpy()]] + _COMPANION_WEIGHT * goes_with[own]
    is_own = own[:, None] == np.arange(MAIN_PRODUCTS, len(family))
    races = np.where(is_own, np.inf, rng.exponential(1.0, likely.shape) / likely)
    return np.asarray(MAIN_PRODUCTS + np.argsort(races, axis=1, kind="stable")[:, :3], dtype=np.int64)


def _split(amount: Floats, extras: Ints, own_share: Floats, *, rows: Ints, position: Ints) -> Floats:
    """Give the main product its share of an order's amount, and the last line what is left."""
    first = np.where(extras == 0, amount, np.round(amount * own_share, 2))
    each = np.round((amount - first) / np.maximum(extras, 1), 2)
    last = amount - first - each * np.maximum(extras - 1, 0)
    parts: Floats = np.where(position == extras[rows], last[rows], each[rows])
    found: Floats = np.where(position == 0, first[rows], parts).round(2)
    return found
