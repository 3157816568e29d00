"""Ways to send a call: to an ASGI app in process, to a WSGI app in process, to a URL."""

from __future__ import annotations

from ._asgi_sender import ASGISender
from ._sending import Answer, CannotSendError, Send, Sender, UnreachableError
from ._url_sender import URLSender
from ._wsgi_sender import WSGISender

__all__ = [
    "ASGISender",
    "Answer",
    "CannotSendError",
    "Send",
    "Sender",
    "URLSender",
    "UnreachableError",
    "WSGISender",
]
