"""The language of an answer: as asked for, as the caller prefers, or as the settings say."""

from collections.abc import Mapping
from types import MappingProxyType

from fastapi import Request

from forecast.wording import Language

_LANGUAGES: Mapping[str | None, Language] = MappingProxyType({"en": "en", "zh": "zh"})


def language_of(request: Request) -> Language:
    """Choose the language of a request by its `language`, its Accept-Language or the settings."""
    asked = request.query_params.get("language")
    if asked in _LANGUAGES:
        return _LANGUAGES[asked]
    of_host: Language = request.app.state.desk.settings.language
    return preferred_language(request.headers.get("accept-language", "")) or of_host


def preferred_language(accepted: str) -> Language | None:
    """Find the language of ours that an Accept-Language header weighs most; of equals, the first."""
    weights: dict[Language, float] = {}
    for part in accepted.split(","):
        tag, _, parameter = part.partition(";")
        primary = tag.strip().lower().partition("-")[0]
        weight = _weight(parameter)
        if primary == "en" and weight > 0:
            weights.setdefault("en", weight)
        elif primary == "zh" and weight > 0:
            weights.setdefault("zh", weight)
    return max(weights.items(), key=lambda item: item[1])[0] if weights else None


def _weight(parameter: str) -> float:
    text = parameter.strip().removeprefix("q=")
    try:
        return float(text) if text else 1.0
    except ValueError:
        return 0.0
