"""Every setting of the product, with its unit, its default and the reason for it.

Read from the environment (``RATEMILL_…``) by the entry point and handed on; nothing below the entry point reads the
environment itself.
"""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ratemill.pages import PAGE_BYTES_MAX

WORKER_CONNECTIONS = 4  # to the database: the work, the set-up it reads, the attempt at it, and the sign of life
# The API has at most 22 (2 for each of 6 threads and their authentication, uses of tokens, health), jobs have 4. A server
# keeps 3 for its superuser, and commands use the rest.
OTHER_CONNECTIONS = 32


class Settings(BaseSettings):
    """The settings, named after what they bound, the unit and the limit last."""

    model_config = SettingsConfigDict(env_prefix="RATEMILL_", frozen=True, extra="ignore")

    home: Path = Field(default=Path(".ratemill"), description="Folder of the embedded database, its secrets and logs.")
    database_url: str = Field(
        default="", description="DSN of your own PostgreSQL; empty: the embedded one in the home."
    )
    url: str = Field(default="http://127.0.0.1:8080", description="Where `import` and `watch` send usage.")
    token: str = Field(default="", description="The token that `import` and `watch` use.")

    workers: int = Field(default=2, ge=1, description="Worker processes; workers x threads should be the cores.")
    worker_threads: int = Field(default=1, ge=1, description="Threads of the table engine in each worker.")
    worker_rows_max: int = Field(default=20_000, ge=1_000, description="Records a worker processes in one table.")
    worker_bytes_max: int = Field(
        default=64 * 1024 * 1024,
        ge=1,
        description="Bytes of unpacked request bodies that a worker processes in one table, if they are several.",
    )
    worker_growth_bytes_max: int = Field(
        default=64 * 1024 * 1024,
        ge=1,
        description="Bytes by which the texts of a table may outgrow its rows in mediation; above it fewer rows are taken.",
    )
    worker_cache_bytes_max: int = Field(
        default=384 * 1024 * 1024,
        ge=1,
        description="Bytes of price books (two thirds) and of services by identifier that a worker keeps, of all owners; "
        "a book of 200,000 rates has 55 MB. What is over it is read again.",
    )
    poll_interval_s: float = Field(
        default=0.05, gt=0, description="How often an idle worker looks for waiting submissions."
    )
    backlog_rows_max: int = Field(
        default=20_000_000, ge=1, description="Waiting records over which a request gets 429."
    )
    owner_backlog_percent_max: int = Field(
        default=50,
        ge=1,
        le=100,
        description="Percentage of that bound that one owner may fill while other owners have feeds.",
    )
    request_rows_max: int = Field(default=1_000, ge=1, le=1_000, description="Records in one request.")
    body_bytes_max: int = Field(default=16 * 1024 * 1024, ge=1, description="Bytes of one request body.")
    field_chars_max: int = Field(default=64 * 1024, ge=1, description="Characters of one field of a row.")
    page_bytes_max: int = Field(
        default=PAGE_BYTES_MAX,
        ge=1_024,
        description="Bytes at which a page ends before its rows do; its `next`, `nextPageUrl` or `links.next` goes on.",
    )
    idempotency_keep_h: int = Field(default=48, ge=24, description="Hours for which an Idempotency-Key is kept.")
    references_strict: bool = Field(
        default=False,
        description="Refuse items that name what is not registered yet: contacts, periods, lists and the like.",
    )
    characteristic_page_items_max: int = Field(
        default=10_000, ge=1, description="Items in one page of a batch of characteristics."
    )
    characteristic_batch_items_max: int = Field(
        default=1_000_000, ge=1, description="Items in one batch of characteristics."
    )
    subscription_file_bytes_max: int = Field(
        default=50 * 1024 * 1024, ge=1, description="Bytes of one file of subscription objects."
    )
    subscription_file_lines_max: int = Field(
        default=50_000, ge=1, description="Lines of one file of subscription objects, blank ones not counted."
    )
    account_must_exist: bool = Field(
        default=False,
        description="Refuse subscribers and subscriptions whose account_id is not the name of an account.",
    )
    subscription_import_ref_unique: bool = Field(
        default=False, description="Let the external_ref of an import be unique for ever, not only while it is at work."
    )
    subscription_reprocess: bool = Field(
        default=True, description="Rate usage that waits for an identifier anew when an import brings it."
    )
    session_token_s: int = Field(default=1_800, ge=60, description="Seconds for which a token from a login is valid.")

    lock_timeout_s: int = Field(default=30, ge=1, description="Longest wait for a lock or a free connection.")
    statement_timeout_s: int = Field(default=120, ge=1, description="Longest statement of a worker or a command.")
    idle_in_transaction_timeout_s: int = Field(default=120, ge=1, description="Longest pause inside a transaction.")
    database_connections_max: int = Field(
        default=40, ge=5, description="Connections of the embedded server; it allows more if the workers need more."
    )
    shared_buffers_mb: int = Field(default=256, ge=16, description="Page cache of the embedded server.")
    parallel_memory_mb: int = Field(
        default=32, ge=0, description="Memory set aside for parallel queries of the embedded server; files beyond it."
    )
    checkpoint_interval_s: int = Field(
        default=900, ge=30, le=86_400, description="Longest time between two checkpoints of the embedded server."
    )
    wal_size_max_mb: int = Field(default=4_096, ge=64, description="Write-ahead log between two checkpoints.")

    connections_max: int = Field(
        default=1_000, ge=1, description="Open connections to the API. One more gets 503 and is closed."
    )
    head_bytes_max: int = Field(default=64 * 1024, ge=1_024, description="Bytes of the header fields of a request.")
    head_fields_max: int = Field(default=100, ge=10, description="Header fields of a request.")
    target_bytes_max: int = Field(default=32 * 1024, ge=256, description="Bytes of path and query of a request.")
    head_s_max: float = Field(default=10, gt=0, description="Seconds within which the head of a request must arrive.")
    body_pause_s_max: float = Field(
        default=30, gt=0, description="Seconds without a byte after which a body is given up."
    )
    answer_pause_s_max: float = Field(
        default=30, gt=0, description="Seconds for which a caller may leave an answer unread."
    )
    keep_alive_s: int = Field(default=75, ge=1, description="Seconds for which an idle connection stays open.")
    pipelined_requests_max: int = Field(
        default=16, ge=1, description="Requests that may wait on one connection behind the one being answered."
    )
    owner_uploads_max: int = Field(
        default=16, ge=1, description="Bodies of one owner that may be arriving at the same time."
    )
    upload_parts_max: int = Field(default=20, ge=2, description="Parts of a multipart body.")
    bodies_bytes_max: int = Field(
        default=256 * 1024 * 1024,
        ge=1,
        description="Bytes of request bodies in memory at the same time; half of them for one owner.",
    )
    login_body_bytes_max: int = Field(
        default=8 * 1024, ge=256, description="Bytes of a body on the routes that need no token, such as the logins."
    )

    heartbeat_s_max: float = Field(
        default=60,
        gt=0,
        description="Seconds without a heartbeat after which `serve` kills and restarts one of its processes.",
    )

    stop_s_max: float = Field(
        default=10,
        ge=5,
        description="Seconds within which `serve` ends. A process still running 3 s before that is killed, "
        "which loses no record: its table is rolled back.",
    )

    failed_attempts_per_min_max: int = Field(
        default=10,
        ge=1,
        description="Wrong secrets from one address in a minute. Further ones get 429, valid ones do not.",
    )
    token_requests_per_s_max: int = Field(
        default=0, ge=0, description="Requests of one token in a second; 0: no limit."
    )

    tls_certificate: str = Field(default="", description="PEM file of the API's certificate and those of its issuers.")
    tls_key: str = Field(default="", description="PEM file of the certificate's key.")
    public_url: str = Field(
        default="", description="Address of the API as its callers know it: answers name it, and its host is accepted."
    )
    hosts: str = Field(default="", description="Further names the API answers as, separated by commas.")
    trusted_proxies: str = Field(
        default="",
        description="Addresses or networks, separated by commas, whose `X-Forwarded-For` and `-Proto` are believed.",
    )
    ca_file: str = Field(
        default="", description="PEM file of the authority that `import` and `watch` trust instead of the usual ones."
    )

    log_json: bool = Field(default=False, description="Logs as JSON lines.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="DEBUG, INFO, WARNING or ERROR."
    )
    die_at: str = Field(default="", description="For tests: the named point at which the process kills itself.")
    hang_at: str = Field(
        default="", description="For tests: the named point at which a process hangs, once for a home."
    )

    @property
    def server_connections(self) -> int:
        """How many connections the embedded server allows: never fewer than one ``serve`` and a few commands need."""
        return max(self.database_connections_max, OTHER_CONNECTIONS + WORKER_CONNECTIONS * self.workers)

    @property
    def host_names(self) -> list[str]:
        """The names of ``hosts``."""
        return _listed(self.hosts.lower())

    @property
    def proxy_networks(self) -> list[str]:
        """The addresses and networks of ``trusted_proxies``."""
        return _listed(self.trusted_proxies)

    @field_validator("public_url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and not (
            parts.scheme in {"http", "https"} and parts.hostname and not parts.query and not parts.fragment
        ):
            raise ValueError("must be an address like https://billing.example.com")
        return value

    @field_validator("hosts")
    @classmethod
    def _are_names(cls, value: str) -> str:
        for name in _listed(value):
            if "/" in name or "*" in name or (":" in name and not name.count(":") > 1):
                raise ValueError("must be names or addresses without port, such as billing.example.com")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        for name in _listed(value):
            try:
                ip_network(name)
            except ValueError:
                raise ValueError("must be addresses or networks, such as 10.0.0.0/8") from None
        return value


def _listed(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]
