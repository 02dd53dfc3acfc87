"""A simulated company whose true probabilities of winning are known.

Its records look as a CRM would export them, so everything that reads records can be tried on it, and what is learnt can
be compared with the truth.
"""

from forecast.demo.company import Company, simulate_company, write_export

__all__ = ["Company", "simulate_company", "write_export"]
