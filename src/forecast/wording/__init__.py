"""Features, reasons, remarks and errors in words, English and Chinese."""

from forecast.wording.errors import say_error
from forecast.wording.labels import CustomFeature, Language, theme_label, warning_sentence
from forecast.wording.remarks import say_remark, say_remarks
from forecast.wording.sentences import moved_sentence, reason_sentence
from forecast.wording.training import say_training

__all__ = [
    "CustomFeature",
    "Language",
    "moved_sentence",
    "reason_sentence",
    "say_error",
    "say_remark",
    "say_remarks",
    "say_training",
    "theme_label",
    "warning_sentence",
]
