"""Passwords in addresses and settings, blotted out of text that was written by libraries."""

import re

IN_ADDRESS = re.compile(rb"(://[^/@\s:\"'\\]*):[^/@\s\"'\\]+@")
IN_SETTING = re.compile(rb"(?i)\b((?:[a-z_]*password|[a-z_]*secret|[a-z_]*token|api_?key)\s*=\s*)[^\s\"'\\;,&)]+")


def masked(text: bytes) -> bytes:
    """`postgres://me:secret@host` as `postgres://me:***@host`, `password=secret` as `password=***`."""
    return IN_SETTING.sub(rb"\1***", IN_ADDRESS.sub(rb"\1:***@", text))
