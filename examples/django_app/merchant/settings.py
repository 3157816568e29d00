"""The settings of the project."""

from __future__ import annotations

import os

from django.core.management.utils import get_random_secret_key

# D1VERIFY_AUDIENCE becomes D1VERIFY["AUDIENCE"], and so on; a misspelt one is named by `manage.py check`.
D1VERIFY = {name.removeprefix("D1VERIFY_"): value for name, value in os.environ.items() if name.startswith("D1VERIFY_")}

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "d1verify.django.D1Middleware",  # Every view that is not exempt needs a token.
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
]

INSTALLED_APPS = ["rest_framework", "d1verify.django"]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["d1verify.drf.D1Authentication"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "UNAUTHENTICATED_USER": None,
}

ROOT_URLCONF = "merchant.urls"
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY") or get_random_secret_key()  # Nothing here is signed with it.
USE_TZ = True
