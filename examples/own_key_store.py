"""A key store of your own: trusted keys from a SQL table, behind D1's notify-update call.

DATABASE_URL names the database, as SQLAlchemy spells it: `sqlite:////var/lib/merchant.db`.
It holds the table

    CREATE TABLE d1_keys (kid VARCHAR(256) PRIMARY KEY, pem TEXT NOT NULL)

A row added is trusted at the first call that names it, a row deleted within half a minute.
The rest comes from D1VERIFY_AUDIENCE and D1VERIFY_SUBJECT. Run it with

    uvicorn --app-dir examples own_key_store:app
"""

from __future__ import annotations

import os

from sqlalchemy import Column, Engine, MetaData, String, Table, Text, create_engine, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from d1verify import (
    ConfigurationError,
    D1Verifier,
    D1VerifyError,
    KeySet,
    KeyStoreError,
    PublicKey,
    TokenError,
    refusal,
)
from d1verify.asgi import D1AuthMiddleware, d1_lifespan, get_token
from d1verify.keys import SkippedKey

d1_keys = Table("d1_keys", MetaData(), Column("kid", String(256), primary_key=True), Column("pem", Text))


class SQLKeyStore:
    """The keys of a table. One method makes it a `KeyStore`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def load(self) -> KeySet:
        """Return every key trusted now; called on a thread of its own, so it may block."""
        try:
            with self._engine.connect() as connection:
                rows = connection.execute(select(d1_keys.c.kid, d1_keys.c.pem)).all()
        except SQLAlchemyError:
            # The cause would repeat the database's address in the log.
            raise KeyStoreError("the table of keys could not be read") from None
        keys: dict[str, PublicKey] = {}
        skipped = []
        for kid, pem in rows:
            try:
                keys |= KeySet({kid: PublicKey.from_pem(pem)}).keys  # It looks at the key id, too.
            except (KeyStoreError, ConfigurationError) as error:  # One bad row is no reason to lose the others.
                skipped.append(SkippedKey(str(kid), str(error)))
        return KeySet(keys, max_age=30, max_stale=600, skipped=skipped)


# One connection per load: nothing is held open in between, and nothing is shared across a fork.
engine = create_engine(os.environ["DATABASE_URL"], poolclass=NullPool)
verifier = D1Verifier.from_env(store=SQLKeyStore(engine))


async def notify_update(request: Request) -> Response:
    """Take note that a card or its token has changed; see starlette_app.py for more of it."""
    get_token(request).require_subject(request.path_params["merchantGatewayId"])
    return Response(status_code=204)


async def refuse(_request: Request, exc: Exception) -> Response:
    """Answer `require_subject` with 403, in the form of every other refusal."""
    if not isinstance(exc, D1VerifyError):
        raise exc
    answer = refusal(exc)
    return Response(answer.body, answer.status, dict(answer.headers))


app = Starlette(
    routes=[
        Route(
            "/merchant-gateways/{merchantGatewayId}/merchants/{merchantId}/tokens/{tokenId}/notify-update",
            notify_update,
            methods=["POST"],
        )
    ],
    middleware=[Middleware(D1AuthMiddleware, verifier=verifier)],
    exception_handlers={TokenError: refuse},
    lifespan=d1_lifespan(verifier),
)
