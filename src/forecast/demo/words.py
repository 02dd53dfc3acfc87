"""The words of the simulated company: Chinese where Chinese customers and sellers would write it."""

INDUSTRIES = ("Machinery", "Chemicals", "Food", "Electronics", "Pharma", "Energy", "Logistics", "Water")
INDUSTRY_WORDS_ZH = ("机械", "化工", "食品", "电子", "医药", "能源", "物流", "水务")
INDUSTRY_WORDS_EN = ("Machinery", "Chemicals", "Foods", "Electronics", "Pharma", "Energy", "Logistics", "Water")

FIRST_SYLLABLES = ("云", "恒", "瑞", "华", "金", "鼎", "远", "宏", "博", "新", "泰", "中")
SECOND_SYLLABLES = ("峰", "达", "源", "信", "盛", "川", "阳", "通", "诚", "科", "岭", "润")
FORMS_ZH = ("有限公司", "股份有限公司", "集团")
ADJECTIVES = ("North", "Bright", "Iron", "Silver", "Clear", "Red", "Stone", "West", "Grand", "Blue", "Swift", "True")
NOUNS = ("gate", "field", "bridge", "haven", "ridge", "water", "mark", "ford", "wood", "peak", "dale", "point")
FORMS_EN = ("Ltd", "Inc.", "Group")

SURNAMES_ZH = ("王", "李", "张", "刘", "陈", "杨", "赵", "黄", "周", "吴", "徐", "孙", "欧阳", "林", "何")
GIVEN_ZH = ("伟", "芳", "敏", "静", "磊", "洋", "艳", "勇", "晓明", "雅婷", "子涵", "志强", "丽华", "建国", "思远")
SURNAMES_EN = (
    *("Meyer", "Dubois", "Rossi", "Lindqvist", "O'Neill", "Novak", "Garcia", "Smith"),
    *("Tremblay", "Johnson", "Baker", "Müller", "Clarke", "Silva", "Jensen"),
)
GIVEN_EN = (
    *("Anna", "Paul", "Sofia", "Lars", "Chloé", "Marco", "Emma", "James"),
    *("Olivia", "Noah", "Grace", "Henrik", "Maria", "Thomas", "Zoë"),
)

LEAD_TITLES_ZH = ("总经理", "采购经理", "厂长", "工程师", "助理")
LEAD_TITLES_EN = ("General manager", "Purchasing manager", "Plant manager", "Engineer", "Assistant")

ACTIVITY_TYPES = ("call", "mail", "meeting", "visit", "task", "note")
SUBJECTS_ZH = (
    *(
        "电话沟通需求",
        "发送产品资料",
        "线上会议：方案讲解",
        "上门拜访，现场查看工况",
        "准备技术方案",
        "记录：客户关注交期",
    ),
    *("回访客户，确认预算流程", "邮件跟进报价", "与采购部开会", "拜访厂长", "整理测试数据", "记录：预算年底前确定"),
)
SUBJECTS_EN = (
    *("Call about their needs", "Sent data sheets", "Online demo", "Site visit", "Prepare solution", "Note: delivery"),
    *(
        "Call back on budget",
        "Mail about the quote",
        "Met purchasing",
        "Visited plant",
        "Collect test data",
        "Note: budget",
    ),
)

NEXT_STEPS_ZH = ("下周上门演示", "等待客户内部审批", "补充技术参数，重新报价", "约见总经理", "提供同行业案例")
NEXT_STEPS_EN = (
    "Demo next week",
    "Wait for their approval",
    "Send revised figures",
    "Meet the director",
    "Share a case study",
)

LOST_REASONS_ZH = ("价格偏高", "选择了竞争对手", "预算取消", "项目暂停", "客户长时间无回应", "功能不满足要求")
LOST_REASONS_EN = (
    "Price too high",
    "Chose a competitor",
    "Budget cancelled",
    "Project on hold",
    "No response",
    "Missing feature",
)
LEAD_LOST_REASONS_ZH = ("无预算", "非目标客户", "联系不上", "仅询价")
LEAD_LOST_REASONS_EN = ("No budget", "Not a target", "Can't be reached", "Price inquiry only")

CASE_TYPES = ("question", "complaint", "repair")
CASE_SUBJECTS_ZH = ("如何校准零点？", "到货数量不符，请尽快处理", "仪表显示异常，需要维修")
CASE_SUBJECTS_EN = ("How is the zero point set?", "Wrong quantity delivered", "Display fails, repair needed")
COMMENTS_ZH = ("很不满意，多次催促无人回复", "响应太慢", "一般", "产品不错，服务及时", "非常满意，会继续合作")
COMMENTS_EN = ("Nobody answered us", "Too slow", "Fine", "Good product, quick help", "Excellent, we will order again")
