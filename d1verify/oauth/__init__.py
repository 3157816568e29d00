"""The OAuth 2.0 flow, both ends of it: D1 obtains an access token from the merchant, or the merchant from D1.

    endpoint = TokenEndpoint(verifier=d1, signing_key=key, issuer=..., audience=..., url=...)
    access = AccessTokenVerifier(StaticKeyStore({key.kid: key.public}), issuer=..., audience=..., subject=...)
    client = httpx2.Client(auth=D1TokenAuth(token_url=..., signing_key=key, merchant_gateway_id=..., audience="prd"))

Importing this loads nothing: each name brings its module, and the libraries that it stands on,
when first asked for (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ._clients import Client
    from .access_tokens import AccessTokenVerifier, merchant_jwks
    from .client import D1TokenAuth, TokenRequestError
    from .endpoint import TokenEndpoint
    from .signing import SigningKey

__all__ = [
    "AccessTokenVerifier",
    "Client",
    "D1TokenAuth",
    "SigningKey",
    "TokenEndpoint",
    "TokenRequestError",
    "merchant_jwks",
]

_MODULES: Final = {
    "AccessTokenVerifier": "access_tokens",
    "Client": "_clients",
    "D1TokenAuth": "client",
    "SigningKey": "signing",
    "TokenEndpoint": "endpoint",
    "TokenRequestError": "client",
    "merchant_jwks": "access_tokens",
}


def __getattr__(name: str) -> object:
    """Load the module that has `name`."""
    if name in _MODULES:
        return getattr(import_module(f".{_MODULES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
