"""The wire: only here are gRPC and the generated messages known."""
