"""Signatures of webhooks (https://www.standardwebhooks.com, version 1, symmetric)."""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Mapping, Sequence
from typing import Final

PREFIX: Final = "whsec_"


def new_secret() -> str:
    """256 random bits."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def signed_headers(id: str, timestamp: int, body: bytes, secret_keys: Sequence[str]) -> Mapping[str, str]:
    """What a delivery says of itself.

    :param id: the same in every attempt.
    :param timestamp: of this attempt, in seconds since the epoch.
    :param secret_keys: one signature each, so that a receiver can change from one to the next.
    """
    content = b"%b.%d.%b" % (id.encode(), timestamp, body)
    keys = [base64.b64decode(each.removeprefix(PREFIX)) for each in secret_keys]
    signatures = ["v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode() for key in keys]
    return {
        "webhook-id": id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }
