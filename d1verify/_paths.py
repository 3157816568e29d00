"""Which requests are open: exact paths, spelt as configured and no other way. Pure, and shared by the web edges.

The decoded path decides what a router runs and the raw path is what the client wrote;
both have to be the literal one, so that no two readers see two paths.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from .errors import ConfigurationError

__all__ = ["OPEN_METHODS", "checked_paths", "is_spelt_out", "written_paths"]

OPEN_METHODS: Final = ("GET", "HEAD")

# What the client wrote: gunicorn's name for it, then that of uWSGI, mod_wsgi and Werkzeug.
_RAW_TARGETS: Final = ("RAW_URI", "REQUEST_URI")


def checked_paths(exclude: Iterable[str]) -> frozenset[str]:
    """Return the excluded paths if each can only be meant literally.

    Raises:
        ConfigurationError: `exclude` is a bare string or no collection, or one of its
            paths is `"/"`, a pattern, or could be spelt in more than one way.
    """
    if isinstance(exclude, str | bytes) or not isinstance(exclude, Iterable):
        raise ConfigurationError('exclude must be a collection of paths, such as ("/health",)')
    paths = tuple(exclude)
    for path in paths:
        if not isinstance(path, str) or not _is_literal(path):
            raise ConfigurationError('exclude holds exact paths such as "/health": not "/", no pattern, no escape')
    return frozenset(paths)


def is_spelt_out(raw: str | bytes, path: str, mount: str) -> bool:
    """Tell whether the client wrote an excluded path as it is configured.

    Args:
        raw: the path as it was received, percent-encoded, without the query.
        path: the excluded path, relative to the mount.
        mount: ASGI's `root_path` or WSGI's `SCRIPT_NAME`. Some servers leave it out of `raw`.
    """
    written = raw.encode("utf-8", "replace") if isinstance(raw, str) else raw
    return written in (path.encode("ascii"), (mount + path).encode("utf-8", "replace"))


def written_paths(environ: Mapping[str, Any]) -> list[str]:
    """Return the path as the client wrote it, without its query, under each name that the WSGI server has for it."""
    return [environ[name].partition("?")[0] for name in _RAW_TARGETS if name in environ]


def _is_literal(path: str) -> bool:
    plain = path.isascii() and path.isprintable() and not set(path) & set(" *?#%;\\")
    segments = path.split("/")
    return (
        plain
        and len(path) > 1
        and path.startswith("/")
        and not {".", ".."} & set(segments)
        and "" not in segments[1:-1]
    )
