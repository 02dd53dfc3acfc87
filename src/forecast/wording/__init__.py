"""Features, reasons and remarks in words, English and Chinese."""

from forecast.wording.labels import CustomFeature, Language, feature_label, theme_label, warning_sentence
from forecast.wording.remarks import say_remark, say_remarks
from forecast.wording.sentences import moved_sentence, reason_sentence

__all__ = [
    "CustomFeature",
    "Language",
    "feature_label",
    "moved_sentence",
    "reason_sentence",
    "say_remark",
    "say_remarks",
    "theme_label",
    "warning_sentence",
]
