"""Documents that clients ask for without sending them: automatic persisted queries, and trusted documents."""
