"""The least that a Temporal job can be: the measure that the email job is compared with."""
