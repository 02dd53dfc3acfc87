"""Names, domains, phones and addresses reduced to what is compared."""

import re
import tomllib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import polars as pl

PHONE_DIGITS_MIN = 7
_PHONE_DIGITS_MAX = 15
_SECOND_LEVEL = "ac|co|com|edu|go|gov|ne|net|or|org"


@cache
def _words(group: str) -> tuple[str, ...]:
    table = tomllib.loads(files(__package__).joinpath("words.toml").read_text(encoding="utf-8"))
    return tuple(table[group])


def _any_of(group: str) -> str:
    """Give a pattern of any word of a group, the longest first."""
    return "|".join(re.escape(word) for word in sorted(_words(group), key=len, reverse=True))


def _folded(text: pl.Expr) -> pl.Expr:
    """Fold case, width and Latin accents; signs become spaces, dots and apostrophes vanish."""
    bare = text.str.normalize("NFKD").str.replace_all(r"[\u0300-\u036f]", "").str.normalize("NFKC")
    return (
        bare.str.to_lowercase()
        .str.replace_all("ß", "ss", literal=True)
        .str.replace_all(r"[.'’`´·]", "")
        .str.replace_all(r"[&+]", " and ")
        .str.replace_all(r"[^\p{L}\p{N}]+", " ")
        .str.strip_chars()
    )


def _filled(key: pl.Expr) -> pl.Expr:
    return pl.when(key != "").then(key)


def company_key(name: pl.Expr) -> pl.Expr:
    """Reduce a company's name: case, width, accents, signs, spaces and legal forms don't count."""
    folded = _folded(name)
    latin = folded.str.replace(rf"(?:(?:^| )(?:and )?(?:{_any_of('legal_forms')}))+$", "").str.replace(r"^the ", "")
    joined = latin.str.replace_all(" ", "", literal=True)
    is_branch = joined.str.contains(rf"(?:{_any_of('branches')})$")
    forms = _any_of("legal_forms_joined")
    bare = joined.str.replace(rf"^(?:{forms})", "").str.replace(rf"(?:{forms})+$", "")
    key = pl.when(is_branch).then(joined).otherwise(bare)
    return _filled(pl.when(key == "").then(folded.str.replace_all(" ", "", literal=True)).otherwise(key))


def person_key(name: pl.Expr) -> pl.Expr:
    """Reduce a person's name: case, width, accents, titles and the order of its words don't count."""
    titles = _any_of("titles")
    bare = _folded(name).str.replace_all(rf"^(?:(?:{titles}) )+", "").str.replace(r"(?:先生|女士|小姐|博士)$", "")
    return _filled(bare.str.split(" ").list.sort().list.join(""))


def phone_key(phone: pl.Expr) -> pl.Expr:
    """Reduce a phone number to its digits, without extension, trunk zero and international prefix; the first of several."""
    first = phone.str.normalize("NFKC").str.to_lowercase().str.replace(r"(?:[;,、]|\s/\s).*$", "")
    number = first.str.replace(r"(?:ext|x|转|分机|#).*$", "")
    abroad = number.str.replace(r"^[\s(]*(?:\+|00)\s*(\d{1,3})[\s)-]*\(?0", "$1")  # +44 (0)20, (0086)021
    digits = abroad.str.replace_all(r"[^0-9]", "").str.strip_chars_start("0")
    is_number = digits.str.len_chars().is_between(PHONE_DIGITS_MIN, _PHONE_DIGITS_MAX)
    return pl.when(is_number & (digits.str.strip_chars(digits.str.slice(0, 1)) != "")).then(digits)


def email_key(email: pl.Expr) -> pl.Expr:
    """Reduce a mail address: case, width, the name beside it and a +tag don't count; a mailbox of several people is left out."""
    folded = email.str.normalize("NFKC").str.to_lowercase()
    address = folded.str.extract(r"([^\s<>@,;:]+@[^\s<>@,;]+\.[^\s<>@,;]+)").str.replace(r"\+[^@]*@", "@")
    is_role = address.str.contains(rf"^(?:{_any_of('role_mail')})@")
    return pl.when(~is_role).then(address)


def domain_key(address: pl.Expr) -> pl.Expr:
    """Reduce a website or mail address to its registered domain; that of a free mail service is left out."""
    folded = address.str.normalize("NFKC").str.to_lowercase().str.strip_chars()
    host = folded.str.extract(r"^(?:[a-z][a-z0-9+.-]*:/*)?(?:[^/@]*@)?([^/:?#>\s]+)").str.strip_chars_end(".")
    domain = pl.coalesce(
        host.str.extract(rf"([^.]+\.(?:{_SECOND_LEVEL})\.[a-z]{{2}})$"), host.str.extract(r"([^.]+\.[^.]+)$")
    )
    is_own = domain.is_in(free_mail()).not_() & domain.str.contains(r"\p{L}")
    return pl.when(is_own).then(domain)


def free_mail() -> Sequence[str]:
    """List the domains that say nothing of the company."""
    return _words("free_mail")
