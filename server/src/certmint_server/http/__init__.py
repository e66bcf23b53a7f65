"""What relying parties fetch over plain HTTP: CRLs, issuers' certificates and the trust bundle."""
