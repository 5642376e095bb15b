"""One path for every way to write it: any case, a slash at the end or none, each version that exists."""

import pytest

from ratemill.api.http.paths import one_path


@pytest.mark.parametrize(
    ("asked", "declared"),
    [
        ("/ResourceServer/api/v7/DataImport/Usage/1", "/ResourceServer/api/v7/DataImport/Usage/1"),
        ("/ResourceServer/api/v6/DataImport/Usage/1/", "/ResourceServer/api/v7/DataImport/Usage/1"),
        ("/resourceserver/API/V8/dataimport/usage/1", "/ResourceServer/api/v7/dataimport/usage/1"),
        ("/ResourceServer/api/v7/DataImport/Usage/Json/1", "/ResourceServer/api/v7/DataImport/Usage/Json/1"),
        ("/ResourceServer/api/v6/DataImport/Usage/Json/1", "/no-such-version"),
        ("/ResourceServer/api/v6/internal/DataImport/Usage/json/multi/1", "/no-such-version"),
        ("/ResourceServer/api/v5/DataImport/Usage/1", "/no-such-version"),
        ("/ResourceServer/api/v70/DataImport/Usage/1", "/no-such-version"),
        ("/api/Import/UserXs/Batch/", "/api/Import/UserXs/Batch"),
        ("/Instance/api/Import/UserXs/Batch", "/api/Import/UserXs/Batch"),
        ("/an.instance%201/API/security/login/", "/API/security/login"),
        ("/api/api/data/user1", "/api/data/user1"),
        ("/one/two/api/data/user1", "/one/two/api/data/user1"),
        ("/AuthorizationServer/api/v7/Access/Login", "/AuthorizationServer/api/v7/Access/Login"),
        ("/authorizationserver/api/security/login", "/authorizationserver/api/security/login"),
        ("/resourceserver/api/v9/x", "/no-such-version"),
        ("/healthz/", "/healthz"),
        ("/", "/"),
    ],
)
def test_a_path_comes_to_the_form_under_which_it_is_declared(asked: str, declared: str):
    assert one_path(asked) == declared
