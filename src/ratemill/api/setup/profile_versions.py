"""The versions of data profiles over HTTP: what each one said, and since when."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from ratemill.access.tokens import Principal
from ratemill.api.http import envelope, paging
from ratemill.api.http.auth import needs
from ratemill.api.http.envelope import Json
from ratemill.api.http.paths import IDENTITY, RESOURCES
from ratemill.api.setup import schemas
from ratemill.periods import write_instant
from ratemill.setup.in_force import profile_versions
from ratemill.store.setup.data_profiles import KeptVersion

router = APIRouter(prefix=RESOURCES, tags=["Set-up: dataProfiles"])

Reader = Annotated[Principal, Depends(needs("read"))]

_PATH = f"/DataProfile/{IDENTITY}/Version"


def version_instance(kept: KeptVersion) -> Json:
    """Return one version of a data profile; ``document`` has the members of the profile but its name."""
    return {
        "dataProfileId": kept.data_profile_id,
        "dataProfileName": kept.name,
        "dataProfileVersion": kept.version,
        "inForce": kept.in_force,
        "created": write_instant(kept.created_at),
        "document": kept.document,
    }


def _described(*, paged: bool) -> Json:
    parameters = [schemas.PATH_IDENTITY]
    return {"parameters": [*parameters, *paging.described({}, paged=True)["parameters"]] if paged else parameters}


@router.get(f"{_PATH}/Paged", openapi_extra=_described(paged=True))
def read_versions(request: Request, principal: Reader) -> Response:
    """Return a page of the versions of a data profile, the newest first."""
    asked, _ = paging.read_page(request, {})
    data_profile_id: int = request.path_params["identity"]
    shown = profile_versions.page(request.app.state.database, principal.owner_id, data_profile_id, asked)
    return envelope.reply(envelope.paged(shown, asked, version_instance))


@router.get(f"{_PATH}/{{version}}", openapi_extra=_described(paged=False))
def read_version(version: str, request: Request, principal: Reader) -> Response:
    """Return one version of a data profile, by its number."""
    paging.read_query(request)
    data_profile_id: int = request.path_params["identity"]
    number = envelope.number_in_path(version)
    shown = profile_versions.find(request.app.state.database, principal.owner_id, data_profile_id, number)
    return envelope.reply(envelope.one(version_instance(shown)))
