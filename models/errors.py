"""Errors that clients see: one class, one status and one code each, the same in both protocols.

    APIError
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

Any other exception becomes a 500 INTERNAL_ERROR; its cause is only logged.
"""

from typing import Any, ClassVar


class APIError(Exception):
    """An error whose message and details are shown to the client."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "INTERNAL_ERROR"
    default_message: ClassVar[str] = "Internal server error"

    def __init__(self, message: str | None = None, details: Any = None) -> None:
        self.message = message or self.default_message
        self.details = details
        super().__init__(self.message)


class ValidationError(APIError):
    """Invalid input. `details` has the messages of each field, by the field's public name: `{field: [messages]}`."""

    status, code, default_message = 400, "VALIDATION_ERROR", "The input is not valid"

    def __init__(self, message: str | None = None, details: dict[str, list[str]] | None = None) -> None:
        summary = "; ".join(f"{field}: {messages[0]}" for field, messages in (details or {}).items())
        super().__init__(message or summary, details)

    @classmethod
    def for_fields(cls, **fields: str) -> "ValidationError":
        return cls(details={field: [message] for field, message in fields.items()})


class InvalidSignature(APIError):
    status, code, default_message = 400, "INVALID_SIGNATURE", "The signature is not valid"


class Unauthorized(APIError):
    status, code, default_message = 401, "UNAUTHORIZED", "Sign in first"


class Forbidden(APIError):
    status, code, default_message = 403, "FORBIDDEN", "Not allowed"


class NotFound(APIError):
    status, code, default_message = 404, "NOT_FOUND", "Not found"

    @classmethod
    def for_entity(cls, name: str) -> "NotFound":
        return cls(f"{name} not found")


class MethodNotAllowed(APIError):
    status, code, default_message = 405, "METHOD_NOT_ALLOWED", "Method not allowed"


class NotAcceptable(APIError):
    status, code, default_message = 406, "NOT_ACCEPTABLE", "None of the accepted media types is available"


class Conflict(APIError):
    status, code, default_message = 409, "CONFLICT", "The request conflicts with existing data"


class CursorExpired(APIError):
    status, code, default_message = 410, "CURSOR_EXPIRED", "The event log no longer contains this cursor"


class PreconditionFailed(APIError):
    status, code, default_message = 412, "PRECONDITION_FAILED", "The object has changed since you read it"


class PayloadTooLarge(APIError):
    status, code, default_message = 413, "PAYLOAD_TOO_LARGE", "The request is too large"


class UnsupportedMediaType(APIError):
    status, code, default_message = 415, "UNSUPPORTED_MEDIA_TYPE", "The media type is not supported"


class RangeNotSatisfiable(APIError):
    status, code, default_message = 416, "RANGE_NOT_SATISFIABLE", "The file has no such range"


class IdempotencyMismatch(APIError):
    status, code, default_message = 422, "IDEMPOTENCY_MISMATCH", "This Idempotency-Key was used for another request"


class RateLimited(APIError):
    status, code, default_message = 429, "RATE_LIMITED", "Too many requests"

    def __init__(self, retry_after: int) -> None:
        """Set the seconds to wait, a whole number."""
        super().__init__(details={"retryAfter": retry_after})


class PersistedQueryNotFound(APIError):
    """Apollo's message and status, after which its clients send the document as well."""

    status, code, default_message = 200, "PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound"


class PersistedQueryNotSupported(APIError):
    """Apollo's message and status, after which its clients always send documents."""

    status, code, default_message = 200, "PERSISTED_QUERY_NOT_SUPPORTED", "PersistedQueryNotSupported"


class UntrustedDocument(APIError):
    status, code, default_message = 403, "DOCUMENT_NOT_TRUSTED", "Only trusted documents are accepted"


class UpstreamError(APIError):
    status, code, default_message = 502, "UPSTREAM_ERROR", "An external service failed"


class NotConfigured(APIError):
    status, code, default_message = 503, "NOT_CONFIGURED", "This feature is not configured"


class Unavailable(APIError):
    status, code, default_message = 503, "UNAVAILABLE", "Temporarily unavailable; try again"
