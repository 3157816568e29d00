"""D1's notify-update call, three times. Take the one that suits you."""

# ruff: noqa: ARG001, ARG002, N803 - the path's parameters, in D1's spelling, needed or not

from __future__ import annotations

import functools
import json
import logging

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from d1verify import D1Token, D1Verifier, KeyStoreError, TokenError, refusal
from d1verify.django import d1_exempt, d1_required, get_token
from d1verify.drf import D1Authentication

log = logging.getLogger("merchant")


@functools.cache
def verifier() -> D1Verifier:
    """Return the verifier for the view below, made when it is first needed."""
    return D1Verifier.from_env()


# 1. By hand. Nothing of d1verify.django is needed: the first line is for this project's
#    middleware, which would otherwise have verified the token before.
@d1_exempt(methods=["POST"])
@csrf_exempt
@require_POST
def notify_update_by_hand(request: HttpRequest, merchantGatewayId: str, merchantId: str, tokenId: str) -> HttpResponse:
    """Verify the header's value, compare path and subject, send the refusal."""
    try:
        token = verifier().verify_header(request.headers.get("Authorization"))
        token.require_subject(merchantGatewayId)
    except (TokenError, KeyStoreError) as error:
        answer = refusal(error)
        return HttpResponse(answer.body, status=answer.status, headers=dict(answer.headers))
    return _take_note(request, token, merchantId, tokenId)


# 2. With the decorator, which needs no middleware either: give it your verifier, or none
#    for that of the D1VERIFY settings.
@d1_required(path_kwarg="merchantGatewayId")
@require_POST
def notify_update(request: HttpRequest, merchantGatewayId: str, merchantId: str, tokenId: str) -> HttpResponse:
    """Take note that a card or its token has changed."""
    return _take_note(request, get_token(request), merchantId, tokenId)


# 3. With REST framework.
class ForThisGateway(D1Authentication):
    """The authentication of the settings, and the path compared with the subject."""

    path_kwarg = "merchantGatewayId"


class NotifyUpdate(APIView):
    """Take note that a card or its token has changed."""

    authentication_classes = (ForThisGateway,)

    def post(self, request: Request, merchantGatewayId: str, merchantId: str, tokenId: str) -> Response:
        """Serve D1's call; `request.auth` is the verified token."""
        log.info("an update with %d members for %s", len(request.data), request.user)
        return Response(status=204)


@d1_exempt
def health(_request: HttpRequest) -> HttpResponse:
    """Tell a load balancer that the process is up."""
    return HttpResponse("up")


def _take_note(request: HttpRequest, token: D1Token, _merchant_id: str, _token_id: str) -> HttpResponse:
    try:
        update = json.loads(request.body)
    except ValueError:
        update = None
    if not isinstance(update, dict):
        return HttpResponseBadRequest()
    # Update your records here. The same call may come twice, and within a quarter of an
    # hour anybody who has seen it can send it again: make this idempotent.
    log.info("an update with %d members, signed with the key %s", len(update), token.kid)
    return HttpResponse(status=204)
