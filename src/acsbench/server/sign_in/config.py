"""Which ways to sign in a board offers, as `board.toml` says it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from acsbench.errors import ConfigError
from acsbench.provenance import StepConfig

__all__ = ["OidcProvider", "SignIn", "client_secret"]

Secret = Annotated[str, Field(pattern=r"^(file|env):\S+$")]
_ISSUERS = {
    "huggingface": ("Hugging Face", "https://huggingface.co"),
    "orcid": ("ORCID", "https://orcid.org"),
    "google": ("Google", "https://accounts.google.com"),
}


class OAuthClient(StepConfig):
    """What a provider knows this board by.

    Attributes
    ----------
    client_id : str
    client_secret : str
        ``file:PATH`` (relative to the data folder) or ``env:NAME``; never the secret itself.
    """

    client_id: str = Field(min_length=1)
    client_secret: Secret


class OidcProvider(OAuthClient):
    """A provider that speaks OpenID Connect.

    Attributes
    ----------
    name : str
        In addresses and in the database. ``huggingface``, ``orcid`` and ``google`` need no issuer.
    title : str
        On the button.
    issuer : str
        Below it lies ``.well-known/openid-configuration``.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,29}$")
    title: str = ""
    issuer: str = Field(default="", pattern=r"^(https?://\S+)?$")

    @model_validator(mode="after")
    def _issuer_is_known(self) -> Self:
        if not self.issuer and self.name not in _ISSUERS:
            raise ValueError(
                f"'{self.name}' needs an issuer; only {', '.join(_ISSUERS)} are known without"
            )
        if self.name == "github":
            raise ValueError("GitHub speaks no OpenID Connect: use the table [sign_in.github]")
        return self

    @property
    def shown(self) -> str:
        """Its name for people."""
        return self.title or _ISSUERS.get(self.name, (self.name, ""))[0]

    @property
    def server(self) -> str:
        """Its issuer."""
        return self.issuer or _ISSUERS[self.name][1]


class SignIn(StepConfig):
    """Ways to sign in.

    Attributes
    ----------
    password : bool
        Whether people may set a password; the operator's one-time links work in any case.
    open : bool
        Whether somebody new gets an account by signing in at a provider.
    session_days : float
        How long a sign-in lasts.
    github : OAuthClient or None
    oidc : tuple of OidcProvider
    """

    password: bool = True
    open: bool = True
    session_days: float = Field(default=14, gt=0, le=90)
    github: OAuthClient | None = None
    oidc: tuple[OidcProvider, ...] = ()

    @property
    def has_providers(self) -> bool:
        """Whether there is a provider to sign in at."""
        return self.github is not None or bool(self.oidc)

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [one.name for one in self.oidc]
        if len(set(names)) < len(names):
            raise ValueError("two providers have the same name")
        return self


def client_secret(client: OAuthClient, data: Path) -> str:
    """Read the secret of a client, where it is needed.

    Raises
    ------
    ConfigError
        When it is not where the configuration says.
    """
    kind, _, where = client.client_secret.partition(":")
    if kind == "env":
        found = os.environ.get(where, "")
    else:
        path = data / where
        found = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
    if not found:
        raise ConfigError(f"board.toml names the client secret {client.client_secret}: not there.")
    return found
