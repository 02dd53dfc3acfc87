import polars as pl
import pytest

from forecast.duplicates.keys import company_key, domain_key, email_key, person_key, phone_key


def keys(function, *texts):
    """Reduce texts to keys."""
    return (
        pl.DataFrame({"text": texts}, schema={"text": pl.String}).select(function(pl.col("text"))).to_series().to_list()
    )


@pytest.mark.parametrize(
    "spellings",
    [
        (
            "Northgate Machinery Ltd.",
            "NORTHGATE MACHINERY LIMITED",
            "Ｎｏｒｔｈｇａｔｅ　Machinery",
            "North-Gate machinery",
        ),
        ("Müller & Söhne GmbH & Co. KG", "Muller and Sohne", "MÜLLER + SÖHNE GMBH"),
        ("Acme Co., Ltd.", "ACME, Inc", "The Acme Company", "A.C.M.E. Corp"),
        ("O'Neill Group Inc.", "ONeill", "O’Neill plc"),
        ("云峰机械股份有限公司", "云峰机械集团", "云峰机械 有限公司", "云峰机械（集团）有限责任公司", "云峰机械"),
        ("株式会社トヨタ", "トヨタ"),
        ("Foo S.p.A.", "Foo SpA", "FOO"),
    ],
)
def test_spellings_of_one_company_have_one_key(spellings):
    """Legal form, case, signs, width, accents and spaces don't count."""
    assert len(set(keys(company_key, *spellings))) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("云峰机械有限公司", "云峰机械有限公司上海分公司"),
        ("云峰机械（上海）有限公司", "云峰机械有限公司"),
        ("云峰机械", "云达机械"),
        ("Siemens AG", "Siemens China Ltd"),
        ("Plant 1 Ltd", "Plant 2 Ltd"),
        ("Group Ltd", "Company Inc"),
        ("集团", "公司"),
    ],
)
def test_different_companies_have_different_keys(one, other):
    """A branch, a country's company and a name made of legal forms only keep what tells them apart."""
    first, second = keys(company_key, one, other)
    assert first != second


def test_a_name_without_letters_has_no_key():
    """What says nothing is not compared."""
    assert keys(company_key, "", "  ", "--", None) == [None] * 4


def test_persons_are_the_same_in_any_order_and_with_any_title():
    """Titles, case and the order of names don't count."""
    assert len(set(keys(person_key, "Dr. John Smith", "Smith, John", "john SMITH"))) == 1
    assert len(set(keys(person_key, "王伟 先生", "王伟"))) == 1
    assert len(set(keys(person_key, "王伟", "王芳"))) == 2


def test_phone_numbers_are_digits_without_trunk_zero_and_extension():
    """However it is written, the number remains; what is too short or one digit repeated is none."""
    assert (
        keys(phone_key, "+44 (0)20 7946-0958", "0044 20 79460958 ext. 12", "+44 020 7946 0958") == ["442079460958"] * 3
    )
    assert keys(phone_key, "(0086)021 5888-1234", "+86 21 58881234转802") == ["862158881234"] * 2
    assert keys(phone_key, "１３８-1234-5678 / 139 0000 1111") == ["13812345678"]
    assert keys(phone_key, "110", "00000000", "n/a", None) == [None] * 4


def test_domains_are_those_registered():
    """Scheme, path, user and host don't count; free mail and plain words are no domain."""
    assert (
        keys(domain_key, "https://www.Acme.com/x?y", "acme.com", "info@shop.acme.com", "http://acme.com:80")
        == ["acme.com"] * 4
    )
    assert keys(domain_key, "shop.acme.co.uk", "www.acme.com.cn") == ["acme.co.uk", "acme.com.cn"]
    assert keys(domain_key, "li@qq.com", "a@gmail.com", "localhost", "192.168.1.1", "") == [None] * 5


def test_mail_addresses_are_compared_without_tag_and_name():
    """The name beside an address and a +tag don't count; what is no address is none."""
    assert keys(email_key, "Ann <A.B+crm@X.com>", "mailto:a.b@x.com", "a.b@x.com") == ["a.b@x.com"] * 3
    assert keys(email_key, "none", "a@b", None) == [None] * 3
