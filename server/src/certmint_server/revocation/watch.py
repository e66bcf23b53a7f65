"""CRLs that others must renew: an offline root's, and those of issuers whose keys are on other servers."""

from datetime import datetime, timedelta

import structlog

from certmint_server.revocation.crls import ShardState

log = structlog.get_logger()

_REMAINING = 0.2
_REPEAT_AFTER = timedelta(hours=1)


class ExpiryWatch:
    """Warns while a CRL is missing, expired, or in the last fifth of its life; at most once an hour for each."""

    def __init__(self) -> None:
        self._warned_at: dict[tuple[str, int], datetime] = {}

    def look(self, state: ShardState, now: datetime) -> None:
        """Looks at one shard."""
        event = _event(state, now)
        key = (state.issuer_id, state.shard)
        warned_at = self._warned_at.get(key)
        if event is None or (warned_at and now - warned_at < _REPEAT_AFTER):
            return
        self._warned_at[key] = now
        next_update = state.next_update.isoformat() if state.next_update else None
        log.warning(event, issuer_id=state.issuer_id, shard=state.shard, next_update=next_update)


def _event(state: ShardState, now: datetime) -> str | None:
    if state.this_update is None or state.next_update is None:
        return "crl.missing"
    if now > state.next_update:
        return "crl.expired"
    lifetime = state.next_update - state.this_update
    return "crl.expiring" if state.next_update - now < lifetime * _REMAINING else None
