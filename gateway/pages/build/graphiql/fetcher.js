import { createGraphiQLFetcher } from "@graphiql/toolkit";

const url = location.pathname;
const send = createGraphiQLFetcher({
  url,
  subscriptionUrl: location.origin.replace(/^http/, "ws") + url,
  fetch: (input, init) => fetch(input, { ...init, credentials: "same-origin" }),
});

/** Sends header names in lower case: they are also the payload of `connection_init`, which needs `authorization` so. */
export const fetcher = (params, options) => send(params, { ...options, headers: lowerCased(options?.headers) });

const lowerCased = (headers = {}) =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
