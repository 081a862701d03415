"""Whether a request comes from this very machine, so that it may see what is for operators without a credential."""

import ipaddress

from fastapi import Request

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "x-forwarded-host")


def is_local(request: Request) -> bool:
    """True for a client on a loopback address that asks for a loopback name and was not sent here by a proxy.

    The name is looked at because a web page may make a browser on this machine ask, under the page's own name.
    """
    client = request.client
    if client is None or any(name in request.headers for name in _FORWARDED):
        return False
    return _is_loopback(client.host) and _is_loopback(request.url.hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
