"""Where a request bears its secret: the bearer everywhere, the session header below /api/ alone."""

import pytest
from starlette.requests import Request

from ratemill.api.http.auth import secret_of


@pytest.mark.parametrize(
    ("path", "headers", "secret"),
    [
        ("/ResourceServer/api/v7/Udr/Charge/Paged", {"authorization": "Bearer rm_1"}, "rm_1"),
        ("/ResourceServer/api/v7/Udr/Charge/Paged", {"authorization": "bearer  rm_1 "}, "rm_1"),
        ("/api/data", {"authorization": "Bearer rm_1"}, "rm_1"),
        ("/api/data", {"x-alliantsession": "rm_1"}, "rm_1"),
        ("/API/data", {"x-alliantsession": "rm_1"}, "rm_1"),
        ("/ResourceServer/api/v7/Udr/Charge/Paged", {"x-alliantsession": "rm_1"}, ""),
        ("/api/data", {"authorization": "Basic rm_1"}, ""),
        ("/api/data", {}, ""),
    ],
)
def test_the_secret_is_read_from_the_header_of_the_dialect(path: str, headers: dict[str, str], secret: str):
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": pairs, "server": ("x", 80)}
    assert secret_of(Request(scope)) == secret
