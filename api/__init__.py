"""Jobs over HTTP, thin over ``JobClient``; ``python -m api`` serves, ``docs/api.md`` tells."""
