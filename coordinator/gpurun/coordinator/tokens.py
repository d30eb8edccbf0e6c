"""The token of an attempt: who shows it speaks for that attempt. Derived, never stored."""

import hashlib
import hmac


def token_of(secret: str, uuid: str, attempt: int) -> str:
    """HMAC-SHA256 of the attempt under the database's secret (RFC 2104), in hex."""
    return hmac.new(secret.encode(), f"{uuid}:{attempt}".encode(), hashlib.sha256).hexdigest()


def is_token(shown: str, secret: str, uuid: str, attempt: int) -> bool:
    """Whether the token is that attempt's; takes the same time for every wrong one."""
    return hmac.compare_digest(shown.encode(), token_of(secret, uuid, attempt).encode())
