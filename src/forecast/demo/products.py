"""What the company sells: main products, which are offered, and accessories, which are bought by order only."""

import polars as pl

MAIN_PRODUCTS = 6


def price_list(founded: pl.Series, *, currency: str) -> pl.DataFrame:
    """List the products, the main ones first; `founded` is the moment they were entered."""
    columns = ("name", "family", "line", "list_price", "unit_cost")
    listed = pl.DataFrame([*_MAIN, *_ACCESSORIES], schema=columns, orient="row")
    return listed.select(
        pl.format("P{}", pl.int_range(1, pl.len() + 1)).alias("id"),
        founded.gather([0] * listed.height).alias("created_at"),
        *columns,
        pl.lit(currency).alias("currency"),
        pl.lit(value=True).alias("active"),
    )


_MAIN = (
    ("流量计 F2", "Flow", "Instruments", 8_000.0, 4_800.0),
    ("Level gauge L5", "Level", "Instruments", 12_000.0, 6_600.0),
    ("工厂监控 Plant Monitor", "Monitoring", "Software", 90_000.0, 22_000.0),
    ("Energy Insight", "Energy", "Software", 60_000.0, 15_000.0),
    ("校准服务", "Calibration", "Service", 15_000.0, 9_000.0),
    ("Care Plan", "Maintenance", "Service", 30_000.0, 16_000.0),
)
_ACCESSORIES = (
    ("法兰套件 Flange kit", "Flow", "Instruments", 900.0, 520.0),
    ("备用传感器 Spare sensor", "Flow", "Instruments", 2_600.0, 1_500.0),
    ("Mounting bracket", "Level", "Instruments", 400.0, 210.0),
    ("Float probe", "Level", "Instruments", 1_800.0, 1_000.0),
    ("信号电缆 Signal cable", "Flow", "Instruments", 300.0, 160.0),
    ("Display unit", "Level", "Instruments", 2_200.0, 1_250.0),
    ("报表模块 Reports", "Monitoring", "Software", 6_000.0, 1_200.0),
    ("报警模块 Alarms", "Monitoring", "Software", 4_500.0, 900.0),
    ("Meter gateway", "Energy", "Software", 3_500.0, 1_900.0),
    ("Tariff module", "Energy", "Software", 5_000.0, 1_000.0),
    ("校准证书 Certificate", "Calibration", "Service", 800.0, 350.0),
    ("Reference gauge", "Calibration", "Service", 3_200.0, 1_900.0),
    ("备件包 Spare parts", "Maintenance", "Service", 1_500.0, 850.0),
    ("培训 Training day", "Maintenance", "Service", 4_000.0, 2_200.0),
)
