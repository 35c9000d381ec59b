// A front end in small: it registers, writes a post, publishes it, and finds it again.
import { graphql } from "./generated/gql.js";
import type { PostOrder, TypedDocumentString } from "./generated/graphql.js";

declare const process: { argv: string[] };

const [address, email] = process.argv.slice(2) as [string, string];
let token: string | undefined;

async function ask<Result, Variables>(document: TypedDocumentString<Result, Variables>, variables: Variables): Promise<Result> {
  const response = await fetch(`${address}/graphql`, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      Accept: "application/graphql-response+json",
      ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify({ query: document.toString(), variables }),
  });
  const { data, errors } = (await response.json()) as { data?: Result; errors?: { message: string }[] };
  if (data === undefined || data === null || errors !== undefined) {
    throw new Error(errors?.map((error) => error.message).join("; ") ?? response.statusText);
  }
  return data;
}

const Register = graphql(`
  mutation Register($input: RegisterInput!) { register(input: $input) { accessToken user { name role } } }
`);

const Create = graphql(`
  mutation Create($input: CreatePostInput!) { createPost(input: $input) { id status } }
`);

const Publish = graphql(`
  mutation Publish($id: ID!) { publishPost(id: $id) { status publishedAt tags { slug } } }
`);

const Search = graphql(`
  query Search($q: String!, $order: PostOrder!) {
    posts(first: 1, filter: { q: $q }, orderBy: $order) {
      nodes { title author { name } category { name } viewerHasLiked }
      pageInfo { hasNextPage }
      totalCount
    }
  }
`);

const { register } = await ask(Register, { input: { name: "Tess Typed", email, password: "correct horse battery" } });
token = register.accessToken;

const { createPost } = await ask(Create, {
  input: { title: "Typed from end to end", content: `Written by ${email}, compiled.`, tags: ["typescript"] },
});
const { publishPost } = await ask(Publish, { id: createPost.id });
const order: PostOrder = "NEWEST";
const { posts } = await ask(Search, { q: email, order });

const published: string | null = publishPost.publishedAt ?? null;
console.log(
  JSON.stringify({
    user: register.user,
    before: createPost.status,
    after: publishPost.status,
    dated: published !== null && !Number.isNaN(Date.parse(published)),
    tags: publishPost.tags.map((tag) => tag.slug),
    posts,
  }),
);
