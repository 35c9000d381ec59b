// PostGraphile 5 as its documentation starts one, over the tables as they are.
import { createServer } from "node:http";
import { postgraphile } from "postgraphile";
import { makePgService } from "postgraphile/adaptors/pg";
import { grafserv } from "postgraphile/grafserv/node";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { jsonPgSmartTags } from "postgraphile/utils";

// It asks for Node 22 for the sake of this.
Promise.withResolvers ??= () => {
  let resolve, reject;
  const promise = new Promise((...both) => ([resolve, reject] = both));
  return { promise, resolve, reject };
};

// GraphQL has a type of that name already; and only indexed columns are filtered by, unless they are said.
const filtered = { tags: { behavior: "+attribute:filterBy +attribute:orderBy" } };
const tags = {
  version: 1,
  config: {
    class: { subscriptions: { tags: { name: "stripe_subscriptions" } } },
    attribute: { "posts.status": filtered, "posts.deleted_at": filtered, "posts.created_at": filtered },
  },
};

const preset = {
  extends: [PostGraphileAmberPreset],
  plugins: [jsonPgSmartTags(tags)],
  pgServices: [
    makePgService({ connectionString: process.env.POSTGRES_URL, schemas: ["public"], poolConfig: { max: 10 } }),
  ],
  grafserv: { graphqlPath: "/graphql", graphiql: false, websockets: false },
};

const server = createServer();
const service = postgraphile(preset).createServ(grafserv);
await service.addTo(server);
server.listen(Number(process.env.PORT), "127.0.0.1");
