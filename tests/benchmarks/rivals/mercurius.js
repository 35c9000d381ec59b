// Mercurius on Fastify, compiled from the first request on, with its own loaders.
import Fastify from "fastify";
import mercurius from "mercurius";
import * as database from "./database.js";
import { typeDefs } from "./schema.js";

const authors = (queries) => database.users(queries.map(({ obj }) => obj.authorId));

const resolvers = {
  Query: {
    post: (_, { id }) => database.post(id),
    postPage: (_, { page, limit }) => ({ page, limit }),
  },
  PostPage: {
    data: ({ page, limit }) => database.page(page, limit),
    total: () => database.total(),
  },
};

const loaders = {
  Post: {
    author: authors,
    category: (queries) => database.categories(queries.map(({ obj }) => obj.categoryId)),
    tags: (queries) => database.tags(queries.map(({ obj }) => obj.id)),
    comments: async (queries) => {
      const found = await database.comments(queries.map(({ obj }) => obj.id), queries[0].params.first);
      return found.map((nodes) => ({ nodes }));
    },
  },
  Comment: { author: authors },
};

const app = Fastify({ logger: false });
app.register(mercurius, { schema: typeDefs, resolvers, loaders, jit: 1 });
await app.listen({ port: Number(process.env.PORT), host: "127.0.0.1" });
