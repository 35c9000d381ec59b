import { createGraphiQLFetcher } from "@graphiql/toolkit";

const url = location.pathname;
const send = createGraphiQLFetcher({
  url,
  subscriptionUrl: location.origin.replace(/^http/, "ws") + url,
  fetch: (input, init) => fetch(input, { ...init, credentials: "same-origin" }),
});

/** The headers editor's words, also as the payload of `connection_init`, where `authorization` is spelt in lower case. */
export const fetcher = (params, options) => send(params, { ...options, headers: lowerCased(options?.headers) });

const lowerCased = (headers = {}) =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
