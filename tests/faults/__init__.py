"""The key cache over HTTP while everything around it misbehaves: real servers, real TLS, a hand-ticked timer."""
