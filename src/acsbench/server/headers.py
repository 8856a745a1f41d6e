"""Headers that every answer carries: what a browser may do with it."""

from __future__ import annotations

from acsbench.server.config import ServerConfig

__all__ = ["CONTENT_POLICY", "security_headers"]

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_FEATURES = (
    *("accelerometer", "autoplay", "camera", "display-capture", "fullscreen"),
    *("geolocation", "gyroscope", "hid", "magnetometer", "microphone", "midi", "payment"),
    *("publickey-credentials-get", "screen-wake-lock", "serial", "usb"),
)
_HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": ", ".join(f"{name}=()" for name in _FEATURES),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_STAY_SECURE = "max-age=63072000; includeSubDomains"


def security_headers(config: ServerConfig) -> dict[str, str]:
    """Headers of a board; over https also the demand to stay there (RFC 6797, section 7.2)."""
    more = {"Strict-Transport-Security": _STAY_SECURE} if config.is_secure else {}
    return _HEADERS | more
