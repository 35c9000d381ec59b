"""Following the log: the feed, and what streams have in common."""
