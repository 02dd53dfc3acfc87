"""Find probable duplicates among what is stored."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import polars as pl
import sqlalchemy as sa
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sqlalchemy.orm import Session

from forecast.duplicates.evidence import COMPARISONS, weigh_pairs
from forecast.duplicates.keys import PHONE_DIGITS_MIN, company_key, domain_key, email_key, person_key, phone_key
from forecast.duplicates.pairs import candidate_pairs
from forecast.errors import InputError
from forecast.records import Account, Contact, Lead, Merge
from forecast.store import read_frame

DUPLICATE_KINDS = ("account", "lead")
CONFIDENCE_MIN = 0.5

_BLOCKS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"account": ("name", "domain", "phone_end"), "lead": ("who", "email", "phone_end")}
)
_SPELLED: Mapping[str, str] = MappingProxyType({"account": "name", "lead": "who"})


def find_duplicates(session: Session, kind: str, *, confidence_min: float = CONFIDENCE_MIN) -> pl.DataFrame:
    """List pairs of records that are probably the same.

    Deleted records are left out, and pairs whose merge was undone: somebody knew better.

    Returns:
        `group_id, id, other_id, name, other_name, confidence, evidence`, a pair a row; by group, the surest first. `id` is
        the one to keep: of leads, one that is not open; then the older. Records connected by pairs are a group, named by
        the one of them to keep.

    Raises:
        InputError: duplicates of this kind can't be found.
    """
    if kind not in DUPLICATE_KINDS:
        raise InputError(f'duplicates of "{kind}" are not looked for; name one of: {", ".join(DUPLICATE_KINDS)}')
    records = _READERS[kind](session)
    pairs = candidate_pairs(records, blocks=_BLOCKS[kind], spelled=_SPELLED[kind])
    weighed = weigh_pairs(pairs, records, COMPARISONS[kind]).filter(pl.col("confidence") >= confidence_min)
    return _grouped(_without_undone(session, kind, _named(weighed, records)), records)


def _read_accounts(session: Session) -> pl.DataFrame:
    columns = (Account.id, Account.name, Account.domain, Account.phone, Account.created_at)
    stored = read_frame(session, sa.select(*columns).where(Account.deleted_at.is_(None))).sort(
        "created_at", "id", nulls_last=True
    )
    by_mail = _mail_domains(session)
    return (
        stored.with_row_index("row")
        .join(by_mail, left_on="id", right_on="account_id", how="left", maintain_order="left")
        .select(
            pl.col("row").cast(pl.Int64),
            "id",
            pl.col("name").alias("title"),
            company_key(pl.col("name")).alias("name"),
            pl.coalesce(domain_key(pl.col("domain")), "mail_domain").alias("domain"),
            phone_key(pl.col("phone")).alias("phone"),
        )
        .with_columns(_phone_end())
    )


def _mail_domains(session: Session) -> pl.DataFrame:
    """Give the domain of an account's contacts, where all that have one have the same."""
    statement = sa.select(Contact.account_id, Contact.email).where(
        Contact.deleted_at.is_(None), Contact.account_id.is_not(None), Contact.email.is_not(None)
    )
    domains = read_frame(session, statement).select("account_id", domain_key(pl.col("email")).alias("mail_domain"))
    of_account = domains.drop_nulls().unique().group_by("account_id")
    return (
        of_account.agg(pl.col("mail_domain").first(), pl.len().alias("many")).filter(pl.col("many") == 1).drop("many")
    )


def _read_leads(session: Session) -> pl.DataFrame:
    columns = (Lead.id, Lead.name, Lead.company, Lead.email, Lead.phone, Lead.status, Lead.created_at)
    stored = read_frame(session, sa.select(*columns).where(Lead.deleted_at.is_(None))).sort(
        pl.col("status") == "open", "created_at", "id", nulls_last=True
    )
    return (
        stored.with_row_index("row")
        .select(
            pl.col("row").cast(pl.Int64),
            "id",
            pl.concat_str("name", "company", separator=", ", ignore_nulls=True).alias("title"),
            person_key(pl.col("name")).alias("name"),
            company_key(pl.col("company")).alias("company"),
            email_key(pl.col("email")).alias("email"),
            domain_key(pl.col("email")).alias("domain"),
            phone_key(pl.col("phone")).alias("phone"),
        )
        .with_columns(_phone_end(), pl.concat_str("name", pl.lit("|"), "company").alias("who"))
    )


_READERS: Mapping[str, Callable[[Session], pl.DataFrame]] = MappingProxyType(
    {"account": _read_accounts, "lead": _read_leads}
)


def _phone_end() -> pl.Expr:
    return pl.col("phone").str.tail(PHONE_DIGITS_MIN).alias("phone_end")


def _named(weighed: pl.DataFrame, records: pl.DataFrame) -> pl.DataFrame:
    ids, titles = records["id"], records["title"]
    return weighed.with_columns(
        ids.gather(weighed["left"]).alias("id"),
        ids.gather(weighed["right"]).alias("other_id"),
        titles.gather(weighed["left"]).alias("name"),
        titles.gather(weighed["right"]).alias("other_name"),
    )


def _without_undone(session: Session, kind: str, found: pl.DataFrame) -> pl.DataFrame:
    undone = read_frame(
        session, sa.select(Merge.kept_id, Merge.merged_id).where(Merge.kind == kind, Merge.undone_at.is_not(None))
    )
    for left, right in (("id", "other_id"), ("other_id", "id")):
        found = found.join(undone, left_on=[left, right], right_on=["kept_id", "merged_id"], how="anti")
    return found


def _grouped(found: pl.DataFrame, records: pl.DataFrame) -> pl.DataFrame:
    """Name each pair's group by the first record of all that are connected."""
    left, right = found["left"].to_numpy(), found["right"].to_numpy()
    links = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(records.height, records.height))
    labels = pl.DataFrame({"label": connected_components(links, directed=False)[1]})
    first = labels.with_row_index("row").group_by("label").agg(pl.col("row").min())
    kept = labels.join(first, on="label", how="left", maintain_order="left")["row"]
    surest = pl.col("confidence").max().over("group_id")
    return (
        found.with_columns(records["id"].gather(kept.gather(found["left"])).alias("group_id"))
        .sort(surest, "group_id", "confidence", "left", "right", descending=[True, False, True, False, False])
        .select("group_id", "id", "other_id", "name", "other_name", "confidence", "evidence")
    )
