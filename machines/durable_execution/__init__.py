"""Several steps outside, each done once, whatever crashes."""
