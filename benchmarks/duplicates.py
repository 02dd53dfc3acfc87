"""Measure the confidence of duplicates on generated companies: how many proposals of each band are right.

`python -m benchmarks.duplicates [SEED]`. The companies are made hard on purpose: groups share a domain and a switchboard, names
differ in a city or a trade only, and strangers bear the same name. Spellings are changed as people do: legal forms, abbreviations, typing
errors, missing and outdated details.
"""

import random
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from forecast.duplicates import find_duplicates
from forecast.records import Account, Lead
from forecast.settings import Settings
from forecast.store import copy_frame, migrate, open_engine, unit_of_work

COMPANIES = 20_000
BANDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)

_SYLLABLES = [
    "nor",
    "ber",
    "tan",
    "vel",
    "gar",
    "mon",
    "lis",
    "dor",
    "ken",
    "sal",
    "tri",
    "mar",
    "fen",
    "hol",
    "win",
    "cas",
    "per",
    "lan",
    "bro",
    "gil",
    "ran",
    "hay",
    "stan",
    "del",
]
_TRADES = {
    "Machinery": "Mach", "Engineering": "Eng", "Technologies": "Tech", "Logistics": "Log", "Foods": "Foods", "Plastics": "Plast",
    "Electronics": "Elec", "Chemicals": "Chem", "Systems": "Sys", "Consulting": "Consult", "Manufacturing": "Mfg", "Trading": "Trd",
}  # fmt: skip
_FORMS = ["Ltd", "Limited", "GmbH", "Inc.", "LLC", "S.A.", "AG", "B.V.", "Co., Ltd.", "Corp.", ""]
_CITIES = ["London", "Munich", "Lyon", "Boston", "Austin", "Milan"]
_CHINESE_CITIES = ["北京", "上海", "深圳", "广州", "杭州", "苏州", "成都", "武汉", "南京", "天津", "青岛", "西安"]
_LETTERS = "华信德盛鑫源泰恒中远博瑞天宏金海嘉诚东方新明光大安康联创正阳宇航飞腾龙凤祥云智慧达通"
_CHINESE_TRADES = {
    "科技": "科技", "信息技术": "信息", "机械制造": "机械", "电子": "电子", "生物医药": "医药", "贸易": "商贸", "建筑工程": "建工",
    "化工": "化工", "食品": "食品", "物流": "物流", "新材料": "材料", "自动化设备": "自动化",
}  # fmt: skip
_CHINESE_FORMS = ["有限公司", "股份有限公司", "有限责任公司", "（集团）有限公司", ""]


@dataclass(frozen=True)
class Company:
    """A company as one record of it says; `place`, `core` and `trade` make its name."""

    number: int
    place: str
    core: str
    trade: str
    form: str
    domain: str | None
    phone: str | None

    @property
    def name(self) -> str:
        """Spell the name."""
        mark = "" if self.core[0] in _LETTERS else " "
        return mark.join(part for part in (self.place, self.core, self.trade, self.form) if part)


def companies(chance: random.Random, count: int) -> Iterator[Company]:
    """Make different companies: most by themselves, some in groups, some that bear another's name."""
    known: list[Company] = []
    for number in range(count):
        company = _company(chance, number)
        kin = chance.random()
        if known and kin < 0.05:  # of a group: another city or trade, one domain and one switchboard
            other = chance.choice(known)
            company = replace(other, number=number, **_moved(chance, other), form=company.form)
        elif known and kin < 0.07:  # a stranger of the same name
            other = chance.choice(known)
            company = replace(company, place=other.place, core=other.core, trade=other.trade)
        known.append(company)
        yield company


def _company(chance: random.Random, number: int) -> Company:
    is_chinese = chance.random() < 0.5
    phone = "".join(chance.choices("0123456789", k=8))
    common = {"number": number, "phone": f"{'021' if is_chinese else '+44 20'} {phone[:4]} {phone[4:]}"}
    domain = f"{''.join(chance.choices('abcdefghiklmnoprstuvz', k=7))}.{'cn' if is_chinese else 'com'}"
    if is_chinese:
        core = "".join(chance.sample(_LETTERS, k=chance.choice([2, 2, 3])))
        parts = (chance.choice([*_CHINESE_CITIES, ""]), core, chance.choice(list(_CHINESE_TRADES)))
        form = chance.choices(_CHINESE_FORMS, [6, 2, 2, 1, 1])[0]
    else:
        core = "".join(chance.choices(_SYLLABLES, k=chance.choice([2, 3, 3]))).capitalize()
        parts = (chance.choice([*[""] * 6, *_CITIES]), core, chance.choice(list(_TRADES)))
        form = chance.choice(_FORMS)
    return Company(place=parts[0], core=parts[1], trade=parts[2], form=form, domain=domain, **common)  # type: ignore[arg-type]  # number and phone


def _moved(chance: random.Random, other: Company) -> dict[str, str]:
    is_chinese = other.core[0] in _LETTERS
    if chance.random() < 0.5:
        return {
            "place": chance.choice([one for one in (_CHINESE_CITIES if is_chinese else _CITIES) if one != other.place])
        }
    return {"trade": chance.choice([one for one in (_CHINESE_TRADES if is_chinese else _TRADES) if one != other.trade])}


def as_recorded(chance: random.Random, company: Company) -> dict[str, str | int | None]:
    """Write a company down as one of several people would."""
    is_chinese = company.core[0] in _LETTERS
    if chance.random() < 0.6:
        company = replace(company, form=chance.choice(_CHINESE_FORMS if is_chinese else _FORMS))
    if chance.random() < 0.15:
        company = replace(company, trade=(_CHINESE_TRADES if is_chinese else _TRADES)[company.trade])
    if chance.random() < 0.08:
        company = replace(company, place="")
    name = mistyped(chance, company.name) if chance.random() < 0.12 else company.name
    return {
        "name": name.upper() if chance.random() < 0.1 else name,
        "domain": _detail(chance, company.domain, f"{company.number}-old.com"),
        "phone": _detail(chance, company.phone, f"0{chance.randrange(10**8, 10**9)}"),
        "company": company.number,
    }


def mistyped(chance: random.Random, name: str) -> str:
    """Add, leave out or change a letter."""
    place = chance.randrange(1, len(name))
    letter = chance.choice(_LETTERS if name[0] > "\u4e00" else "abcdefghijklmnopqrstuvwxyz")
    return chance.choice(
        [
            name[:place] + name[place + 1 :],
            name[:place] + letter + name[place:],
            name[:place] + letter + name[place + 1 :],
        ]
    )


def _detail(chance: random.Random, now: str | None, outdated: str) -> str | None:
    return chance.choices([now, None, outdated], [0.55, 0.3, 0.15])[0]


def records(seed: int) -> pl.DataFrame:
    """Make records, of which one company in six has two or three."""
    chance = random.Random(seed)  # noqa: S311  # nothing secret
    rows = []
    for company in companies(chance, COMPANIES):
        for _ in range(chance.choices([1, 2, 3], [10, 1.5, 0.5])[0]):
            rows.append(as_recorded(chance, company))  # noqa: PERF401  # one chance for all, in order
    return shuffled(chance, rows)


def shuffled(chance: random.Random, rows: list[dict[str, str | int | None]]) -> pl.DataFrame:
    """Put records in an order that tells nothing, and give them ids by their places in it."""
    chance.shuffle(rows)
    frame = pl.DataFrame(rows, infer_schema_length=None).with_row_index("place")
    return frame.select(pl.format("R{}", "place").alias("id"), pl.exclude("place"))


def stored_pairs(kind: type[Account | Lead], made: pl.DataFrame) -> pl.DataFrame:
    """Store generated records, and give the pairs that are proposed."""
    with tempfile.TemporaryDirectory(prefix="forecast-bench-", ignore_cleanup_errors=True) as folder:
        engine = open_engine(Settings(home=Path(folder)))
        migrate(engine)
        with unit_of_work(engine) as session:
            stored = made.with_columns(
                pl.col("id").alias("external_id"), pl.lit(datetime(2026, 1, 1, tzinfo=UTC)).alias("created_at")
            )
            copy_frame(session, kind.metadata.tables[kind.__tablename__], stored)
        with unit_of_work(engine) as session:
            found = find_duplicates(session, kind.__tablename__)
        engine.dispose()
    return found


def banded(found: pl.DataFrame, truth: pl.DataFrame) -> tuple[pl.DataFrame, float]:
    """Give the proposals of each band and how many are right; and the share of true pairs that is proposed.

    `truth` has `id` and, as its second column, who each record is of.
    """
    who = truth.columns[1]
    owner = dict(truth.iter_rows())
    right = [owner[one] == owner[other] for one, other in found.select("id", "other_id").iter_rows()]
    true_pairs = truth.group_by(who).len().select((pl.col("len") * (pl.col("len") - 1) // 2).sum()).item()
    table = (
        found.select(
            pl.col("confidence").cut(BANDS[1:-1], left_closed=True).alias("band"),
            "confidence",
            pl.Series("right", right),
        )
        .group_by("band")
        .agg(pl.len().alias("proposals"), pl.col("confidence", "right").mean())
        .sort("confidence")
    )
    return table, sum(right) / true_pairs


def print_bands(found: pl.DataFrame, truth: pl.DataFrame) -> None:
    """Print what `banded` gives."""
    shown, recall = banded(found, truth)
    with pl.Config(float_precision=3, tbl_rows=-1, tbl_hide_column_data_types=True):
        print(shown)
    print(f"share of true pairs proposed: {recall:.3f}")


if __name__ == "__main__":
    made = records(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    print_bands(stored_pairs(Account, made.drop("company")), made.select("id", "company"))
