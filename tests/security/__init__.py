"""Attacks, with the response to each and the tests that show it.

| attack | answer | where |
|---|---|---|
| bombs of aliases, fragments in circles, directives, batches, depth, introspection in circles | 400, cheaply | `security/test_documents`; `gateway/graphql/test_document_limits`, `gateway/graphql/test_costs`, `gateway/transports/test_batching` |
| documents that hold up everyone else | none for more than 50 ms | `security/test_documents`; `python -m tests.benchmarks.hostile` |
| SQL in every field, headers and log lines in text, paths out of a folder | data, and no more | `security/test_injections`; `api/test_requests`, `api/test_accepted_uploads`, `api/test_downloads` |
| hostile unicode, U+0000, lone surrogates | kept, or refused by field | `security/test_injections`; `api/test_bad_input`, `gateway/graphql/test_document_limits` |
| bodies that are huge | 413, unread | `api/test_requests`, `gateway/server/test_lifecycle`, `api/test_rejected_uploads` |
| more request bodies at once than there is memory for | 503 for the surplus | `security/test_connections` |
| a request with no `Host`, two, or an invalid one | 400 and closed | `security/test_connections` |
| slow or endless bodies, endless headers | disconnected, or 400 | `security/test_connections`; `gateway/server/test_lifecycle` |
| decompression bombs | 400, never unpacked | `security/test_bodies`; pictures: `api/test_rejected_uploads` |
| files that are slow to look at: names, notes, tables and scans without end | 201 or 400, in proportion to their size | `security/test_upload_cpu_cost`, `api/test_rejected_uploads` |
| invalid UTF-8, keys given twice, depth of JSON | 400; the last one counts | `security/test_bodies`; `api/test_bad_input` |
| a wrong `Content-Length`, smuggling by two lengths, chunk extensions, `Upgrade` or trailers | 400 and closed | `security/test_connections` |
| a WebSocket handshake before the last response has come | 400 and closed | `security/test_connections` |
| finding out which accounts exist, by message or response time | the same for both | `security/test_accounts`, `gateway/auth/test_accounts` |
| guessing passwords, by alias too | the limit `auth`; each guess counts | `gateway/limits/test_rate_limits` |
| using a stolen refresh token | the session ends | `security/test_accounts`, `gateway/auth/test_accounts` |
| forged access tokens, other algorithms, tokens of deleted accounts | 401 | `gateway/auth/test_access_tokens`, `gateway/auth/test_oidc`, `gateway/auth/test_accounts` |
| writing from another site by cookie | 403 | `security/test_cross_site`, `gateway/auth/test_cookies`, `api/test_rejected_uploads` |
| cookies set by a sibling domain | ignored | `security/test_sibling_domains` |
| a WebSocket without `connection_init`, without messages, or with invalid ones | 4408, 4499, 4400 | `security/test_connections`; `gateway/transports/test_websocket`, `gateway/transports/test_websocket_fuzzing` |
| a client that never reads | disconnected; memory stays | `security/test_connections`; `gateway/transports/test_websocket`, `gateway/events/test_feed_at_scale` |
| ten thousand idle connections | others are answered; their memory is used again | `security/test_idle_connections`, `gateway/server/test_memory`; all of them in `make chaos` |
| more requests than can be answered | 503 for the surplus, at once | `gateway/http/test_concurrency`; measured in `make chaos` |
| reading secrets in the log | none | `security/test_secrets`, `api/test_requests` |
"""  # noqa: E501 - a table's rows are as long as they are
