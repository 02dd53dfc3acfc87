"""Measure the confidence of duplicate leads on generated ones: how many proposals of each band are right.

`python -m benchmarks.lead_duplicates [SEED]`. Persons of generated companies fill in forms, visit fairs and are typed in: with and without
company, by private or business mail, by mobile phone or switchboard. Colleagues share company, domain and switchboard, persons of
one name are many, above all in Chinese, and free mail services are everybody's.
"""

import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from benchmarks.duplicates import Company, as_recorded, companies, mistyped, print_bands, shuffled, stored_pairs
from forecast.records import Lead

COMPANIES = 4_000

_SURNAMES_ZH = "王李张刘陈杨黄赵周吴徐孙马朱胡郭何高林罗"
_GIVEN_ZH = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚桂英华玉兰建国文辉红"
_FIRST = (
    "Anna", "Ben", "Carla", "David", "Emma", "Felix", "Grace", "Hans", "Ines", "James", "Karin", "Luca", "Maria", "Nils", "Olga",
    "Paul", "Rosa", "Sam", "Tina", "Uwe", "Vera", "Will", "Yara", "Tom", "Lisa", "Mark", "Julia", "Peter", "Laura", "Eric",
)  # fmt: skip
_LAST = (
    "Smith", "Jones", "Müller", "Schmidt", "Rossi", "Dubois", "Garcia", "Novak", "Jensen", "Larsson", "Meyer", "Weber", "Brown", "Wilson",
    "Taylor", "Bianchi", "Moreau", "Silva", "Costa", "Kowalski", "Horvat", "Popov", "Peeters", "Bakker", "Murphy", "Walsh", "Evans", "Clark",
    "Lewis", "Walker", "Hall", "Young", "King", "Wright", "Baker", "Carter", "Fischer", "Wagner", "Becker", "Schulz", "Hoffmann", "Koch",
)  # fmt: skip


@dataclass(frozen=True)
class Person:
    """A person and how to reach them."""

    number: int
    company: Company
    first: str
    last: str
    business_mail: str
    private_mail: str
    mobile: str

    @property
    def is_chinese(self) -> bool:
        """Whether the name is written in characters."""
        return self.last in _SURNAMES_ZH


def persons(chance: random.Random, count: int) -> Iterator[Person]:
    """Make the persons of companies: one to four each, of one company in fifty sixty."""
    number = 0
    for company in companies(chance, count):
        for _ in range(chance.choices([1, 2, 3, 4, 60], [44, 27, 18, 9, 2])[0]):
            yield _person(chance, number, company)
            number += 1


def _person(chance: random.Random, number: int, company: Company) -> Person:
    digits = "".join(chance.choices("0123456789", k=8))
    if company.core[0] > "\u4e00":
        last = chance.choice(_SURNAMES_ZH)
        first = "".join(chance.sample(_GIVEN_ZH, k=chance.choice([1, 2, 2])))
        local, private = f"{chance.choice('abcdefghjklmz')}{number % 97}", f"{digits}{number % 10}@qq.com"
        mobile = f"13{chance.randrange(10)}{digits}"
    else:
        first, last = chance.choice(_FIRST), chance.choice(_LAST)
        local = chance.choice([f"{first}.{last}", f"{first[0]}{last}", first]).lower().replace("ü", "ue")
        private = f"{first}{last}{number % 89}@gmail.com".lower().replace("ü", "ue")
        mobile = f"07{digits}0"
    return Person(number, company, first, last, f"{local}@{company.domain}", private, mobile)


def as_captured(chance: random.Random, person: Person) -> dict[str, str | int | None]:
    """Write a person down as a form, a fair or a colleague would."""
    written = as_recorded(chance, person.company)
    return {
        "name": _name(chance, person),
        "company": chance.choices([str(written["name"]), None], [0.75, 0.25])[0],
        "email": _mail(chance, person),
        "phone": _phone(chance, person),
        "person": person.number,
    }


def _name(chance: random.Random, person: Person) -> str:
    if person.is_chinese:
        full = person.last + person.first
        styles = [full, f"{full}先生", f"{person.last}经理", full[:-1] + chance.choice(_GIVEN_ZH)]
        return chance.choices(styles, [0.82, 0.06, 0.06, 0.06])[0]
    full = f"{person.first} {person.last}"
    styles = [
        full,
        f"{person.last}, {person.first}",
        f"{person.first[0]}. {person.last}",
        mistyped(chance, full),
        full.upper(),
    ]
    return chance.choices(styles, [0.7, 0.08, 0.06, 0.08, 0.08])[0]


def _mail(chance: random.Random, person: Person) -> str | None:
    shared = f"info@{person.company.domain}"
    own = person.business_mail if person.number % 3 else person.private_mail
    other = person.private_mail if person.number % 3 else person.business_mail
    return chance.choices([own, other, shared, mistyped(chance, own), None], [0.6, 0.1, 0.04, 0.03, 0.23])[0]


def _phone(chance: random.Random, person: Person) -> str | None:
    code = "+86 " if person.is_chinese else "+44 "
    abroad = code + person.mobile.removeprefix("0")
    spaced = f"{person.mobile[:3]} {person.mobile[3:7]} {person.mobile[7:]}"
    forms = [person.mobile, spaced, abroad, person.company.phone, None]
    return chance.choices(forms, [0.2, 0.12, 0.15, 0.18, 0.35])[0]


def records(seed: int) -> pl.DataFrame:
    """Make leads, of which one person in five is captured two or three times."""
    chance = random.Random(seed)  # noqa: S311  # nothing secret
    rows = []
    for person in persons(chance, COMPANIES):
        for _ in range(chance.choices([1, 2, 3], [8, 1.5, 0.5])[0]):
            rows.append(as_captured(chance, person))  # noqa: PERF401  # one chance for all, in order
    return shuffled(chance, rows)


if __name__ == "__main__":
    made = records(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    print_bands(stored_pairs(Lead, made.drop("person")), made.select("id", "person"))
