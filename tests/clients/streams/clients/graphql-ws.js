import { createClient } from "graphql-ws";
import WebSocket from "ws";

import { POST_EVENTS } from "./documents.js";

export function socket({ address, token, wait }, heard) {
  return createClient({
    url: `${address.replace("http", "ws")}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: token && { authorization: `Bearer ${token}` },
    retryAttempts: 100,
    retryWait: () => new Promise((resolve) => setTimeout(resolve, wait)),
    shouldRetry: () => true, // in Node a server that is away is an error, and no closing
    on: { closed: ({ code }) => heard.closed(code) },
  });
}

export function follow(options, heard) {
  const variables = { since: options.since }; // sent as they are by then, whenever the client comes back
  socket(options, heard).subscribe(
    { query: POST_EVENTS, variables },
    {
      next: ({ data, errors }) => {
        if (errors) return heard.failed(errors[0].extensions.code);
        variables.since = data.postEvents.id;
        heard.event(data.postEvents);
      },
      error: (error) => heard.failed(error.code ?? error[0]?.extensions.code ?? String(error)),
      complete: () => heard.failed("complete"),
    },
  );
}
