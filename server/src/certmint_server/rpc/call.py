"""The call that a servicer is answering."""

from contextvars import ContextVar
from dataclasses import dataclass, field

from certmint_server.registry.callers import Caller


@dataclass(slots=True)
class Call:
    """Who is calling, and what the log line of this call should say besides."""

    caller: Caller
    log_fields: dict[str, str] = field(default_factory=dict)


CURRENT_CALL: ContextVar[Call] = ContextVar("CURRENT_CALL")


def current_caller() -> Caller:
    """The caller that the interceptor authenticated for this call."""
    return CURRENT_CALL.get().caller


def log_serial(serial_hex: str) -> None:
    """Puts a serial into this call's log line."""
    CURRENT_CALL.get().log_fields["serial"] = serial_hex
