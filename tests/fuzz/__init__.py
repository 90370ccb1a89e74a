"""Bytes that strangers send, at the doors that parse them."""
