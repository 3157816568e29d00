"""The project for WSGI servers.

Run it with

    gunicorn --chdir examples/django_app merchant.wsgi
"""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "merchant.settings")
application = get_wsgi_application()
