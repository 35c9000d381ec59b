"""Attacks, each by its name and with its answer. Many are answered where what they attack is tested:

| attack | answer | where |
|---|---|---|
| bombs of aliases, fragments in circles, directives, batches, depth, introspection in circles | 400, cheaply | here, `test_documents`; `engine/test_limits`, `engine/test_costs`, `edge/test_batches` |
| documents that hold up everyone else | none for more than 50 ms | here, `test_documents`; `python -m tests.benchmarks.hostile` |
| SQL in every field, headers and log lines in text, paths out of a folder | data, and no more | here, `test_injections`; `edge/test_requests`, `uploads/test_accepted_uploads`, `uploads/test_downloads` |
| hostile unicode, U+0000, lone surrogates | kept, or refused by field | here, `test_injections`; `behaviour/test_bad_input`, `engine/test_limits` |
| bodies that are huge | 413, unread | `edge/test_requests`, `gateway/server/test_lifecycle`, `uploads/test_rejected_uploads` |
| more request bodies at once than there is memory for | 503 for the surplus | `security/test_connections` |
| a request with no `Host`, two, or an invalid one | 400 and closed | `security/test_connections` |
| slow or endless bodies, endless headers | disconnected, or 400 | `security/test_connections`; `gateway/server/test_lifecycle` |
| decompression bombs | 400, never unpacked | `security/test_bodies`; pictures: `uploads/test_rejected_uploads` |
| files that are slow to look at: names, notes, tables and scans without end | 201 or 400, in proportion to their size | `uploads/test_cpu_cost`, `uploads/test_rejected_uploads` |
| invalid UTF-8, keys given twice, depth of JSON | 400; the last one counts | `security/test_bodies`; `behaviour/test_bad_input` |
| a wrong `Content-Length`, smuggling by two lengths, chunk extensions, `Upgrade` or trailers | 400 and closed | `security/test_connections` |
| a WebSocket handshake before the last response has come | 400 and closed | `security/test_connections` |
| finding out which accounts exist, by message or response time | the same for both | `security/test_accounts`, `gateway/auth/test_accounts` |
| guessing passwords, by alias too | the limit `auth`; each guess counts | `edge/test_limits`, `behaviour/test_limits` |
| using a stolen refresh token | the session ends | `security/test_accounts`, `gateway/auth/test_accounts` |
| forged access tokens, other algorithms, tokens of deleted accounts | 401 | `gateway/auth/test_access_tokens`, `gateway/auth/test_oidc`, `gateway/auth/test_accounts` |
| writing from another site by cookie | 403 | `security/test_cross_site`, `gateway/auth/test_cookies`, `uploads/test_rejected_uploads` |
| cookies set by a sibling domain | ignored | `security/test_sibling_domains` |
| a WebSocket without `connection_init`, without messages, or with invalid ones | 4408, 4499, 4400 | `security/test_connections`; `live/test_websocket`, `live/test_websocket_nonsense` |
| a client that never reads | disconnected; memory stays | `security/test_connections`; `live/test_websocket`, `live/test_feed_at_scale` |
| ten thousand idle connections | others are answered; their memory is used again | `security/test_idle_connections`, `gateway/server/test_memory`; all of them in `make chaos` |
| more requests than can be answered | 503 for the surplus, at once | `edge/test_overload`; measured in `make chaos` |
| reading secrets in the log | none | `security/test_secrets`, `edge/test_requests` |
"""  # noqa: E501 - a table's rows are as long as they are
