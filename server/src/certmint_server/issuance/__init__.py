"""Issuing certificates: from a CSR to a certificate that the registry knows."""
