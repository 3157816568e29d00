"""`d1verify keys`: what a verifier would trust, and what it would leave out."""

from __future__ import annotations

from typing import Any

from joserfc.jwk import ECKey

from ..errors import KeyStoreError
from ..keycache import KeyCache
from ..keys import KeySet, KeyStore, PublicKey
from .output import ExitCode, finite, print_json, print_table, safe, stdout
from .sources import WatchedStore, describe

__all__ = ["examine", "show_keys", "thumbprint"]


def thumbprint(key: PublicKey) -> str:
    """Return the key's SHA-256 thumbprint (RFC 7638)."""
    return str(ECKey.import_key({**key.as_jwk()}).thumbprint())


def show_keys(source: str, store: KeyStore, *, as_json: bool) -> ExitCode:
    """Load `store` as a verifier would and print what came of it; `UNAVAILABLE` when no key is usable."""
    report = examine(source, store)
    if as_json:
        print_json(report)
    else:
        _print(report)
    return ExitCode.OK if report["error"] is None else ExitCode.UNAVAILABLE


def examine(source: str, store: KeyStore) -> dict[str, Any]:
    """Return what a verifier with this store would trust now, as JSON-ready members. Times in seconds."""
    watched = WatchedStore(store)
    cache = KeyCache(watched)
    error = None
    try:
        cache.warm_up()
    except KeyStoreError as failure:
        error = str(failure)
    health, answer = cache.health(), KeySet({}) if watched.answer is None else watched.answer
    return {
        "source": source,
        "kind": describe(source),
        "keys": [{"kid": kid, "thumbprint": thumbprint(key)} for kid, key in answer.keys.items()],
        "age": health.age,
        "max_age": finite(answer.max_age),
        "withdrawal_bound": finite(health.withdrawal_bound),
        "skipped": [{"name": one.name, "why": one.why} for one in answer.skipped],
        "error": error,
    }


def _print(report: dict[str, Any]) -> None:
    origin = f"{report['kind']} {report['source']}"
    if report["keys"]:
        age = f"{report['age']:.3f} s"
        max_age, bound = "for ever", "a restart"
        if report["max_age"] is not None:
            max_age, bound = f"{report['max_age']:g} s", f"{report['withdrawal_bound']:g} s"
        print_table(
            ("kid", "thumbprint (RFC 7638)", "from", "age", "max-age", "withdrawal holds within"),
            [(safe(key["kid"]), key["thumbprint"], safe(origin), age, max_age, bound) for key in report["keys"]],
        )
    if report["skipped"]:
        print_table(("skipped", "why"), [(safe(one["name"]), one["why"]) for one in report["skipped"]])
    if report["error"] is not None:
        stdout().print(f"No usable key in {safe(origin)}: {report['error']}", markup=False, soft_wrap=True)
