"""One message to an address that a stranger gave: signed, and never into a private network."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import ipaddress
import socket
import ssl
from collections.abc import Callable
from urllib.parse import SplitResult, urlsplit

from acsbench.errors import InputError

__all__ = ["check_target", "post", "signature"]

_TIMEOUT_S = 10.0
_MAX_URL = 500
Resolve = Callable[[str, int], str]


def check_target(url: str, *, this_machine: bool = False) -> SplitResult:
    """Split an address that may be told things.

    Raises
    ------
    InputError
        When it is not https, holds a password, or names a private address.
    """
    rule = "A webhook's address is https://HOST/PATH, of a host on the public internet."
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  reading it is the check
    except ValueError:
        raise InputError(f"{url[:80]!r} is no address. {rule}") from None
    schemes = ("https", "http") if this_machine else ("https",)
    if parts.scheme not in schemes or not parts.hostname or "@" in parts.netloc:
        raise InputError(f"{url[:80]!r} cannot be told anything. {rule}")
    if len(url) > _MAX_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise InputError(f"{url[:80]!r} is longer than {_MAX_URL} characters or odd. {rule}")
    try:
        address = ipaddress.ip_address(parts.hostname)
    except ValueError:
        return parts
    _refuse_private(str(address), this_machine=this_machine)
    return parts


def resolve(host: str, port: int) -> str:
    """The first address of a host; what is compared is what is connected to."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return str(found[0][4][0])


def _refuse_private(address: str, *, this_machine: bool) -> None:
    ip = ipaddress.ip_address(address.partition("%")[0])
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if ip.is_loopback and this_machine:
        return
    if not ip.is_global or ip.is_multicast:
        raise InputError(f"{address} is not on the public internet.")


def post(
    url: str,
    body: bytes,
    headers: dict[str, str],
    *,
    this_machine: bool = False,
    resolver: Resolve = resolve,
) -> int:
    """Send a message and return the status of the answer; redirects are not followed.

    The name is resolved once, and the connection goes to that very address, so that a name which
    changes its mind leads nowhere else.

    Raises
    ------
    InputError
        When the address is not allowed.
    OSError, http.client.HTTPException
        When nobody answers.
    """
    parts = check_target(url, this_machine=this_machine)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = resolver(host, port)
    _refuse_private(address, this_machine=this_machine)
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
    try:
        plain = socket.create_connection((address, port), timeout=_TIMEOUT_S)
        connection.sock = plain
        if parts.scheme == "https":
            context = ssl.create_default_context()
            connection.sock = context.wrap_socket(plain, server_hostname=host)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", path, body, {**headers, "Host": parts.netloc})
        return connection.getresponse().status
    finally:
        connection.close()


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """HMAC-SHA-256 over id, time and body, in the form of https://www.standardwebhooks.com."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
