"""D1's route, and the same three times: by hand, with the decorator, with REST framework."""

from __future__ import annotations

from django.urls import path

from . import views

NOTIFY_UPDATE = "merchant-gateways/<merchantGatewayId>/merchants/<merchantId>/tokens/<tokenId>/notify-update"

urlpatterns = [
    path(NOTIFY_UPDATE, views.notify_update),
    path(f"by-hand/{NOTIFY_UPDATE}", views.notify_update_by_hand),
    path(f"rest/{NOTIFY_UPDATE}", views.NotifyUpdate.as_view()),
    path("health", views.health),
]
