import { ApolloClient, ApolloLink, InMemoryCache, gql } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { tap } from "rxjs";

import { POST_EVENTS } from "./documents.js";
import { socket } from "./graphql-ws.js";

// What goes out again after a reconnection starts where this client stands.
const resuming = new ApolloLink((operation, forward) =>
  forward(operation).pipe(
    tap(({ data }) => {
      if (data) operation.variables.since = data.postEvents.id;
    }),
  ),
);

export function follow(options, heard) {
  const client = new ApolloClient({
    link: ApolloLink.from([resuming, new GraphQLWsLink(socket(options, heard))]),
    cache: new InMemoryCache(),
  });
  client.subscribe({ query: gql(POST_EVENTS), variables: { since: options.since } }).subscribe({
    next: ({ data, error }) => (data ? heard.event(data.postEvents) : heard.failed(said(error))),
    error: (error) => heard.failed(said(error)),
    complete: () => heard.failed("complete"),
  });
}

// The code that a socket was closed with is in Apollo's words for it.
function said(error) {
  return Number(error.message.match(/event (\d+)/)?.[1]) || (error.errors?.[0].extensions.code ?? error.message);
}
