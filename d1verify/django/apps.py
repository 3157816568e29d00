"""The Django app: `"d1verify.django"` in `INSTALLED_APPS`."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import Tags, register
from django.core.signals import setting_changed

from ._checks import check_deployment, check_routes, check_settings
from ._conf import APP_LABEL, guard_from
from ._guard import Guard

__all__ = ["D1VerifyConfig"]

_GUARD = "_guard"


class D1VerifyConfig(AppConfig):
    """Registers the system checks, and holds the one guard that the `D1VERIFY` settings make up."""

    name = "d1verify.django"
    label = APP_LABEL
    verbose_name: str = "D1 calls"

    @property
    def guard(self) -> Guard:
        """The guard of the `D1VERIFY` settings, made at the first access; no keys are loaded for it.

        Raises:
            ConfigurationError: the settings are wrong; the message names them.
        """
        guard: Guard | None = self.__dict__.get(_GUARD)
        if guard is None:
            # The first of several threads wins, so that they share one cache of keys.
            guard = self.__dict__.setdefault(_GUARD, guard_from(getattr(settings, "D1VERIFY", None)))
        return guard

    def ready(self) -> None:
        """Register the checks; called by Django once."""
        register(check_settings, Tags.security)
        register(check_routes, Tags.urls)
        register(check_deployment, Tags.security, deploy=True)
        setting_changed.connect(self._on_setting_changed)

    def _on_setting_changed(self, *, setting: str, **_signal: Any) -> None:
        """Forget the guard in tests that override the settings."""
        if setting == "D1VERIFY":
            self.__dict__.pop(_GUARD, None)
