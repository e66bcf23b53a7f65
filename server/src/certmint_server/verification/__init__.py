"""VerifyChain: the client's chain engine, with what our registry knows."""
