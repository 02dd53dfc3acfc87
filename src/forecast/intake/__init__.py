"""Files and CRM connectors into records, with a report of what was refused."""

from forecast.intake.endings import STATUSES, StatusWord
from forecast.intake.importing import import_files
from forecast.intake.mapping import Mapping, make_mapping, mapping_text, read_mapping, write_mapping
from forecast.intake.report import Imported, ImportReport, LeftOut

__all__ = [
    "STATUSES",
    "ImportReport",
    "Imported",
    "LeftOut",
    "Mapping",
    "StatusWord",
    "import_files",
    "make_mapping",
    "mapping_text",
    "read_mapping",
    "write_mapping",
]
