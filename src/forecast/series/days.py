"""Days as people write them: by dates, months, quarters, weeks and years, in English and Chinese."""

import polars as pl

_TIME = r"[T ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?([Zz]|[+-]\d{2}:?\d{2})?$"
_YEAR = r"((?:1[6-9]|2[01])\d{2})"
_CHINESE_QUARTERS = ("一", "二", "三", "四")
MONTHS = 12


def read_days(text: pl.Series) -> pl.Series:
    """Read a column of text as days, a longer period by its first; missing where it is none.

    03/04/2024 has its day first or its month first as the others of the column have: where none has a number above 12, what
    is the same in all is the day.
    """
    texts = text.cast(pl.String)
    once = texts.unique().drop_nulls()  # Series share their days: a million rows have a hundred of them.
    return texts.replace_strict(once, _read_each(once), default=None, return_dtype=pl.Date)


def _read_each(text: pl.Series) -> pl.Series:
    plain = text.str.strip_chars().str.replace(_TIME, "")
    dashed = plain.str.replace_all(r"[/.年月]", "-").str.replace_all("日", "").str.strip_chars_end("-")
    found = pl.DataFrame({"plain": plain, "dashed": dashed}).select(
        pl.coalesce(_by_number(), _by_quarter(), _by_week(), _by_month_name()).alias("day")
    )["day"]
    return found.zip_with(found.is_not_null(), _year_last(dashed))


def _by_number() -> pl.Expr:
    """Read 2024-01-31, 20240131, 2024-01, 202401, 2024M01, 01-2024 and 2024."""
    text = pl.col("dashed").str.replace(f"^(\\d{{1,2}})-{_YEAR}$", "${2}-${1}")
    parts = text.str.extract_groups(f"^{_YEAR}(?:[-M](\\d{{1,2}})(?:-(\\d{{1,2}}))?|(\\d{{2}})(\\d{{2}})?)?$").struct
    month, day = (pl.coalesce(parts[place], parts[place + 2], pl.lit("1")).str.zfill(2) for place in (1, 2))
    return (parts[0] + "-" + month + "-" + day).str.to_date("%Y-%m-%d", strict=False)


def _by_quarter() -> pl.Expr:
    """Read 2024Q1, Q1 2024, 2024年第1季度 and 2024年一季度 by the first day."""
    text = pl.col("plain").str.replace(f"^[Qq]([1-4])[- /]?{_YEAR}$", "${2}Q${1}")
    for number, word in enumerate(_CHINESE_QUARTERS, 1):
        text = text.str.replace(f"{word}季度?$", f"{number}季")
    parts = text.str.extract_groups(f"^{_YEAR}[- 年]*(?:[Qq]|第)?([1-4])(?:季度?)?$").struct
    is_quarter = text.str.contains("[Qq季]")
    month = (parts[1].cast(pl.Int64, strict=False) * 3 - 2).cast(pl.String).str.zfill(2)
    return pl.when(is_quarter).then((parts[0] + "-" + month + "-01").str.to_date("%Y-%m-%d", strict=False))


def _by_week() -> pl.Expr:
    """Read 2024-W05, 2024W05-1 and 2024年第5周 (ISO 8601) by their Monday."""
    parts = pl.col("plain").str.extract_groups(f"^{_YEAR}[- ]?(?:W|w|年第)(\\d{{1,2}})周?(?:-1)?$").struct
    return (parts[0] + "-W" + parts[1].str.zfill(2) + "-1").str.to_date("%G-W%V-%u", strict=False)


def _by_month_name() -> pl.Expr:
    """Read 31 Jan 2024, Jan 31, 2024, Jan 2024, Jan-24 and 2024-Jan."""
    words = pl.col("plain").str.replace_all(r"[-,./ ]+", " ").str.replace(r"([A-Za-z] )(\d{2})$", "${1}20${2}")
    whole = ("%d %B %Y", "%B %d %Y")
    without_day = ("%d %B %Y", "%d %Y %B")
    named = words.str.contains("^[0-9A-Za-z]+ [0-9A-Za-z]+$")
    return (
        pl.when(named)
        .then(pl.coalesce(("1 " + words).str.to_date(form, strict=False) for form in without_day))
        .otherwise(pl.coalesce(words.str.to_date(form, strict=False) for form in whole))
    )


def _year_last(dashed: pl.Series) -> pl.Series:
    """Read 31-01-2024 or 01-31-2024, whichever the column is written in; all are missing where it doesn't tell."""
    parts = dashed.str.extract_groups(f"^(\\d{{1,2}})-(\\d{{1,2}})-{_YEAR}$").struct.unnest().cast(pl.Int64)
    values = [parts.to_series(place).drop_nulls() for place in (0, 1)]
    months = [place for place in (0, 1) if not (values[place] > MONTHS).any()]
    if len(months) == len(values):
        months = [place for place in (0, 1) if values[place].n_unique() > 1 >= values[1 - place].n_unique()]
    if len(months) != 1:
        return pl.Series([None] * len(dashed), dtype=pl.Date)
    return dashed.str.to_date("%d-%m-%Y" if months[0] else "%m-%d-%Y", strict=False)
