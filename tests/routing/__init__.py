"""Paths and scopes meant to deceive, against real routers: no request reaches a guarded endpoint without a token."""
