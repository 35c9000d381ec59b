"""The requests that are measured: L, a list; D, one post in detail; T, the floor of the HTTP stack."""

from random import Random
from typing import NamedTuple
from uuid import UUID

LIST = """query L($page: Int) { postPage(page: $page, limit: 20) { total data {
  id title slug excerpt publishedAt author { id name image } commentCount likeCount } } }"""
DETAIL = """query D($id: ID!) { post(id: $id) { id title slug content excerpt status publishedAt
  author { id name image } category { id name slug } tags { id name slug } commentCount likeCount
  comments(first: 10) { nodes { id content createdAt author { id name image } } } } }"""
TYPENAME = "{ __typename }"

MOST_PAGES = 50


class Workload(NamedTuple):
    name: str
    query: str
    variables: list[dict]


def workloads(post_ids: list[UUID]) -> dict[str, Workload]:
    """Random pages and random posts, the same ones for every server."""
    chance = Random(1)
    pages = [{"page": chance.randint(1, MOST_PAGES)} for _ in range(500)]
    posts = [{"id": str(chance.choice(post_ids))} for _ in range(500)]
    return {
        "L": Workload("L", LIST, pages),
        "D": Workload("D", DETAIL, posts),
        "T": Workload("T", TYPENAME, [{}]),
    }
