"""Everything a client may be refused with: one class, one status, one code, the same in both protocols.

    Refusal
    ├── ValidationError            400  VALIDATION_ERROR     details: {field: [messages]}
    ├── InvalidSignature           400  INVALID_SIGNATURE
    ├── Unauthorized               401  UNAUTHORIZED
    ├── Forbidden                  403  FORBIDDEN
    ├── NotFound                   404  NOT_FOUND
    ├── MethodNotAllowed           405  METHOD_NOT_ALLOWED
    ├── NotAcceptable              406  NOT_ACCEPTABLE
    ├── Conflict                   409  CONFLICT
    ├── CursorExpired              410  CURSOR_EXPIRED
    ├── PreconditionFailed         412  PRECONDITION_FAILED
    ├── PayloadTooLarge            413  PAYLOAD_TOO_LARGE
    ├── UnsupportedMediaType       415  UNSUPPORTED_MEDIA_TYPE
    ├── RangeNotSatisfiable        416  RANGE_NOT_SATISFIABLE
    ├── IdempotencyMismatch        422  IDEMPOTENCY_MISMATCH
    ├── RateLimited                429  RATE_LIMITED         details: {"retryAfter": seconds}
    ├── PersistedQueryNotFound     200  PERSISTED_QUERY_NOT_FOUND
    ├── PersistedQueryNotSupported 200  PERSISTED_QUERY_NOT_SUPPORTED
    ├── UntrustedDocument          403  DOCUMENT_NOT_TRUSTED
    ├── UpstreamError              502  UPSTREAM_ERROR
    ├── NotConfigured              503  NOT_CONFIGURED
    └── Unavailable                503  UNAVAILABLE

Whatever else is raised is a 500 INTERNAL_ERROR that never says why.
"""

from typing import Any, ClassVar


class Refusal(Exception):
    """A request refused, in words that a client may read."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "INTERNAL_ERROR"
    words: ClassVar[str] = "Internal server error"

    def __init__(self, message: str | None = None, details: Any = None) -> None:
        self.message = message or self.words
        self.details = details
        super().__init__(self.message)


class ValidationError(Refusal):
    """`details` names the fields that are wrong, as clients spell them: `{field: [messages]}`."""

    status, code, words = 400, "VALIDATION_ERROR", "The input is not valid"

    def __init__(self, message: str | None = None, details: dict[str, list[str]] | None = None) -> None:
        said = "; ".join(f"{field}: {messages[0]}" for field, messages in (details or {}).items())
        super().__init__(message or said, details)

    @classmethod
    def of(cls, **fields: str) -> "ValidationError":
        return cls(details={field: [message] for field, message in fields.items()})


class InvalidSignature(Refusal):
    status, code, words = 400, "INVALID_SIGNATURE", "The signature does not verify"


class Unauthorized(Refusal):
    status, code, words = 401, "UNAUTHORIZED", "Sign in first"


class Forbidden(Refusal):
    status, code, words = 403, "FORBIDDEN", "That is not allowed"


class NotFound(Refusal):
    status, code, words = 404, "NOT_FOUND", "Not found"

    @classmethod
    def named(cls, thing: str) -> "NotFound":
        return cls(f"{thing} not found")


class MethodNotAllowed(Refusal):
    status, code, words = 405, "METHOD_NOT_ALLOWED", "Method not allowed"


class NotAcceptable(Refusal):
    status, code, words = 406, "NOT_ACCEPTABLE", "None of the accepted media types can be given"


class Conflict(Refusal):
    status, code, words = 409, "CONFLICT", "That conflicts with what is there"


class CursorExpired(Refusal):
    status, code, words = 410, "CURSOR_EXPIRED", "The log no longer reaches back to that cursor"


class PreconditionFailed(Refusal):
    status, code, words = 412, "PRECONDITION_FAILED", "It has changed since you read it"


class PayloadTooLarge(Refusal):
    status, code, words = 413, "PAYLOAD_TOO_LARGE", "The request is too large"


class UnsupportedMediaType(Refusal):
    status, code, words = 415, "UNSUPPORTED_MEDIA_TYPE", "That media type is not supported"


class RangeNotSatisfiable(Refusal):
    status, code, words = 416, "RANGE_NOT_SATISFIABLE", "The file has no such range"


class IdempotencyMismatch(Refusal):
    status, code, words = 422, "IDEMPOTENCY_MISMATCH", "This Idempotency-Key was given to another request"


class RateLimited(Refusal):
    status, code, words = 429, "RATE_LIMITED", "Too many requests"

    def __init__(self, retry_after: int) -> None:
        """`retry_after` in whole seconds."""
        super().__init__(details={"retryAfter": retry_after})


class PersistedQueryNotFound(Refusal):
    """In Apollo's words and with its status, by which its clients know to send the document as well."""

    status, code, words = 200, "PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound"


class PersistedQueryNotSupported(Refusal):
    """The same, by which they know to send documents from now on."""

    status, code, words = 200, "PERSISTED_QUERY_NOT_SUPPORTED", "PersistedQueryNotSupported"


class UntrustedDocument(Refusal):
    status, code, words = 403, "DOCUMENT_NOT_TRUSTED", "Only trusted documents are answered here"


class UpstreamError(Refusal):
    status, code, words = 502, "UPSTREAM_ERROR", "A service that this one depends on failed"


class NotConfigured(Refusal):
    status, code, words = 503, "NOT_CONFIGURED", "This is not configured here"


class Unavailable(Refusal):
    status, code, words = 503, "UNAVAILABLE", "Temporarily unavailable; try again"
