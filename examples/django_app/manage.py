"""A Django project that D1 calls: by hand, with the decorator, behind the middleware, with REST framework.

Read `merchant/views.py` first. Settings come from the `D1VERIFY_…` variables:
D1VERIFY_AUDIENCE, D1VERIFY_SUBJECT and one of D1VERIFY_KEYS_PATH, D1VERIFY_KEYS and
D1VERIFY_JWKS_URL. What is wrong with them, this says:

    python examples/django_app/manage.py check

`merchant/wsgi.py` and `merchant/asgi.py` give the commands that serve it. It needs
`pip install "d1verify[drf]"` and gunicorn or uvicorn.
"""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "merchant.settings")
    execute_from_command_line(sys.argv)
