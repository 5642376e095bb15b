"""Where the API listens: nothing that other machines can reach is unencrypted unless the operator says so."""

from __future__ import annotations

import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import structlog
from tests.fixtures.mill import PATH, mill
from tests.fixtures.processes import environment
from tests.fixtures.served import served

from ratemill.cli.network import check_listening
from ratemill.errors import UsageFault
from ratemill.settings import Settings
from ratemill.store.connections import Database


@pytest.fixture
def tls(cases: Path) -> dict[str, str]:
    folder = cases / "tls"
    return {"tls_certificate": str(folder / "certificate.pem"), "tls_key": str(folder / "key.pem")}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "::1"])
def test_this_machine_needs_no_encryption(host):
    check_listening(Settings(), host, insecure=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "2001:db8::1"])
def test_an_address_that_others_can_reach_needs_a_certificate_or_a_word_of_the_operator(host, tls):
    with pytest.raises(UsageFault, match="--insecure") as caught:
        check_listening(Settings(), host, insecure=False)
    assert caught.value.exit_code == 2
    check_listening(Settings(), host, insecure=True)
    check_listening(Settings(**tls), host, insecure=False)


@pytest.mark.parametrize(
    "names", [("certificate.pem", ""), ("", "key.pem"), ("ca.pem", "key.pem"), ("none", "key.pem")]
)
def test_a_certificate_that_cannot_be_used_is_named_before_anything_starts(cases, names):
    certificate, key = (str(cases / "tls" / name) if name else "" for name in names)
    with pytest.raises(UsageFault, match="certificate") as caught:
        check_listening(Settings(tls_certificate=certificate, tls_key=key), "127.0.0.1", insecure=True)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(("mode", "warnings"), [(0o600, 0), (0o644, 1)])
def test_a_key_that_every_account_can_read_is_logged(tls: dict[str, str], tmp_path: Path, mode: int, warnings: int):
    key = tmp_path / "key.pem"
    key.write_bytes(Path(tls["tls_key"]).read_bytes())
    key.chmod(mode)
    with structlog.testing.capture_logs() as logged:
        settings = Settings(tls_certificate=tls["tls_certificate"], tls_key=str(key))
        check_listening(settings, "127.0.0.1", insecure=False)
    assert [each["event"] for each in logged] == ["tls_key_readable"] * warnings
    assert all(f"'{key}'" in each["fault"] and each["log_level"] == "warning" for each in logged)


@pytest.mark.parametrize("command", ["serve", "api"])
def test_the_command_says_so_and_makes_nothing(command, tmp_path):
    arguments = [sys.executable, "-m", "ratemill", command, "--host", "0.0.0.0"]
    home = tmp_path / "home"
    done = subprocess.run(arguments, env=environment(home=str(home)), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--insecure" in done.stderr
    assert not home.exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("public_url", "billing.example.com"),
        ("public_url", "ftp://billing.example.com"),
        ("public_url", "https://"),
        ("hosts", "https://billing.example.com"),
        ("hosts", "billing.example.com:8080"),
        ("hosts", "*"),
        ("trusted_proxies", "proxy"),
        ("trusted_proxies", "10.0.0.1/8"),
    ],
)
def test_a_setting_that_would_not_mean_what_it_seems_to_is_refused(name, value):
    with pytest.raises(ValueError, match=name):
        Settings(**{name: value})


def test_the_api_speaks_tls(database: Database, settings: Settings, cases: Path, tls: dict[str, str]):
    with mill(database, settings) as mine, served(database, settings.model_copy(update=tls)) as port:
        trusting = ssl.create_default_context(cafile=cases / "tls" / "ca.pem")
        with httpx.Client(base_url=f"https://localhost:{port}", verify=trusting, timeout=60) as client:
            headers = {"Authorization": f"Bearer {mine.token}"}
            answer = client.get("/v2/subscriptions/imports", headers=headers)
            assert answer.json()["links"]["current"].startswith(f"https://127.0.0.1:{port}/")
            rows = f"{PATH}/DataImport/Usage/guideFeed"
            assert client.post(rows, json={"data": ["x"]}, headers=headers).status_code == 200
            refused = client.post(rows, content=3_000_000 * b"x")
            assert (refused.status_code, refused.headers["connection"]) == (401, "close")
