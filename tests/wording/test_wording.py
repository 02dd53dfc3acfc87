"""Features and reasons in words."""

import math
import subprocess
import sys
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast.features import FeaturePlan, opportunity_features
from forecast.features.attributes import CATEGORIES
from forecast.snapshot import History, take_snapshot
from forecast.snapshot.changes import CHANGE_TYPES
from forecast.snapshot.stages import STAGE_TYPES
from forecast.wording import CustomFeature, moved_sentence, reason_sentence, warning_sentence
from forecast.wording.labels import feature_wording, word_list

NOW = datetime(2026, 9, 1, tzinfo=UTC)
MOMENT = pl.Datetime("us", "UTC")
COLUMNS = (
    "name", "account_id", "contact_id", "lead_id", "owner_id", "team_id", "product_id", "campaign_id", "source", "type",
    "pipeline_id", "stage", "currency", "forecast_category", "next_step",
)  # fmt: skip
NUMBERS = ("amount", "seller_probability", "need_fit", "purchasing_power", "competition")
CUSTOM = {"custom_segment": "category", "custom_budget": "number", "account_custom_tier": "category"}


def empty(**columns):
    """Give a frame without rows."""
    return pl.DataFrame(schema=columns)


def small_history():
    """Give a history of one opportunity in which nothing is known but its moments."""
    opportunities = pl.DataFrame(
        {"opportunity_id": ["a"], "created_at": [NOW], "expected_close_on": [NOW.date()]},
        schema_overrides={"created_at": MOMENT},
    ).with_columns(
        *(pl.lit(None, pl.String).alias(name) for name in COLUMNS),
        *(pl.lit(None, pl.Float64).alias(name) for name in NUMBERS),
    )
    text, number = pl.String, pl.Float64
    account = dict.fromkeys(("industry", "region", "country", "channel", "size"), text)
    account |= dict.fromkeys(("employees", "annual_revenue", "founded_year"), number)
    return History(
        opportunities=opportunities,
        closings=pl.DataFrame(
            {"opportunity_id": ["a"], "status": ["open"], "closed_at": [None], "won_amount": [None]},
            schema_overrides={"closed_at": MOMENT, "won_amount": number},
        ),
        changes=pl.DataFrame(schema=CHANGE_TYPES),
        account_changes=pl.DataFrame(schema=CHANGE_TYPES),
        activities=empty(
            opportunity_id=text,
            known_at=MOMENT,
            occurred_at=MOMENT,
            type=text,
            direction=text,
            person_id=text,
            contact_id=text,
            duration_minutes=number,
        ),
        accounts=empty(account_id=text, **{f"account_{name}": kind for name, kind in account.items()}),
        people=empty(owner_id=text, owner_team_id=text, owner_title=text, owner_manager_id=text),
        products=empty(product_id=text, product_family=text, product_line=text, product_list_price=number),
        stages=empty(**STAGE_TYPES),
    )


def all_features():
    """Give the columns of a real feature frame, with a rate for every category."""
    plan = FeaturePlan(
        rates=(*CATEGORIES, "team_id", "stage"),
        activity_types=("call", "mail", "拜访", "carrier pigeon"),
        recent_types=("call", "carrier pigeon"),
        stages=("Quoted", "报价"),
        custom=CUSTOM,
        entries={"custom_tags": ("vip",)},
        words={"account_custom_note": ("价格",), "next_step": ("send",)},
    )
    subjects = pl.DataFrame({"opportunity_id": ["a"], "as_of": [NOW]})
    frame = opportunity_features(take_snapshot(small_history(), subjects), plan)
    return [name for name in frame.columns if name not in {"opportunity_id", "as_of"}]


FEATURES = all_features()


@pytest.mark.parametrize("feature", FEATURES)
def test_every_feature_has_a_name_in_both_languages(feature):
    """No feature is shown by the name of its column."""
    english, chinese = (feature_wording(feature, language, {}).label for language in ("en", "zh"))
    assert english != feature
    assert english.isascii() or "“" in english
    assert "{" not in english + chinese
    if not feature.startswith(("custom_", "account_custom_")):
        assert any("\u4e00" <= letter <= "\u9fff" for letter in chinese)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("feature", FEATURES)
def test_a_missing_value_is_said_as_missing(feature, language):
    """A missing value gives a sentence of its own, without a hole, and different from that of any value."""
    missing = reason_sentence({"feature": feature, "value": None, "usual": None}, language)
    present = reason_sentence({"feature": feature, "value": "3", "usual": None}, language)
    assert missing != present
    assert "None" not in missing
    assert "{" not in missing + present


@given(
    feature=st.sampled_from(FEATURES),
    value=st.none() | st.text(max_size=20) | st.floats(-1e12, 1e12).map(lambda number: f"{number:.15g}"),
    usual=st.none() | st.floats(-1e12, 1e12),
    language=st.sampled_from(["en", "zh"]),
)
def test_anything_can_be_said(feature, value, usual, language):
    """No value, however odd, breaks a sentence."""
    sentence = reason_sentence({"feature": feature, "value": value, "usual": usual}, language)
    assert sentence
    assert ("won opportunities" in sentence or "赢单商机" in sentence) >= (usual is not None)


@pytest.mark.parametrize(
    ("feature", "value", "usual", "english", "chinese"),
    [
        (
            "activity_silence_days", "21.3", 6.0,
            "No activity for 21 days (won opportunities: 6 days)", "上次跟进距今 21 天（赢单商机通常为 6 天）",
        ),
        (
            "owner_win_lift", "1.4", 1.1,
            "Past win rate of this owner, as a multiple of the usual one: 1.4 times (won opportunities: 1.1 times)",
            "该负责人过往赢单率相对平均水平的倍数：1.4 倍（赢单商机通常为 1.1 倍）",
        ),
        (
            "amount", "1250000", 80000.0,
            "Amount: 1,250,000 (won opportunities: 80,000)", "商机金额：1,250,000（赢单商机通常为 80,000）",
        ),
        ("amount", None, None, "Amount not recorded", "商机金额未填写"),
        (
            "expected_close_days", "-12.0", 20.0,
            "Close expected 12 days ago (won opportunities: in 20 days)", "预计成交日：已过 12 天（赢单商机通常为 20 天后）",
        ),
        ("expected_close_days", "0.2", None, "Close expected today", "预计成交日：今天"),
        ("stage_days", "0.4", None, "In this stage for less than a day", "在当前阶段已停留不到 1 天"),
        ("reached_Quoted_days", None, None, "Has not been in the stage “Quoted”", "未经过“Quoted”阶段"),
        ("activity_call_count", "3", 5.0, "Number of calls so far: 3 (won opportunities: 5)", "电话沟通次数：3（赢单商机通常为 5）"),
        ("created_weekday", "3", None, "Weekday of creation: Wednesday", "创建于星期几：星期三"),
        ("amount_change_share", "-0.25", 0.0, "Amount against the first one given: -25% (won opportunities: unchanged)", "金额较最初变化：-25%（赢单商机通常为不变）"),
        ("custom_tags_has_vip", "1", None, "tags has “vip”: yes", "tags包含“vip”：是"),
        ("custom_tags_has_vip", None, None, "tags not recorded", "tags未填写"),
        ("next_step_says_offer", None, None, "No next step noted", "未填写下一步计划"),
        ("next_step_says_offer", "1", 0.0, "Next step mentions “offer”: yes (won opportunities: no)", "下一步计划提到“offer”：是（赢单商机通常为否）"),
        ("activity_call_count_30d", "0", 3.0, "Number of calls in the last 30 days: 0 (won opportunities: 3)", "近 30 天电话沟通次数：0（赢单商机通常为 3）"),
        ("inbound_activity_count_7d", "1", None, "Activities begun by the customer in the last 7 days: 1", "近 7 天客户主动联系次数：1"),
        ("amount_cut_count", "2", 0.0, "Times the amount was cut: 2 (won opportunities: 0)", "金额调低次数：2（赢单商机通常为 0）"),
        ("moment_month", "3", None, "Month of the year: March", "所在月份：3 月"),
        ("source", "Referral", None, "Source: Referral", "来源：Referral"),
        ("a feature of old", "3", 2.0, "a feature of old: 3 (won opportunities: 2)", "a feature of old：3（赢单商机通常为 2）"),
    ],
)  # fmt: skip
def test_sentences_read_well(feature, value, usual, english, chinese):
    """Shares are percent, days are whole, money has separators; the usual value of won opportunities follows."""
    reason = {"feature": feature, "value": value, "usual": usual, "contribution": 0.1}
    assert (reason_sentence(reason, "en"), reason_sentence(reason, "zh")) == (english, chinese)


@pytest.mark.parametrize(
    ("kind", "value", "sentence"),
    [
        ("boolean", "1", "预算已确认：是"),
        ("date", "12", "预计成交：12 天后"),
        ("number", "1234.5", "折扣：1,234.5"),
        ("list", "3", "竞品：3 项"),
        ("text", "40", "备注：40 个字"),
        ("category", "1", "等级：1"),
    ],
)
def test_custom_fields_are_said_by_their_type_and_label(kind, value, sentence):
    """A company's own fields have its own labels, and the unit of their type."""
    custom = {"custom_x": CustomFeature(label=sentence.partition("：")[0], type=kind)}
    assert reason_sentence({"feature": "custom_x", "value": value, "usual": None}, "zh", custom) == sentence


def test_a_brace_in_a_name_stays_a_brace():
    """Names of stages are data, never templates."""
    reason = {"feature": "reached_{value}{0}_days", "value": "3", "usual": None}
    assert reason_sentence(reason, "en") == "Reached the stage “{value}{0}” 3 days ago"


def test_both_languages_say_everything():
    """Each entry of the word list has English and Chinese, templates of the same holes."""
    lists = word_list()
    entries = [
        *lists["features"].values(),
        *lists["families"],
        *lists["phrases"].values(),
        *lists["units"].values(),
        *lists["warnings"].values(),
    ]
    entries += [entry for group in lists["subjects"].values() for entry in group.values()]
    for entry in entries:
        for key in [name for name in entry if name.startswith("en_")]:
            assert f"zh{key[2:]}" in entry
        assert entry["en"]
        assert entry["zh"]
    for warning in lists["warnings"].values():
        holes = [{part.partition("}")[0] for part in text.split("{")[1:]} for text in (warning["en"], warning["zh"])]
        assert holes[0] == holes[1]


def test_a_warning_names_its_subject():
    """Warnings are filled in, in both languages."""
    for language in ("en", "zh"):
        assert "44" in warning_sentence("value_never_seen", language, field="owner_id", value="U44")


def test_words_need_no_database():
    """Pages, notebooks and services can say reasons alike: nothing but the word list is loaded."""
    script = "import sys, forecast.wording; print({'sqlalchemy', 'forecast.settings', 'polars'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_what_moved_is_said_as_odds():
    """A manager is told how many times as high the odds are, not a logarithm."""
    assert moved_sentence("stage", math.log(2.5), "en") == "Stage: odds of winning 2.50 times as high"
    assert moved_sentence("stage", math.log(0.5), "zh") == "阶段：胜算为原来的 0.50 倍"
