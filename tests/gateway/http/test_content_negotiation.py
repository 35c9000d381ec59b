"""Which media type an answer has."""

import pytest

from gateway.http.content_negotiation import is_json, negotiate, prefers_html

JSON, RESPONSE = "application/json", "application/graphql-response+json"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        (RESPONSE, RESPONSE),
        (f"{JSON}, {RESPONSE}", RESPONSE),
        (f"{JSON};q=0.9, {RESPONSE};q=0.8", JSON),
        (f"{RESPONSE}; charset=utf-8, {JSON}; charset=utf-8", RESPONSE),
        ("multipart/mixed;deferSpec=20220824, application/json", JSON),
        ("text/event-stream, */*", JSON),
        ("APPLICATION/JSON", JSON),
        (BROWSER, JSON),
        ("text/html", None),
        ("text/event-stream", None),
        (f"{JSON};q=0", None),
        (f"{JSON};q=0, */*", None),
        (f"{JSON};q=x", None),
    ],
)
def test_what_a_client_likes_best_is_given(accept: str, chosen: str | None) -> None:
    """By weight, and among equals the newer type."""
    assert negotiate(accept) == chosen


@pytest.mark.parametrize(
    ("accept", "html"), [(BROWSER, True), ("*/*", False), (f"text/html;q=0.5, {JSON}", False), ("", False)]
)
def test_browsers_ask_for_html_first(accept: str, html: bool) -> None:
    """Programs do not."""
    assert prefers_html(accept) is html


@pytest.mark.parametrize(
    ("content_type", "json"),
    [
        (JSON, True),
        ("Application/JSON; charset=UTF-8", True),
        ('application/json;charset="utf-8"', True),
        ("application/json; charset=latin-1", False),
        ("text/plain", False),
        ("application/x-www-form-urlencoded", False),
        ("multipart/form-data; boundary=application/json", False),
        ("application/jsonp", False),
        (None, False),
        ("", False),
    ],
)
def test_bodies_say_that_they_are_json(content_type: str | None, json: bool) -> None:
    """What browsers send without asking first is not."""
    assert is_json(content_type) is json
