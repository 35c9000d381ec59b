"""Attacks, each by its name and with its answer. Many are answered where what they attack is tested:

| attack | answer | where |
|---|---|---|
| bombs of aliases, fragments in circles, directives, batches, depth, introspection in circles | 400, cheaply | here, `test_documents`; `engine/test_limits`, `engine/test_costs`, `edge/test_batches` |
| documents that hold up everyone else | none for more than 50 ms | here, `test_documents`; `python -m tests.benchmarks.hostile` |
| SQL in every field, headers and log lines in text, paths out of a folder | data, and no more | here, `test_injections`; `edge/test_requests`, `uploads/test_accepted_uploads`, `uploads/test_downloads` |
| hostile unicode, U+0000, lone surrogates | kept, or refused by field | here, `test_injections`; `behaviour/test_bad_input`, `engine/test_limits` |
| bodies that are huge | 413, unread | `edge/test_requests`, `edge/test_life`, `uploads/test_rejected_uploads` |
| more bodies at once than there is memory for | 503 for the surplus | here, `test_lines` |
| a request of no host, or of two | 400 and closed | here, `test_lines` |
| bodies that are slow, or never end; headers without end | disconnected, or 400 | here, `test_lines`; `edge/test_life` |
| compressed bombs | 400, never unpacked | here, `test_bodies`; pictures: `uploads/test_rejected_uploads` |
| files that are slow to look at: names, notes, tables and scans without end | 201 or 400, in proportion to their size | `uploads/test_cpu_cost`, `uploads/test_rejected_uploads` |
| invalid UTF-8, keys given twice, depth of JSON | 400; the last one counts | here, `test_bodies`; `behaviour/test_bad_input` |
| a wrong `Content-Length`, smuggling by two lengths, extensions of chunks | 400 and closed | here, `test_lines` |
| a socket asked for before an answer has come | 400 and closed | here, `test_lines` |
| finding out which accounts exist, by message or response time | the same for both | `security/test_accounts`, `gateway/auth/test_accounts` |
| guessing passwords, by alias too | the limit `auth`; each guess counts | `edge/test_limits`, `behaviour/test_limits` |
| using a stolen refresh token | the session ends | `security/test_accounts`, `gateway/auth/test_accounts` |
| forged access tokens, other algorithms, tokens of deleted accounts | 401 | `gateway/auth/test_access_tokens`, `gateway/auth/test_oidc`, `gateway/auth/test_accounts` |
| writing from another site by cookie | 403 | `security/test_cross_site`, `gateway/auth/test_cookies`, `uploads/test_rejected_uploads` |
| cookies set by a sibling domain | ignored | `security/test_sibling_domains` |
| a socket that never introduces itself, or says nothing, or talks nonsense | 4408, 4499, 4400 | here, `test_lines`; `live/test_websocket`, `live/test_websocket_nonsense` |
| a reader that never reads | disconnected; memory stays | here, `test_lines`; `live/test_websocket`, `live/test_feed_at_scale` |
| ten thousand idle connections | others are answered; memory returns | here, `test_crowds`; `edge/test_crowds`; all of them in `make chaos` |
| more requests than can be answered | 503 for the surplus, at once | `edge/test_overload`; measured in `make chaos` |
| reading secrets in the log | none | `security/test_secrets`, `edge/test_requests` |
"""  # noqa: E501 - a table's rows are as long as they are
