import { createClient } from "graphql-sse";

import { POST_EVENTS } from "./documents.js";

export function follow({ address, token, since, wait }, heard) {
  const variables = { since }; // sent as they are by then, whenever the client comes back
  const client = createClient({
    url: `${address}/graphql`,
    headers: token ? { Authorization: `Bearer ${token}` } : {},
    retryAttempts: wait === null ? 0 : 100, // it would come back whatever the answer was
    retry: () => {
      heard.closed(null);
      return new Promise((resolve) => setTimeout(resolve, wait));
    },
  });
  client.subscribe(
    { query: POST_EVENTS, variables },
    {
      next: ({ data, errors }) => {
        if (errors) return heard.failed(errors[0].extensions.code);
        variables.since = data.postEvents.id;
        heard.event(data.postEvents);
      },
      error: (error) => heard.failed(error.response?.status ?? String(error)),
      complete: () => heard.failed("complete"),
    },
  );
}
