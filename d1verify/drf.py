"""The Django REST framework edge: an authentication class.

    class NotifyUpdate(APIView):
        authentication_classes = [D1Authentication.using(verifier, path_kwarg="merchantGatewayId")]

`D1Authentication` itself takes the verifier of the `D1VERIFY` settings, if `"d1verify.django"` is installed.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar, Final

try:
    from django.apps import apps
    from rest_framework.authentication import BaseAuthentication
    from rest_framework.exceptions import APIException
    from rest_framework.request import Request
except ModuleNotFoundError:
    raise ImportError('d1verify.drf needs Django REST framework: pip install "d1verify[drf]"') from None

from ._edge import checked_flag, checked_token, checked_verifier
from .bearer import check_realm, refusal
from .errors import ConfigurationError, KeyStoreError, Reason, TokenError
from .tokens import D1Token
from .verifier import HeaderVerifier

__all__ = ["D1Authentication", "D1Refused", "D1User"]


class D1User:
    """The caller as `request.user`: D1, speaking for one merchant gateway. No row of any table.

    It is authenticated and may do nothing by itself: no staff, no permissions.
    """

    is_authenticated: Final = True
    is_anonymous: Final = False
    is_active: Final = True
    is_staff: Final = False
    is_superuser: Final = False

    def __init__(self, token: D1Token) -> None:
        self.token = token

    @property
    def pk(self) -> str:
        """The token's subject, the merchant gateway id. Throttling counts by it."""
        return self.token.subject

    @property
    def username(self) -> str:
        """The token's subject, the merchant gateway id."""
        return self.token.subject

    def get_username(self) -> str:
        """Return the token's subject, the merchant gateway id."""
        return self.token.subject

    def has_perm(self, _perm: str, _obj: object = None) -> bool:
        """Return False: a D1 caller has no Django permissions."""
        return False

    def has_perms(self, _perms: object, _obj: object = None) -> bool:
        """Return False: a D1 caller has no Django permissions."""
        return False

    def has_module_perms(self, _app_label: str) -> bool:
        """Return False: a D1 caller has no Django permissions."""
        return False

    def __str__(self) -> str:
        return self.token.subject


class D1Refused(APIException):
    """The refusal as REST framework's exception handler writes it.

    No `AuthenticationFailed`: that one gets the challenge of the view's first
    authentication class, and 403 if it has none.

    Attributes:
        reason: which rule was broken, for an exception handler of your own.
    """

    def __init__(self, error: TokenError | KeyStoreError, *, realm: str, reveal_reason: bool) -> None:
        answer = refusal(error, realm=realm, reveal_reason=reveal_reason)
        content = json.loads(answer.body)
        super().__init__(detail=content, code=content["error"])
        headers = dict(answer.headers)
        self.reason: Reason = error.reason
        self.status_code: int = answer.status
        self.auth_header: str | None = headers.get("WWW-Authenticate")
        self.wait: int | None = int(headers["Retry-After"]) if "Retry-After" in headers else None


class D1Authentication(BaseAuthentication):
    """Lets a request through only with a token that the verifier accepts.

    `request.user` is a `D1User`, `request.auth` the `D1Token`. A request without
    credentials is refused here and not left to the permissions, so that a view with
    `AllowAny` is not open.

    Set up by `D1Authentication.using(...)`, or by attributes of a subclass.

    Attributes:
        verifier: a `D1Verifier`, or another `HeaderVerifier`; None for that of the settings.
        optional: pass a request without credentials on to the next authentication class,
            or as anonymous. A bad token is refused all the same.
        path_kwarg: the view's argument that must equal the token's subject, else 403.
        realm: the protection space named in challenges; None for that of the settings, or `"d1"`.
        reveal_reason: name the reason in answers, for staging; None for what the settings say, or False.
    """

    verifier: ClassVar[HeaderVerifier | None] = None
    optional: ClassVar[bool] = False
    path_kwarg: ClassVar[str | None] = None
    realm: ClassVar[str | None] = None
    reveal_reason: ClassVar[bool | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Check the attributes.

        Raises:
            ConfigurationError: one is out of range; the message names it.
        """
        super().__init_subclass__(**kwargs)
        given = cls.verifier
        if given is not None:
            checked_verifier(given, "verify_header")
        checked_flag(cls.optional, "optional")
        if cls.reveal_reason is not None:
            checked_flag(cls.reveal_reason, "reveal_reason")
        if cls.path_kwarg is not None and not (isinstance(cls.path_kwarg, str) and cls.path_kwarg.isidentifier()):
            raise ConfigurationError("path_kwarg must be the name of one of the view's arguments")
        if cls.realm is not None:
            check_realm(cls.realm)

    @classmethod
    def using(
        cls,
        verifier: HeaderVerifier,
        *,
        optional: bool = False,
        path_kwarg: str | None = None,
        realm: str | None = None,
        reveal_reason: bool | None = None,
    ) -> type[D1Authentication]:
        """Return an authentication class with these attributes, for `authentication_classes`.

        Raises:
            ConfigurationError: an argument is out of range; the message names it.
        """
        checked_verifier(verifier, "verify_header")
        attributes = {
            "verifier": verifier,
            "optional": optional,
            "path_kwarg": path_kwarg,
            "realm": realm,
            "reveal_reason": reveal_reason,
        }
        return type(cls.__name__, (cls,), {**attributes, "__module__": cls.__module__, "__doc__": cls.__doc__})

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        """Return a `D1User` and the `D1Token`, or None where that is `optional`.

        Raises:
            D1Refused: the request is refused, with the answer that every edge gives.
            ConfigurationError: no verifier is configured, or the URL pattern has no `path_kwarg`.
            TypeError: the verifier returned no `D1Token`.
        """
        verifier, realm, reveal_reason = self._setup()
        try:
            token = checked_token(verifier.verify_header(request.META.get("HTTP_AUTHORIZATION")))
            self._compare(request, token)
        except (TokenError, KeyStoreError) as error:
            if self.optional and error.reason is Reason.MISSING_TOKEN:
                return None
            _forbid_storing(request)
            raise D1Refused(error, realm=realm, reveal_reason=reveal_reason) from None
        return D1User(token), token

    def authenticate_header(self, _request: Request) -> str:
        """Return the challenge for refusals that are not ours, such as `NotAuthenticated`."""
        _verifier, realm, _reveal_reason = self._setup()
        return f'Bearer realm="{realm}"'

    def _setup(self) -> tuple[HeaderVerifier, str, bool]:
        """Return the verifier, the realm, and whether to reveal the reason: from the class, else the settings."""
        verifier, realm, reveal_reason = self.verifier, "d1", False
        if verifier is None:
            try:
                app: Any = apps.get_app_config("d1verify")
            except LookupError:
                raise ConfigurationError(
                    'put "d1verify.django" into INSTALLED_APPS to use the D1VERIFY settings, '
                    "or write D1Authentication.using(verifier)"
                ) from None
            guard = app.guard
            verifier, realm, reveal_reason = guard.verifier, guard.realm, guard.reveal_reason
        return (
            verifier,
            realm if self.realm is None else self.realm,
            reveal_reason if self.reveal_reason is None else self.reveal_reason,
        )

    def _compare(self, request: Request, token: D1Token) -> None:
        if self.path_kwarg is None:
            return
        kwargs = (request.parser_context or {}).get("kwargs", {})
        if self.path_kwarg not in kwargs:
            raise ConfigurationError(f"the URL pattern gives the view no argument {self.path_kwarg!r} to compare")
        token.require_subject(kwargs[self.path_kwarg])


def _forbid_storing(request: Request) -> None:
    """Have the view add the header: an exception handler writes only the challenge and `Retry-After`."""
    view = (request.parser_context or {}).get("view")
    headers = getattr(view, "headers", None)
    if isinstance(headers, dict):
        headers["Cache-Control"] = "no-store"
