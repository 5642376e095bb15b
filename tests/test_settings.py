"""A wrong setting is named with its bound, its value and a remedy; all wrong ones at the same time."""

import re

import pytest

from ratemill.cli.terminal.common import read_settings
from ratemill.errors import USED_WRONGLY, UsageFault
from ratemill.settings import Settings
from ratemill.visible import visible

WRONG = {
    "workers": (
        "0",
        "RATEMILL_WORKERS must be a whole number of at least 1, got '0'; correct it, or unset it for the default 2",
    ),
    "poll_interval_s": ("0", "RATEMILL_POLL_INTERVAL_S must be a number above 0, got '0'"),
    "request_rows_max": ("1e3000", "RATEMILL_REQUEST_ROWS_MAX must be a whole number from 1 to 1000, got '1e3000'"),
    "log_json": (
        "perhaps",
        "RATEMILL_LOG_JSON must be true or false, got 'perhaps'; correct it, or unset it for the default false",
    ),
    "log_level": ("LOUD", "RATEMILL_LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR, got 'LOUD'"),
    "public_url": ("billing", "RATEMILL_PUBLIC_URL must be an address like https://billing.example.com, got 'billing'"),
    "hosts": ("a/b", "RATEMILL_HOSTS must be names or addresses without port, such as billing.example.com, got 'a/b'"),
    "trusted_proxies": ("me", "RATEMILL_TRUSTED_PROXIES must be addresses or networks, such as 10.0.0.0/8, got 'me'"),
}


def refusal(monkeypatch: pytest.MonkeyPatch, **values: str) -> str:
    for name, value in values.items():
        monkeypatch.setenv(f"RATEMILL_{name.upper()}", value)
    with pytest.raises(UsageFault) as caught:
        read_settings()
    assert caught.value.exit_code == USED_WRONGLY
    return str(caught.value)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_setting_is_named_with_bound_value_and_remedy(monkeypatch: pytest.MonkeyPatch, name: str):
    value, message = WRONG[name]
    refused = refusal(monkeypatch, **{name: value})
    assert refused.startswith(message)
    assert "unset it for the default" in refused


def test_all_wrong_settings_are_named_at_the_same_time(monkeypatch: pytest.MonkeyPatch):
    refused = refusal(monkeypatch, **{name: value for name, (value, _) in WRONG.items()})
    assert re.findall("RATEMILL_([A-Z_]+) must", refused) == [
        name.upper() for name in Settings.model_fields if name in WRONG
    ]


@pytest.mark.parametrize("name", [name for name, field in Settings.model_fields.items() if field.annotation is not str])
def test_no_setting_has_a_message_of_the_library(monkeypatch: pytest.MonkeyPatch, name: str):
    if name == "home":
        return  # any text is a path
    refused = refusal(monkeypatch, **{name: "\x1b" + "z" * 300})
    assert refused.startswith(f"RATEMILL_{name.upper()} must be ")
    assert "Input" not in refused
    assert visible(refused) == refused
    assert "z" * 101 not in refused
