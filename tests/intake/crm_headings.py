"""The headings of the usual exports, and where each belongs: those of opportunities, and those of other kinds."""


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
    "Odoo, by names of fields": _pairs("""
        id -> external_id
        name -> name
        partner_id -> account_id
        expected_revenue -> amount
        probability -> seller_probability
        stage_id -> stage
        user_id -> owner_id
        team_id -> team_id
        create_date -> created_at
        write_date -> modified_at
        date_deadline -> expected_close_on
        date_closed -> closed_at
        lost_reason_id -> lost_reason
        won_status -> status
        active -> is_active
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

OTHER_EXPORTS = {
    "Salesforce leads": (
        "lead",
        _pairs("""
        Lead ID -> external_id
        First Name -> custom.first_name
        Last Name -> custom.last_name
        Title -> title
        Company / Account -> company
        Email -> email
        Phone -> phone
        Lead Source -> source
        Lead Status -> status
        Industry -> industry
        Lead Owner -> owner_id
        Created Date -> created_at
        Converted -> is_won
        Converted Date -> won_at
        Rating -> custom.rating
    """),
    ),
    "Salesforce accounts": (
        "account",
        _pairs("""
        Account ID -> external_id
        Account Name -> name
        Industry -> industry
        Billing State/Province -> region
        Billing Country -> country
        Employees -> employees
        Annual Revenue -> annual_revenue
        Account Owner -> owner_id
        Parent Account -> parent_id
        Phone -> phone
        Website -> domain
        Created Date -> created_at
        Type -> custom.type
    """),
    ),
    "Salesforce contacts": (
        "contact",
        _pairs("""
        Contact ID -> external_id
        Full Name -> name
        Account Name -> account_id
        Title -> title
        Email -> email
        Phone -> phone
        Created Date -> created_at
    """),
    ),
    "Salesforce activities": (
        "activity",
        _pairs("""
        Activity ID -> external_id
        Subject -> subject
        Assigned -> person_id
        Date -> occurred_at
        Company / Account -> account_id
        Opportunity -> opportunity_id
        Contact -> contact_id
        Lead -> lead_id
        Type -> type
    """),
    ),
    "Salesforce field history": (
        "change",
        _pairs("""
        Opportunity ID -> opportunity_id
        Field / Event -> field
        Old Value -> old_value
        New Value -> new_value
        Edit Date -> changed_at
        Edited By -> person_id
    """),
    ),
    "Salesforce opportunity history": (
        "change",
        _pairs("""
        OpportunityId -> opportunity_id
        StageName -> stage
        CreatedDate -> changed_at
        CreatedById -> person_id
    """),
    ),
    "Salesforce orders": (
        "order",
        _pairs("""
        Order Number -> external_id
        Account Name -> account_id
        Order Amount -> amount
        Order Start Date -> ordered_at
        Status -> status
        Order Owner -> owner_id
        Billing Country -> region
    """),
    ),
    "Salesforce quotas": (
        "quota",
        _pairs("""
        Id -> external_id
        QuotaOwnerId -> person_id
        StartDate -> starts_on
        QuotaAmount -> amount
    """),
    ),
    "HubSpot companies": (
        "account",
        _pairs("""
        Record ID -> external_id
        Company name -> name
        Company owner -> owner_id
        Create Date -> created_at
        Phone Number -> phone
        Country/Region -> country
        State/Region -> region
        Industry -> industry
        Number of Employees -> employees
        Annual Revenue -> annual_revenue
        Company Domain Name -> domain
        Year Founded -> founded_year
        Last Activity Date -> custom.last_activity_date
    """),
    ),
    "HubSpot contacts": (
        "contact",
        _pairs("""
        Contact ID -> external_id
        Full Name -> name
        Email -> email
        Phone Number -> phone
        Job Title -> title
        Buying Role -> decision_role
        Create Date -> created_at
        Associated Company -> account_id
        Last Activity Date -> custom.last_activity_date
    """),
    ),
    "HubSpot leads": (
        "lead",
        _pairs("""
        Lead ID -> external_id
        Lead Name -> name
        Lead owner -> owner_id
        Lead Status -> status
        Original Traffic Source -> source
        Create Date -> created_at
        Email -> email
        Associated Company -> company
    """),
    ),
    "HubSpot goals": (
        "quota",
        _pairs("""
        Goal ID -> external_id
        Goal Owner -> person_id
        Start Date -> starts_on
        End Date -> ends_on
        Target Amount -> amount
        Goal Type -> metric
    """),
    ),
    "HubSpot activities": (
        "activity",
        _pairs("""
        Engagement ID -> external_id
        Activity type -> type
        Activity date -> occurred_at
        Activity assigned to -> person_id
        Associated Deal -> opportunity_id
        Associated Company -> account_id
        Associated Contact -> contact_id
        Meeting name -> subject
    """),
    ),
    "Dynamics leads": (
        "lead",
        _pairs("""
        (Do Not Modify) Lead -> external_id
        (Do Not Modify) Modified On -> modified_at
        Name -> name
        Company Name -> company
        Email -> email
        Business Phone -> phone
        Lead Source -> source
        Industry -> industry
        Owner -> owner_id
        Created On -> created_at
        Status -> status
        Status Reason -> custom.status_reason
    """),
    ),
    "Dynamics accounts": (
        "account",
        _pairs("""
        (Do Not Modify) Account -> external_id
        (Do Not Modify) Modified On -> modified_at
        Account Name -> name
        Main Phone -> phone
        Industry -> industry
        Number of Employees -> employees
        Annual Revenue -> annual_revenue
        Owner -> owner_id
        Parent Account -> parent_id
        Website -> domain
        Address 1: Country/Region -> country
        Address 1: State/Province -> region
    """),
    ),
    "Dynamics contacts": (
        "contact",
        _pairs("""
        (Do Not Modify) Contact -> external_id
        (Do Not Modify) Modified On -> modified_at
        Full Name -> name
        Email -> email
        Company Name -> account_id
        Business Phone -> phone
        Job Title -> title
        Role -> decision_role
    """),
    ),
    "Dynamics activities": (
        "activity",
        _pairs("""
        (Do Not Modify) Activity -> external_id
        (Do Not Modify) Modified On -> modified_at
        Subject -> subject
        Regarding -> opportunity_id
        Activity Type -> type
        Owner -> person_id
        Actual End -> occurred_at
        Duration -> duration_minutes
    """),
    ),
    "Dynamics orders": (
        "order",
        _pairs("""
        (Do Not Modify) Order -> external_id
        (Do Not Modify) Modified On -> modified_at
        Potential Customer -> account_id
        Opportunity -> opportunity_id
        Total Amount -> amount
        Owner -> owner_id
        Date Submitted -> ordered_at
        Status -> status
    """),
    ),
    "Dynamics goals": (
        "quota",
        _pairs("""
        (Do Not Modify) Goal -> external_id
        (Do Not Modify) Modified On -> modified_at
        Goal Owner -> person_id
        From -> starts_on
        To -> ends_on
        Target (Money) -> amount
        Goal Metric -> metric
    """),
    ),
    "Zoho leads": (
        "lead",
        _pairs("""
        Record Id -> external_id
        Lead Owner -> owner_id
        Company -> company
        Lead Name -> name
        Title -> title
        Email -> email
        Phone -> phone
        Lead Source -> source
        Lead Status -> status
        Industry -> industry
        State -> region
        Created Time -> created_at
        Modified Time -> modified_at
    """),
    ),
    "Zoho accounts": (
        "account",
        _pairs("""
        Record Id -> external_id
        Account Owner -> owner_id
        Account Name -> name
        Phone -> phone
        Parent Account -> parent_id
        Website -> domain
        Industry -> industry
        Employees -> employees
        Annual Revenue -> annual_revenue
        Billing Country -> country
        Billing State -> region
        Created Time -> created_at
    """),
    ),
    "Zoho contacts": (
        "contact",
        _pairs("""
        Record Id -> external_id
        Contact Name -> name
        Account Name -> account_id
        Title -> title
        Email -> email
        Phone -> phone
        Created Time -> created_at
    """),
    ),
    "Zoho stage history": (
        "change",
        _pairs("""
        Deal Id -> opportunity_id
        Stage -> stage
        Modified By -> person_id
        Changed Time -> changed_at
    """),
    ),
    "Zoho sales orders": (
        "order",
        _pairs("""
        Record Id -> external_id
        Sales Order Owner -> owner_id
        SO Number -> custom.so_number
        Account Name -> account_id
        Deal Name -> opportunity_id
        Grand Total -> amount
        Order Date -> ordered_at
        Status -> status
    """),
    ),
    "Pipedrive organisations": (
        "account",
        _pairs("""
        Organization - ID -> external_id
        Organization - Name -> name
        Organization - Owner -> owner_id
        Organization - Organization created -> created_at
        Organization - Industry -> industry
        Organization - Number of employees -> employees
        Organization - Annual revenue -> annual_revenue
        Organization - Country -> country
    """),
    ),
    "Pipedrive people": (
        "contact",
        _pairs("""
        Person - ID -> external_id
        Person - Name -> name
        Person - Organization -> account_id
        Person - Email - Work -> email
        Person - Phone - Work -> phone
        Person - Person created -> created_at
    """),
    ),
    "Pipedrive activities": (
        "activity",
        _pairs("""
        Activity - ID -> external_id
        Activity - Subject -> subject
        Activity - Type -> type
        Activity - Due date -> custom.activity_due_date
        Activity - Marked as done time -> occurred_at
        Activity - Deal -> opportunity_id
        Activity - Organization -> account_id
        Activity - Contact person -> contact_id
        Activity - Assigned to user -> person_id
        Activity - Add time -> created_at
    """),
    ),
    "Pipedrive leads": (
        "lead",
        _pairs("""
        Lead - ID -> external_id
        Lead - Title -> name
        Lead - Owner -> owner_id
        Lead - Source -> source
        Lead - Organization -> company
        Lead - Lead created -> created_at
    """),
    ),
    "Odoo customers": (
        "account",
        _pairs("""
        ID -> external_id
        Company Name -> name
        Phone -> phone
        Country -> country
        State -> region
        Salesperson -> owner_id
        Industry -> industry
        Website -> domain
        Related Company -> parent_id
        Created on -> created_at
    """),
    ),
    "Odoo sales orders": (
        "order",
        _pairs("""
        Order Reference -> external_id
        Order Date -> ordered_at
        Customer -> account_id
        Salesperson -> owner_id
        Sales Team -> team_id
        Total -> amount
        Status -> status
        Opportunity -> opportunity_id
    """),
    ),
    "Odoo activities": (
        "activity",
        _pairs("""
        ID -> external_id
        Activity Type -> type
        Summary -> subject
        Due Date -> occurred_at
        Assigned to -> person_id
        Opportunity -> opportunity_id
    """),
    ),
    "Fxiaoke leads": (
        "lead",
        _pairs("""
        线索编号 -> external_id
        线索名称 -> name
        公司 -> company
        职务 -> title
        手机 -> phone
        邮件 -> email
        线索来源 -> source
        线索状态 -> status
        负责人 -> owner_id
        创建时间 -> created_at
        转换时间 -> won_at
        无效原因 -> lost_reason
    """),
    ),
    "Fxiaoke accounts": (
        "account",
        _pairs("""
        客户编号 -> external_id
        客户名称 -> name
        所属行业 -> industry
        省 -> region
        国家 -> country
        公司规模 -> size
        员工人数 -> employees
        电话 -> phone
        网址 -> domain
        负责人 -> owner_id
        上级客户 -> parent_id
        创建时间 -> created_at
        最后跟进时间 -> custom.最后跟进时间
    """),
    ),
    "Fxiaoke contacts": (
        "contact",
        _pairs("""
        联系人编号 -> external_id
        姓名 -> name
        客户名称 -> account_id
        职务 -> title
        手机 -> phone
        邮件 -> email
        决策角色 -> decision_role
        创建时间 -> created_at
    """),
    ),
    "Fxiaoke activities": (
        "activity",
        _pairs("""
        销售记录编号 -> external_id
        销售记录类型 -> type
        销售记录内容 -> subject
        跟进时间 -> occurred_at
        跟进人 -> person_id
        商机名称 -> opportunity_id
        客户名称 -> account_id
        联系人 -> contact_id
    """),
    ),
    "Fxiaoke stage history": (
        "change",
        _pairs("""
        商机编号 -> opportunity_id
        变更前阶段 -> old_value
        变更后阶段 -> stage
        变更时间 -> changed_at
        操作人 -> person_id
    """),
    ),
    "Fxiaoke orders": (
        "order",
        _pairs("""
        销售订单编号 -> external_id
        客户名称 -> account_id
        商机名称 -> opportunity_id
        销售订单金额(元) -> amount
        下单日期 -> ordered_at
        负责人 -> owner_id
        负责人主属部门 -> team_id
        订单状态 -> status
    """),
    ),
    "Fxiaoke quotas": (
        "quota",
        _pairs("""
        负责人 -> person_id
        部门 -> team_id
        月份 -> starts_on
        目标值 -> amount
    """),
    ),
}
