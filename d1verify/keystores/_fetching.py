"""Fetching with care: from where, with which headers, and waiting so long and no longer."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from typing import Final, Generic, TypeVar

from .._fork import renew_in_child
from .._loading import start_thread
from ..errors import ConfigurationError, KeyStoreError

__all__ = ["Errands", "checked_headers", "checked_proxy", "checked_url"]

MAX_URL_CHARACTERS: Final = 2048
MAX_PORT: Final = 65_535
MAX_LOST: Final = 4

_Result = TypeVar("_Result")

# Plain spellings only, so that no two parsers can read a URL differently: visible ASCII, no
# backslash, a host of letters, digits, dots, hyphens and underscores or a bracketed address.
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?(?P<rest>[/?][!-\[\]-~]*)?",
    re.IGNORECASE,
)
_USERINFO = re.compile(r"[^/?#]*//[^/?#]*@")
_PROXY_USERINFO = re.compile(r"(?<=://)[A-Za-z0-9._~!$&'()*+,;=:%-]*@")
_DOTTED_NUMBERS = re.compile(r"[0-9.]+")

_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HEADER_VALUE = re.compile(r"[!-~](?:[\t -~]*[!-~])?")
_HEADERS_OF_OURS = frozenset(
    {
        *("accept", "accept-encoding", "connection", "content-length", "content-type", "cookie", "expect", "host"),
        *("if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "keep-alive"),
        *("proxy-authorization", "proxy-connection", "range", "te", "trailer", "transfer-encoding", "upgrade"),
        "user-agent",
    }
)


def checked_url(url: object, name: str) -> str:
    """Return `url` if keys may be fetched from there: https, or http to this machine.

    Raises:
        ConfigurationError: it is not such a URL; the message names `name` and repeats nothing of it.
    """
    if isinstance(url, str) and "#" in url:
        raise ConfigurationError(f"{name} must have no fragment")
    if isinstance(url, str) and _USERINFO.match(url):
        raise ConfigurationError(f"{name} must hold no user name or password; credentials belong into a header")
    scheme, host, _rest = _parts(url, f"{name} must be an https URL")
    if scheme == "http" and not _is_loopback(host):
        raise ConfigurationError(f"{name} must be an https URL; http is for localhost and loopback addresses only")
    return str(url)


def checked_proxy(proxy: object, name: str) -> str:
    """Return `proxy` if it is the URL of an HTTP proxy; a user name and a password may be in it.

    Raises:
        ConfigurationError: it is not; the message names `name` and repeats nothing of it.
    """
    trouble = f"{name} must be the http or https URL of a proxy"
    plain = _PROXY_USERINFO.sub("", proxy, count=1) if isinstance(proxy, str) else proxy
    _scheme, _host, rest = _parts(plain, trouble)
    if rest not in ("", "/"):
        raise ConfigurationError(f"{trouble}, without a path")
    return str(proxy)


def checked_headers(headers: object) -> dict[str, str]:
    """Return a copy of `headers` if each may be sent along.

    Raises:
        ConfigurationError: one is malformed, there twice, or one that this library sets itself.
    """
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise ConfigurationError("headers must map header names to values")
    for name, value in headers.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise ConfigurationError("headers must have header names as keys (RFC 9110 §5.1)")
        if name.lower() in _HEADERS_OF_OURS:
            raise ConfigurationError(f"headers must not set {name}")
        if not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            raise ConfigurationError(f"headers must have a text of visible ASCII characters for {name}")
    if len({name.lower() for name in headers}) != len(headers):
        raise ConfigurationError("headers must not have one name twice")
    return dict(headers)


class Errands:
    """Runs each call on a daemon thread of its own, away from any event loop of the caller's.

    A DNS look-up cannot be interrupted, and a thread-pool executor would be waited for when
    its loop closes and when the interpreter ends. A thread that does not come back in time
    is left to itself; while four are lost, no further one is sent.
    """

    def __init__(self) -> None:
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """Forget the threads, as a forked child must."""
        self._lost: set[object] = set()

    def run(self, call: Callable[[], _Result], seconds: float) -> _Result:
        """Return what `call` returns; it must not raise.

        Raises:
            TimeoutError: it took longer than `seconds`.
            KeyStoreError: no thread could be had, or too many are lost.
        """
        if len(self._lost) >= MAX_LOST:
            raise KeyStoreError("earlier requests for the keys never came back")
        errand = _Errand(call, self._lost)
        try:
            start_thread(errand.go)
        except RuntimeError:  # No thread to be had: the process is at a limit or about to end.
            raise KeyStoreError("no thread could be started to fetch the keys") from None
        return errand.result(seconds)


class _Errand(Generic[_Result]):
    """One call on its way, and whoever waits for it."""

    def __init__(self, call: Callable[[], _Result], lost: set[object]) -> None:
        self._call = call
        self._lost = lost
        self._back = False
        self._results: SimpleQueue[_Result] = SimpleQueue()

    def go(self) -> None:
        self._results.put(self._call())
        self._back = True
        self._lost.discard(self)

    def result(self, seconds: float) -> _Result:
        try:
            return self._results.get(timeout=seconds)
        except Empty:
            self._lost.add(self)
            if self._back:  # It came back just now, before it was listed as lost.
                self._lost.discard(self)
            raise TimeoutError from None


def _parts(url: object, trouble: str) -> tuple[str, str, str]:
    """Return scheme, host and what follows the port; ConfigurationError(trouble) if `url` is no plain URL."""
    match = _URL.fullmatch(url) if isinstance(url, str) and len(url) <= MAX_URL_CHARACTERS else None
    if match is None or not 0 < int(match["port"] or 1) <= MAX_PORT:
        raise ConfigurationError(trouble)
    host = match["host"].lower().strip("[]")
    is_address = match["host"].startswith("[") or _DOTTED_NUMBERS.fullmatch(host)
    if (is_address and _address(host) is None) or not any(character.isalnum() for character in host):
        raise ConfigurationError(trouble)
    return match["scheme"].lower(), host, match["rest"] or ""


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
