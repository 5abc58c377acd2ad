"""The pure half of the certificate authority: tokens, requests, identities, renewal times."""
