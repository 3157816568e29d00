"""The rows that have no test in this folder, each with the reason. The one place for them."""

from __future__ import annotations

__all__ = ["NOT_APPLICABLE"]

_HTTP_STORE = "belongs to the HTTP key store, whose own tests have it"
_OAUTH = "belongs to the OAuth 2.0 flow, whose own tests have it"

NOT_APPLICABLE: dict[str, str] = {
    **{f"A{number:03}": _HTTP_STORE for number in range(152, 176)},
    "A207": "the core compares no secret; client secrets belong to the OAuth 2.0 flow",
    **{f"A{number:03}": _OAUTH for number in range(233, 259)},
    "A264": "the library's own limits decide; the suite runs on the oldest and the newest dependencies",
    "A265": "no warning of a dependency is relied on; the suite runs with warnings as errors",
    "A267": "a matter of the built wheel, checked where it is built",
    "A268": "the README's code blocks are run by the tests of the examples",
    "A270": "belongs to the Django REST framework edge, whose own tests have it",
    "A278": _HTTP_STORE,
}
