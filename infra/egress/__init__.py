"""What may be called: the policy, the check of a URL, and the transport that keeps to them."""

from infra.egress.errors import (
    AddressRefused,
    Blocked,
    EgressError,
    NoConnection,
    Unreachable,
    URLRefused,
)
from infra.egress.policy import CheckedURL, EgressPolicy, check_address, check_url
from infra.egress.resolving import Resolve
from infra.egress.transport import DRIP, GuardedTransport, guarded_client

__all__ = [
    "DRIP",
    "AddressRefused",
    "Blocked",
    "CheckedURL",
    "EgressError",
    "EgressPolicy",
    "GuardedTransport",
    "NoConnection",
    "Resolve",
    "URLRefused",
    "Unreachable",
    "check_address",
    "check_url",
    "guarded_client",
]
