"""Everything live: the event log, followed in order by any number of clients."""
