"""Revoking certificates and publishing that they are revoked."""
