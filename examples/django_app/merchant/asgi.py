"""The project for ASGI servers.

Django's ASGI handler receives a request's body before it calls the first middleware. Put
`d1verify.asgi.D1AuthMiddleware` around `application` where a stranger's body must not be
read. Run it with

    uvicorn --app-dir examples/django_app merchant.asgi:application
"""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "merchant.settings")
application = get_asgi_application()
