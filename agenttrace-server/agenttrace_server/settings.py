"""Every server setting, read from `AGENTTRACE_*` environment variables."""

import os
import sys
from functools import lru_cache
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


def data_folder() -> Path:
    """Where AgentTrace keeps its files for this user, by the platform's own convention."""
    if folder := os.environ.get("AGENTTRACE_DATA_DIR"):
        return Path(folder)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "agenttrace"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "agenttrace"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "agenttrace"


class Settings(BaseSettings):
    """Server settings; each field is the variable `AGENTTRACE_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="AGENTTRACE_", extra="ignore")

    host: str = "127.0.0.1"
    port: int = Field(4318, ge=0, le=65535)
    database_url: str = Field(default_factory=lambda: f"sqlite:///{data_folder() / 'agenttrace.db'}")
    api_key: SecretStr | None = Field(None, description="Asked of every request when set")
    insecure: bool = Field(False, description="Listen beyond this machine without an API key")
    allowed_hosts: list[str] = Field(
        [], description="More names this server is reached by when it has no API key"
    )
    max_body_bytes: int = Field(64 * 1024 * 1024, description="After decompression")
    quiet_seconds: float = Field(2.0, description="A trace is analysed this long after its last span")
    root_path: str = Field("", description="URL path prefix when served behind a proxy")


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the process's settings."""
    return Settings()
