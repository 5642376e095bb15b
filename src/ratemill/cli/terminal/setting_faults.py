"""What is wrong with settings, in one sentence for each: the variable, its bound, its value and what to do."""

from __future__ import annotations

from typing import get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from ratemill.settings import Settings
from ratemill.visible import shown

_KINDS: dict[object, str] = {int: "a whole number", float: "a number", bool: "true or false"}


def faults_of(error: ValidationError) -> list[str]:
    """Return a sentence for each setting that is wrong."""
    return [
        _sentence(str(fault["loc"][0]), fault["input"], str(fault.get("ctx", {}).get("error", "")))
        for fault in error.errors()
    ]


def _sentence(name: str, value: object, reason: str) -> str:
    setting, field = f"RATEMILL_{name.upper()}", Settings.model_fields[name]
    rule = reason or f"must be {_bound(field)}"
    default = f"{str(field.default).lower() if isinstance(field.default, bool) else field.default}"
    remedy = f"correct it, or unset it for the default{f' {default}' if default else ''}"
    return f"{setting} {rule}, got '{shown(value)}'; {remedy}"


def _bound(field: FieldInfo) -> str:
    """Return what a setting may be."""
    choices = [str(each) for each in get_args(field.annotation)]
    if choices:
        return f"one of {', '.join(choices)}"
    kind = _KINDS.get(field.annotation, "a text")
    least, above, most = (
        next((value for each in field.metadata if (value := getattr(each, name, None)) is not None), None)
        for name in ("ge", "gt", "le")
    )
    if least is not None and most is not None:
        return f"{kind} from {least} to {most}"
    if least is not None:
        return f"{kind} of at least {least}"
    return f"{kind} above {above}" if above is not None else kind
