"""Where the keys of issuers live."""
