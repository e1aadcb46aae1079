"""URL templates: what may be configured as a link, and how its placeholders are filled in.

`{name}` stands for a value and is percent-encoded as one segment (RFC 3986, section 2), so that no model or version,
whatever it is called, can lead to another host or add a parameter.
"""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_FORBIDDEN = re.compile(r"[\s\x00-\x1f\x7f<>\"\\^`|]")


def template_problem(text: str, placeholders: tuple[str, ...]) -> str:
    """Why this is not a URL template with these placeholders; empty if it is one."""
    for name in _PLACEHOLDER.findall(text):
        if name not in placeholders:
            return f"nothing is called {{{name}}} here"
    plain = _PLACEHOLDER.sub("", text)
    if "{" in plain or "}" in plain:
        return "a brace without its other half; a brace itself is written %7B or %7D"
    if _FORBIDDEN.search(text):
        return "spaces, quotes and the like are percent-encoded in a URL"
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises ValueError where it is no number
    except ValueError as error:
        return f"{error}"
    if parts.scheme not in ("http", "https"):
        return "it begins with neither https:// nor http://"
    if not parts.hostname:
        return "it names no host"
    if "{" in parts.netloc:
        return "the host must not depend on what the logs say"
    if parts.username is not None or parts.password is not None:
        return "everybody who sees the page would see the password"
    return ""


def fill(template: str | None, **values: str) -> str | None:
    """The URL with every placeholder replaced by its value; None if there is no template, or a value is missing."""
    if template is None or not set(_PLACEHOLDER.findall(template)) <= values.keys():
        return None
    return _PLACEHOLDER.sub(lambda match: quote(values[match[1]], safe="", errors="backslashreplace"), template)
