"""The Django edge: a view decorator, a middleware, and an app whose checks read the settings.

    @d1_required(verifier, path_kwarg="merchantGatewayId")
    def notify_update(request, merchantGatewayId, merchantId, tokenId):
        request.d1_token.subject

With `"d1verify.django"` in `INSTALLED_APPS`, the `D1VERIFY` settings make the verifier of
`D1Middleware` and of `@d1_required()`, and `manage.py check` names what is wrong with them.
"""

from __future__ import annotations

try:
    import django  # noqa: F401 - the import that says whether it is there
except ModuleNotFoundError:
    raise ImportError('d1verify.django needs Django: pip install "d1verify[django]"') from None

from ._decorators import d1_exempt, d1_required
from ._guard import get_token
from ._middleware import D1Middleware

__all__ = ["D1Middleware", "d1_exempt", "d1_required", "get_token"]
