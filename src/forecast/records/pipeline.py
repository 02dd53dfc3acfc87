"""What is being sold: campaigns, leads, opportunities, their stages, changes and activities."""

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import BigInteger, CheckConstraint, Date, Float, Identity, Index, Integer, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped

from forecast.records.record import MOMENT, MONEY, Record, Table, fixed, outcome, settled, tracked


class Campaign(Record):
    """A marketing campaign with its cost."""

    __tablename__ = "campaign"

    name: Mapped[str | None] = fixed(Text)
    channel: Mapped[str | None] = fixed(Text)
    starts_on: Mapped[date | None] = tracked(Date)
    ends_on: Mapped[date | None] = tracked(Date)
    cost: Mapped[Decimal | None] = tracked(MONEY)
    currency: Mapped[str | None] = fixed(Text)


class Pipeline(Record):
    """An ordered set of stages that opportunities move through."""

    __tablename__ = "pipeline"

    name: Mapped[str | None] = tracked(Text)


class Stage(Record):
    """A stage of a pipeline.

    `kind` is open, won or lost; `name` is what an opportunity's `stage` column holds. `required_fields` are fields of an
    opportunity, separated by commas, that must be filled in this stage and those after it. Its removal is tracked: past
    moments have the stages of their time.
    """

    __tablename__ = "stage"

    deleted_at: Mapped[datetime | None] = tracked(MOMENT)
    pipeline_id: Mapped[str] = fixed(Text, default="default", server_default="default")
    name: Mapped[str] = fixed(Text)
    position: Mapped[int] = tracked(Integer)
    kind: Mapped[str] = tracked(Text)
    usual_days: Mapped[float | None] = tracked(Float)
    quiet_days_max: Mapped[int | None] = tracked(Integer)
    required_fields: Mapped[str | None] = tracked(Text)
    playbook_en: Mapped[str | None] = tracked(Text)
    playbook_zh: Mapped[str | None] = tracked(Text)


class Lead(Record):
    """Somebody who may buy, before an opportunity exists.

    `status` is open, converted or disqualified.
    """

    __tablename__ = "lead"

    name: Mapped[str | None] = tracked(Text)
    company: Mapped[str | None] = tracked(Text)
    title: Mapped[str | None] = tracked(Text)
    email: Mapped[str | None] = tracked(Text)
    phone: Mapped[str | None] = tracked(Text)
    industry: Mapped[str | None] = tracked(Text)
    region: Mapped[str | None] = tracked(Text)
    account_id: Mapped[str | None] = outcome(Text)
    owner_id: Mapped[str | None] = tracked(Text)
    source: Mapped[str | None] = fixed(Text)
    campaign_id: Mapped[str | None] = fixed(Text)
    status: Mapped[str] = outcome(Text, default="open", server_default="open")
    closed_at: Mapped[datetime | None] = outcome(MOMENT)
    opportunity_id: Mapped[str | None] = outcome(Text)
    lost_reason: Mapped[str | None] = outcome(Text)


class Opportunity(Record):
    """A possible sale.

    `status` is open, won or lost. A closed opportunity without `closed_at` closed at an unknown moment.
    The evaluation matrix `need_fit`, `purchasing_power` and `competition` is scored 1 (poor) to 5 (good) and may be
    missing.
    """

    __tablename__ = "opportunity"
    __table_args__ = (
        CheckConstraint("status in ('open', 'won', 'lost')", name="status"),
        Index("ix_opportunity_owner_open", "owner_id", postgresql_where=text("status = 'open'")),
    )

    name: Mapped[str | None] = tracked(Text)
    account_id: Mapped[str | None] = tracked(Text, index=True)
    contact_id: Mapped[str | None] = tracked(Text)
    lead_id: Mapped[str | None] = fixed(Text)
    owner_id: Mapped[str | None] = tracked(Text)
    team_id: Mapped[str | None] = tracked(Text)
    product_id: Mapped[str | None] = tracked(Text)
    campaign_id: Mapped[str | None] = fixed(Text)
    source: Mapped[str | None] = fixed(Text)
    type: Mapped[str | None] = fixed(Text)
    pipeline_id: Mapped[str] = fixed(Text, default="default", server_default="default")
    stage: Mapped[str | None] = settled(Text)
    amount: Mapped[Decimal | None] = tracked(MONEY)
    currency: Mapped[str | None] = fixed(Text)
    expected_close_on: Mapped[date | None] = settled(Date)
    forecast_category: Mapped[str | None] = settled(Text)
    seller_probability: Mapped[float | None] = settled(Float)
    next_step: Mapped[str | None] = settled(Text)
    need_fit: Mapped[int | None] = tracked(SmallInteger)
    purchasing_power: Mapped[int | None] = tracked(SmallInteger)
    competition: Mapped[int | None] = tracked(SmallInteger)
    status: Mapped[str] = outcome(Text, default="open", server_default="open")
    closed_at: Mapped[datetime | None] = outcome(MOMENT)
    won_amount: Mapped[Decimal | None] = outcome(MONEY)
    lost_reason: Mapped[str | None] = outcome(Text)


class Change(Table):
    """One change of one tracked field, with its moment.

    Values are the text of the value as PostgreSQL prints it; a custom field is named `custom.<name>`. `old_value` is
    empty where the history did not say. Rows of equal `changed_at` apply in the order of `id`.
    """

    __tablename__ = "change"
    __table_args__ = (
        Index(
            "uq_change",
            "kind",
            "record_id",
            "field",
            "changed_at",
            text("md5(new_value)"),
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
    )

    id: Mapped[int] = fixed(BigInteger, Identity(), primary_key=True)
    kind: Mapped[str] = fixed(Text)
    record_id: Mapped[str] = fixed(Text)
    field: Mapped[str] = fixed(Text)
    changed_at: Mapped[datetime] = fixed(MOMENT)
    old_value: Mapped[str | None] = fixed(Text)
    new_value: Mapped[str | None] = fixed(Text)
    person_id: Mapped[str | None] = fixed(Text)
    origin: Mapped[str] = fixed(Text)


class Activity(Record):
    """A call, mail, meeting, visit, task or note.

    `created_at` is when it was entered, `occurred_at` when it took place or is planned to.
    """

    __tablename__ = "activity"

    opportunity_id: Mapped[str | None] = fixed(Text, index=True)
    lead_id: Mapped[str | None] = fixed(Text, index=True)
    account_id: Mapped[str | None] = fixed(Text, index=True)
    contact_id: Mapped[str | None] = fixed(Text)
    person_id: Mapped[str | None] = fixed(Text)
    type: Mapped[str | None] = fixed(Text)
    direction: Mapped[str | None] = fixed(Text)
    subject: Mapped[str | None] = fixed(Text)
    occurred_at: Mapped[datetime | None] = fixed(MOMENT)
    duration_minutes: Mapped[float | None] = fixed(Float)


PERSONAL_FIELDS = frozenset({
    "first_name", "middle_name", "last_name", "given_name", "family_name", "surname", "full_name", "nickname",
    "contact_name", "contact_person", "email", "email_address", "e_mail", "phone", "phone_number", "telephone",
    "mobile", "mobile_phone", "mobile_number", "fax", "wechat", "whatsapp", "skype", "qq", "street", "姓", "名", "姓名",
    "姓氏", "名字", "联系人", "联系人姓名", "邮箱", "电子邮箱", "电子邮件", "手机", "手机号", "手机号码", "电话", "电话号码", "联系电话", "联系方式", "传真", "微信",
    "微信号", "详细地址",
})  # fmt: skip
"""Custom fields, by name, that tell who a person is or how to reach them: they are stored, and nothing learns from them."""


class CustomField(Table):
    """A custom field of a kind of record: its type and when it is known.

    `type` is number, text, category, date, boolean or list; `time` as for columns.
    """

    __tablename__ = "custom_field"

    kind: Mapped[str] = fixed(Text, primary_key=True)
    name: Mapped[str] = fixed(Text, primary_key=True)
    type: Mapped[str] = fixed(Text)
    time: Mapped[str] = fixed(Text, default="tracked", server_default="tracked")
    label: Mapped[str | None] = fixed(Text)
    options: Mapped[dict[str, object]] = fixed(JSONB, default=dict, server_default="{}")
