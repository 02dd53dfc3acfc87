import numpy as np
import polars as pl
import pytest

from forecast.estimators.next_products import fit_companions, next_products


def baskets(**bought):
    """Give `account_id, product_id` of accounts with what each bought, a letter a product."""
    rows = [(account, product) for account, products in bought.items() for product in products]
    return pl.DataFrame(rows, schema=["account_id", "product_id"], orient="row")


def crowd(count=60):
    """Give accounts that buy a with b, or c with d; everyone buys e."""
    return {f"n{number:02d}": "abe" if number % 2 else "cde" for number in range(count)}


def test_what_goes_with_the_basket_is_proposed_with_its_lift():
    """Who has a is proposed b, because of a; b is bought twice as often by those who have a as by all."""
    bought = baskets(**crowd(), asked="ae")
    found = next_products(fit_companions(bought), bought, count=1).filter(pl.col("account_id") == "asked")
    assert found.select("product_id", "because").rows() == [("b", "a")]
    assert found["lift"][0] == pytest.approx(30 * 61 / (31 * 30))


def test_nothing_is_proposed_twice_or_without_a_link():
    """What an account has is not proposed to it, nor what nobody bought beside it."""
    bought = baskets(**crowd(), alone="z", all="abcde")
    found = next_products(fit_companions(bought), bought, count=5)
    assert found.join(bought, on=["account_id", "product_id"], how="semi").is_empty()
    assert not {"alone", "all"} & set(found["account_id"])


def test_few_shared_buyers_count_little():
    """A pair that one account bought together is further than one that many did."""
    bought = baskets(**crowd(), rare="ax", asked="a")
    found = next_products(fit_companions(bought), bought, count=5).filter(pl.col("account_id") == "asked")
    assert found["product_id"].to_list()[-1] == "x"


def test_nearness_is_a_shrunk_cosine():
    """Shared buyers over the geometric mean of buyers, with ten more, as a plain count finds."""
    bought = baskets(a="pq", b="pq", c="p", d="qr")
    found = fit_companions(bought)
    place = {product: number for number, product in enumerate(found.products)}
    assert found.nearness[place["p"], place["q"]] == pytest.approx(2 / (np.sqrt(3 * 3) + 10))


def test_without_products_nothing_is_proposed():
    """An empty history gives an empty frame of the same columns."""
    bought = baskets().cast({"account_id": pl.String, "product_id": pl.String})
    assert next_products(fit_companions(bought), bought, count=3).columns == [
        "account_id",
        "product_id",
        "because",
        "lift",
    ]
