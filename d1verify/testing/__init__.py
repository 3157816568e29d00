"""Contract tests: prove that an app refuses every D1 call that it must refuse.

    fake_d1 = FakeD1(audience="stg", subject="MGW_000001")
    app = build_app(D1Verifier(fake_d1.key_store, audience="stg", subject="MGW_000001"))
    report = run_contract(ASGISender(app, "/notify"), fake_d1)
    print(report.table())

Everything here is made at run time, no key is shipped, and no other part of the package
imports it. Importing this loads nothing: each name brings its module when first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .call import Call, Expect, TokenExpect
    from .case import Case
    from .cases import access_token_cases, contract_cases, token_endpoint_cases
    from .fake_d1 import NOTIFY_UPDATE_PATH, REMOVE, FakeD1, LiveKeyStore
    from .report import Report, Result
    from .runner import run_contract, run_token_contract
    from .senders import Answer, ASGISender, CannotSendError, Send, Sender, UnreachableError, URLSender, WSGISender

__all__ = [
    "NOTIFY_UPDATE_PATH",
    "REMOVE",
    "ASGISender",
    "Answer",
    "Call",
    "CannotSendError",
    "Case",
    "Expect",
    "FakeD1",
    "LiveKeyStore",
    "Report",
    "Result",
    "Send",
    "Sender",
    "TokenExpect",
    "URLSender",
    "UnreachableError",
    "WSGISender",
    "access_token_cases",
    "contract_cases",
    "run_contract",
    "run_token_contract",
    "token_endpoint_cases",
]

_MODULES: Final = {
    "call": ("Call", "Expect", "TokenExpect"),
    "case": ("Case",),
    "cases": ("access_token_cases", "contract_cases", "token_endpoint_cases"),
    "fake_d1": ("NOTIFY_UPDATE_PATH", "REMOVE", "FakeD1", "LiveKeyStore"),
    "report": ("Report", "Result"),
    "runner": ("run_contract", "run_token_contract"),
    "senders": (
        "ASGISender",
        "Answer",
        "CannotSendError",
        "UnreachableError",
        "Send",
        "Sender",
        "URLSender",
        "WSGISender",
    ),
}


def __getattr__(name: str) -> object:
    """Load the module that has `name` (PEP 562): the pytest plugin is imported in every test run."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f".{module}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
