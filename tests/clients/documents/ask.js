// Apollo Client asking through its persisted-query link: `node ask.js ADDRESS HOW SLUG` prints, as JSON, what it was
// answered when it asked twice, and the requests that it took: method, whether it sent the document, status.
//
// HOW is how hashes are made and sent: "post" or "get", of each document as it is; "manifest", by GET, those of the manifest.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from "@apollo/client";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { generatePersistedQueryIdsFromManifest } from "@apollo/persisted-query-lists";

import { PAGE } from "./apollo/page.js";

const [address, how, slug] = process.argv.slice(2);

const answers = [];
const requests = [];

async function noting(uri, options) {
  const response = await fetch(uri, options);
  const sent = options.body ?? new URL(uri).search;
  requests.push([options.method, /"query":|[?&]query=/.test(sent) ? "document" : "hash", response.status]);
  return response;
}

const sha256 = (text) => createHash("sha256").update(text).digest("hex");
const loadManifest = () => JSON.parse(readFileSync("persisted-query-manifest.json", "utf8"));
const hashes = how === "manifest" ? generatePersistedQueryIdsFromManifest({ loadManifest }) : { sha256 };

const client = new ApolloClient({
  link: ApolloLink.from([
    new PersistedQueryLink({ ...hashes, useGETForHashedQueries: how !== "post" }),
    new HttpLink({ uri: `${address}/graphql`, fetch: noting }),
  ]),
  cache: new InMemoryCache(),
  clientAwareness: { name: "page", version: "1.2.3" },
});

for (let time = 0; time < 2; time++) {
  const options = { variables: { slug }, fetchPolicy: "network-only", errorPolicy: "all" };
  const { data, error } = await client.query({ query: PAGE, ...options });
  answers.push(data?.post?.title ?? error?.errors?.[0].extensions.code ?? String(error));
}
console.log(JSON.stringify({ answers, requests }));
