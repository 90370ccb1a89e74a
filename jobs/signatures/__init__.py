"""Signatures of webhooks: making ours, verifying those of others. Pure, over bytes."""
