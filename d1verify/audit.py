"""An audit trail: one log record for each call that was accepted, as an observer.

`D1Verifier(store, audience="prd", subject="MGW_000001", observer=AuditLog())`
"""

from __future__ import annotations

import logging

from ._records import shown
from .errors import ConfigurationError
from .observer import KeyLoad, Verification

__all__ = ["AuditLog"]


class AuditLog:
    """Writes each accepted call with its subject, its key id and the token's fingerprint, at INFO.

    Nothing of it can be used to make the call again; see `D1Token.fingerprint`. Give its
    logger a level, a handler and a place of its own: by default Python drops what is
    below WARNING. A record that cannot be written does not refuse the call.

    Args:
        logger: the logger, or its name.

    Raises:
        ConfigurationError: `logger` is neither.
    """

    def __init__(self, logger: logging.Logger | str = "d1verify.audit") -> None:
        named = logging.getLogger(logger) if isinstance(logger, str) and logger else logger
        if not isinstance(named, logging.Logger):
            raise ConfigurationError("logger must be a logger or the name of one")
        self._logger = named

    def notify(self, event: Verification | KeyLoad) -> None:
        """Write the record, if a call was accepted."""
        if not isinstance(event, Verification) or event.token is None or not self._logger.isEnabledFor(logging.INFO):
            return
        token = event.token
        subject, kid, fingerprint = shown(token.subject), shown(token.kid), token.fingerprint
        self._logger.info(
            "accepted a call: subject %s (kid %s, fingerprint %s)",
            subject,
            kid,
            fingerprint,
            extra={
                "d1_event": "call_accepted",
                "d1_subject": subject,
                "d1_kid": kid,
                "d1_fingerprint": fingerprint,
                "d1_cached": event.cached,
            },
        )
