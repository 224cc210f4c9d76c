"""Every server setting, read from `AGENTTRACE_*` environment variables."""

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from agenttrace.health import data_folder
from agenttrace_server.prices import read_prices
from agenttrace_server.shown import Thresholds, read_thresholds


def _default_database() -> str:
    return f"sqlite:///{data_folder() / 'agenttrace.db'}"


class Settings(BaseSettings):
    """Server settings; each field is the variable `AGENTTRACE_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="AGENTTRACE_", extra="ignore")

    host: str = "127.0.0.1"
    port: int = Field(4318, ge=0, le=65535, description="The pages, the API, OTLP over HTTP")
    grpc_port: int = Field(4317, ge=0, le=65535, description="OTLP over gRPC; 0: not at all")
    database_url: str = Field(default_factory=_default_database)
    read_database_url: str | None = Field(
        None, description="A replica of a PostgreSQL database, which then answers queries"
    )
    api_key: SecretStr | None = Field(None, description="Asked of every request when set")
    insecure: bool = Field(False, description="Listen beyond this machine without an API key")
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="More names this server is reached by when it has no API key: a,b"
    )
    max_body_bytes: int = Field(64 * 1024 * 1024, gt=0, description="After decompression")
    quiet_seconds: float = Field(
        2.0, ge=0, description="A trace is analysed this long after its last span"
    )
    keep_days: float | None = Field(
        None, gt=0, description="Traces that ended longer ago are deleted; without it none is"
    )
    replay_lease_seconds: float = Field(
        30.0, ge=1, description="A worker that is silent this long loses its replay"
    )
    root_path: str = Field("", description="URL path prefix when served behind a proxy")
    confidence_threshold: str = Field(
        "0.5", description="Findings below are shown on demand only; by mode: 0.5,1.3=0.7,2.4=0.9"
    )
    rules: Path | None = Field(
        None, description="File of YAML rules; default: rules.yaml in the data folder, if there"
    )
    judge_url: str = Field(
        "", description="Where a model judges runs: an OpenAI-compatible URL that ends in /v1"
    )
    judge_model: str = Field("", description="The judge's model; without one nothing is judged")
    judge_api_key: SecretStr | None = Field(None, description="Sent to the judge's URL only")
    judge_prices: str = Field(
        "", description="US dollars per million tokens in,out where genai-prices has none: 0,0"
    )
    judge_usd_per_day: float = Field(
        5.0, ge=0, description="What the judge may cost in 24 hours; then it waits"
    )
    judge_timeout_seconds: float = Field(120.0, gt=0, description="For one answer of the judge")
    judge_window_tokens: int = Field(
        24_000, ge=500, description="A longer run is judged in several windows"
    )
    judge_threads: int = Field(2, ge=1, le=32, description="Runs that are judged at once")

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _by_commas(cls, value: str | Iterable[str]) -> tuple[str, ...]:
        names = value.split(",") if isinstance(value, str) else value
        return tuple(name.strip() for name in names if name.strip())

    @field_validator("judge_prices")
    @classmethod
    def _two_prices(cls, value: str) -> str:
        if value.strip():
            read_prices(value)
        return value.strip()

    @field_validator("api_key", "judge_api_key")
    @classmethod
    def _not_empty(cls, value: SecretStr | None) -> SecretStr | None:
        # An empty variable is how compose files say "not set"; an empty key would let anyone in.
        return value if value and value.get_secret_value().strip() else None

    @field_validator("confidence_threshold")
    @classmethod
    def _thresholds(cls, value: str) -> str:
        return str(read_thresholds(value))

    @field_validator("rules", mode="before")
    @classmethod
    def _no_rules(cls, value: object) -> object:
        return value or None

    @property
    def thresholds(self) -> Thresholds:
        """The confidence from which on findings are shown."""
        return read_thresholds(self.confidence_threshold)

    @property
    def rule_file(self) -> Path:
        """The file of rules; the default one need not be there."""
        return self.rules or data_folder() / "rules.yaml"

    @field_validator("root_path")
    @classmethod
    def _prefix(cls, value: str) -> str:
        trimmed = value.strip("/")
        return f"/{trimmed}" if trimmed else ""


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the process's settings."""
    return Settings()
