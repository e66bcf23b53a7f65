"""What signs: a distinguished name and a key, with a certificate."""
