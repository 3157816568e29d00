"""A merchant's back end."""
