"""OpenTelemetry traces. Without a tracer provider no code of this package runs during a request.

FastAPI's own telemetry creates the span of each HTTP request. OpenTelemetry's instrumentations (0.66b) were tried for
the rest, and are not used:

- `asyncpg` records the messages of database errors, and with them values (an e-mail address that is already taken). It
  has spans for BEGIN and COMMIT and for every statement outside a request, such as those that read the event log; none
  for SQLite; no database in the span's name. A span takes 148 µs, ours 90 µs.
- `sqlalchemy` puts the messages of database errors into the span's status. The read engine does not run on SQLAlchemy.
- `httpx` sees Stripe, but not storage (obstore makes its requests in Rust), and does not name the operation. It
  puts the whole URL into the span, and sends our trace ids to other companies' servers.
- `redis` works, but adds a span to each rate limit check. `opentelemetry-instrument` adds it for those who want it.
- `asgi` and `fastapi` take 260 to 480 µs for a request, FastAPI's own telemetry 170 µs.
- Each pins one exact beta of the semantic conventions, and not all the same one.

FastAPI can also create the provider (`auto_configure`), but then an unreachable collector delays the shutdown by 7 to
10 seconds. Ours waits for 2.
"""
