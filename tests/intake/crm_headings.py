"""The headings of the usual opportunity exports, and where each belongs."""


def _pairs(text: str) -> dict[str, str]:
    return dict(line.strip().rsplit(" -> ", 1) for line in text.strip().splitlines())


EXPORTS = {
    "Salesforce report": _pairs("""
        Opportunity ID -> external_id
        Opportunity Name -> name
        Account Name -> account_id
        Opportunity Owner -> owner_id
        Stage -> stage
        Amount -> amount
        Amount Currency -> currency
        Probability (%) -> seller_probability
        Close Date -> close_date
        Created Date -> created_at
        Type -> type
        Lead Source -> source
        Next Step -> next_step
        Forecast Category -> forecast_category
        Age -> custom.age
        Stage Duration -> custom.stage_duration
        Last Activity -> custom.last_activity
        Last Modified Date -> modified_at
        Closed -> is_closed
        Won -> is_won
        Loss Reason -> lost_reason
    """),
    "Salesforce data export": _pairs("""
        Id -> external_id
        IsDeleted -> is_deleted
        AccountId -> account_id
        Name -> name
        StageName -> stage
        Amount -> amount
        Probability -> seller_probability
        CloseDate -> close_date
        Type -> type
        NextStep -> next_step
        LeadSource -> source
        IsClosed -> is_closed
        IsWon -> is_won
        ForecastCategoryName -> forecast_category
        OwnerId -> owner_id
        CreatedDate -> created_at
        LastModifiedDate -> modified_at
        SystemModstamp -> custom.systemmodstamp
        LastActivityDate -> custom.lastactivitydate
        Competitor__c -> custom.competitor
    """),
    "HubSpot": _pairs("""
        Record ID -> external_id
        Deal Name -> name
        Pipeline -> pipeline_id
        Deal Stage -> stage
        Amount -> amount
        Currency -> currency
        Close Date -> close_date
        Create Date -> created_at
        Deal owner -> owner_id
        Deal Type -> type
        Deal probability -> seller_probability
        Is Closed Won -> is_won
        Is Deal Closed? -> is_closed
        Closed Lost Reason -> lost_reason
        Last Activity Date -> custom.last_activity_date
        Number of Sales Activities -> custom.number_of_sales_activities
        Associated Company -> account_id
    """),
    "Dynamics 365": _pairs("""
        (Do Not Modify) Opportunity -> external_id
        (Do Not Modify) Row Checksum -> ignore
        (Do Not Modify) Modified On -> modified_at
        Topic -> name
        Potential Customer -> account_id
        Contact -> contact_id
        Est. Close Date -> expected_close_on
        Est. Revenue -> amount
        Actual Close Date -> closed_at
        Actual Revenue -> won_amount
        Probability -> seller_probability
        Rating -> custom.rating
        Status -> status
        Status Reason -> custom.status_reason
        Owner -> owner_id
        Created On -> created_at
    """),
    "Zoho": _pairs("""
        Record Id -> external_id
        Deal Owner -> owner_id
        Deal Name -> name
        Account Name -> account_id
        Amount -> amount
        Stage -> stage
        Probability (%) -> seller_probability
        Closing Date -> close_date
        Type -> type
        Lead Source -> source
        Next Step -> next_step
        Reason For Loss -> lost_reason
        Created Time -> created_at
        Modified Time -> modified_at
        Last Activity Time -> custom.last_activity_time
    """),
    "Pipedrive": _pairs("""
        Deal - ID -> external_id
        Deal - Title -> name
        Deal - Organization -> account_id
        Deal - Contact person -> contact_id
        Deal - Owner -> owner_id
        Deal - Value -> amount
        Deal - Currency of Value -> currency
        Deal - Pipeline -> pipeline_id
        Deal - Stage -> stage
        Deal - Status -> status
        Deal - Deal created -> created_at
        Deal - Update time -> modified_at
        Deal - Won time -> won_at
        Deal - Lost time -> lost_at
        Deal - Lost reason -> lost_reason
        Deal - Expected close date -> expected_close_on
        Deal - Last activity date -> custom.deal_last_activity_date
    """),
    "Odoo": _pairs("""
        ID -> external_id
        Opportunity -> name
        Customer -> account_id
        Expected Revenue -> amount
        Probability -> seller_probability
        Stage -> stage
        Salesperson -> owner_id
        Sales Team -> team_id
        Tags -> custom.tags
        Priority -> custom.priority
        Created on -> created_at
        Assignment Date -> custom.assignment_date
        Expected Closing -> expected_close_on
        Closed Date -> closed_at
        Lost Reason -> lost_reason
        Active -> is_active
    """),
    "Fxiaoke": _pairs("""
        商机名称 -> name
        商机编号 -> external_id
        客户名称 -> account_id
        商机金额 -> amount
        预计成交日期 -> expected_close_on
        销售流程 -> pipeline_id
        销售阶段 -> stage
        阶段状态 -> status
        赢率 -> seller_probability
        商机来源 -> source
        商机类型 -> type
        负责人 -> owner_id
        负责人主属部门 -> team_id
        最后跟进时间 -> custom.最后跟进时间
        创建时间 -> created_at
        最后修改时间 -> modified_at
        赢单时间 -> won_at
        输单原因 -> lost_reason
        竞争对手 -> custom.竞争对手
    """),
    "Chinese sheet": _pairs("""
        客户 -> account_id
        公司名称 -> custom.公司名称
        联系人 -> contact_id
        电话 -> custom.电话
        项目名称 -> name
        预计金额(万元) -> amount
        预计签约时间 -> expected_close_on
        跟进阶段 -> stage
        跟进记录 -> custom.跟进记录
        成交概率 -> seller_probability
        是否成交 -> status
        成交金额 -> won_amount
        成交日期 -> won_at
        业务员 -> owner_id
        所属区域 -> custom.所属区域
        行业 -> custom.行业
        来源渠道 -> source
    """),
    "plain": _pairs("""
        id -> external_id
        created_at -> created_at
        closed_at -> closed_at
        outcome -> status
        amount -> amount
        owner -> owner_id
        account -> account_id
        product -> product_id
        stage -> stage
        team -> team_id
        campaign -> campaign_id
    """),
}
