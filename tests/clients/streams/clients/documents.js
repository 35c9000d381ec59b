export const POST_EVENTS = "subscription PostEvents($since: ID) { postEvents(since: $since) { id type post { title } } }";
