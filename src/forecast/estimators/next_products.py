"""What an account may buy next: products that go with those it bought, item to item."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from forecast.metrics import Floats

Places = NDArray[np.int64]

NEIGHBOURS = 50
SHRINKAGE = 10.0
PRODUCTS_MAX = 5_000
PROPOSAL_TYPES = pl.Schema(
    {"account_id": pl.String(), "product_id": pl.String(), "because": pl.String(), "lift": pl.Float64()}
)
_BLOCK = 20_000


@dataclass(frozen=True, kw_only=True)
class Companions:
    """Which products are bought by the same accounts.

    Attributes:
        products: the PRODUCTS_MAX that most accounts bought, most first.
        buyers: how many accounts bought each.
        accounts: how many accounts bought anything.
        nearness: of each product (row) to its NEIGHBOURS nearest: shared buyers over (geometric mean of buyers + SHRINKAGE).
    """

    products: tuple[str, ...]
    buyers: Floats
    accounts: int
    nearness: sparse.csr_array

    @property
    def popularity(self) -> Floats:
        """Share of accounts that bought each product."""
        return np.asarray(self.buyers / max(self.accounts, 1))


def fit_companions(bought: pl.DataFrame) -> Companions:
    """Learn from `account_id, product_id`, one row a product of an order."""
    pairs = bought.unique(["account_id", "product_id"])
    counts = pairs.group_by("product_id").len().sort("len", "product_id", descending=[True, False]).head(PRODUCTS_MAX)
    products, buyers = tuple(counts["product_id"]), counts["len"].cast(pl.Float64).to_numpy()
    baskets = basket_matrix(pairs, pairs["account_id"].unique(maintain_order=True), products)
    shared = sparse.coo_array(baskets.T @ baskets)
    row, column = shared.coords
    apart = row != column
    row, column, value = row[apart], column[apart], shared.data[apart]
    near = value / (np.sqrt(buyers[row] * buyers[column]) + SHRINKAGE)
    kept = _nearest(row, near)
    shape = (len(products), len(products))
    return Companions(
        products=products,
        buyers=buyers,
        accounts=pairs["account_id"].n_unique(),
        nearness=sparse.csr_array((near[kept], (row[kept], column[kept])), shape=shape),
    )


def _nearest(row: Places, near: Floats) -> Places:
    """Give the places of the NEIGHBOURS nearest of each row."""
    order = np.lexsort((-near, row))
    starts = np.searchsorted(row[order], row[order], side="left")
    return np.asarray(order[np.arange(len(order)) - starts < NEIGHBOURS])


def basket_matrix(bought: pl.DataFrame, accounts: pl.Series, products: tuple[str, ...]) -> sparse.csr_array:
    """Give 1 for each product an account bought; rows as `accounts`, columns as `products`, others are left out."""
    rows = pl.DataFrame({"account_id": accounts}).with_row_index("row")
    columns = pl.DataFrame({"product_id": products}, schema={"product_id": pl.String()}).with_row_index("column")
    found = bought.unique(["account_id", "product_id"]).join(rows, on="account_id").join(columns, on="product_id")
    places = (found["row"].to_numpy(), found["column"].to_numpy())
    return sparse.csr_array((np.ones(found.height), places), shape=(len(accounts), len(products)))


def next_products(companions: Companions, bought: pl.DataFrame, *, count: int) -> pl.DataFrame:
    """Propose at most `count` products to each account that it has not bought yet, the nearest first.

    Returns:
        `account_id, product_id, because, lift`, by account, best first: `because` is the nearest product that the account
        has, and `lift` how much more often accounts with that one buy the product than all do.
    """
    accounts = bought["account_id"].unique().sort()
    parts = [
        _propose(companions, bought, accounts[start : start + _BLOCK], count)
        for start in range(0, len(accounts), _BLOCK)
    ]
    return pl.concat(parts) if parts else pl.DataFrame(schema=PROPOSAL_TYPES)


def _propose(companions: Companions, bought: pl.DataFrame, accounts: pl.Series, count: int) -> pl.DataFrame:
    baskets = basket_matrix(bought, accounts, companions.products)
    near = (baskets @ companions.nearness).toarray()
    near[baskets.nonzero()] = 0.0
    best = best_places(near, count)
    rows = np.repeat(np.arange(len(accounts)), best.shape[1])
    columns = best.ravel()
    kept = near[rows, columns] > 0
    rows, columns = rows[kept], columns[kept]
    because, lift = _grounds(companions, baskets, rows, columns)
    names = pl.Series(companions.products, dtype=pl.String)
    found = (accounts.gather(rows), names.gather(columns), names.gather(because), pl.Series(lift))
    return pl.DataFrame(dict(zip(PROPOSAL_TYPES.names(), found, strict=True)))


def best_places(values: Floats, count: int) -> Places:
    """Give the columns of the `count` largest values of each row, largest first; ties by column."""
    return np.asarray(np.argsort(-values, axis=1, kind="stable")[:, :count])


def _grounds(companions: Companions, baskets: sparse.csr_array, rows: Places, columns: Places) -> tuple[Places, Floats]:
    """Give the nearest product bought to each proposed one, and its lift: shared buyers over those chance would give."""
    toward, buyers = companions.nearness.tocsc(), companions.buyers
    because, shared = np.zeros(len(rows), dtype=np.int64), np.zeros(len(rows))
    for place, (row, column) in enumerate(zip(rows, columns, strict=True)):
        own = baskets.indices[baskets.indptr[row] : baskets.indptr[row + 1]]
        span = slice(toward.indptr[column], toward.indptr[column + 1])
        near = np.where(np.isin(toward.indices[span], own), toward.data[span], 0.0)
        best = int(np.argmax(near))
        because[place] = toward.indices[span][best]
        shared[place] = near[best] * (np.sqrt(buyers[because[place]] * buyers[column]) + SHRINKAGE)
    return because, shared * companions.accounts / (buyers[because] * buyers[columns])
