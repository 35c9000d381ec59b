// GraphQL Yoga on Node's own server, with graphql-jit and a DataLoader for each relation.
import { createServer } from "node:http";
import { useGraphQlJit } from "@envelop/graphql-jit";
import DataLoader from "dataloader";
import { createSchema, createYoga } from "graphql-yoga";
import * as database from "./database.js";
import { typeDefs } from "./schema.js";

const resolvers = {
  Query: {
    post: (_, { id }) => database.post(id),
    postPage: (_, { page, limit }) => ({ page, limit }),
  },
  PostPage: {
    data: ({ page, limit }) => database.page(page, limit),
    total: () => database.total(),
  },
  Post: {
    author: (post, _, { users }) => users.load(post.authorId),
    category: (post, _, { categories }) => post.categoryId && categories.load(post.categoryId),
    tags: (post, _, { tags }) => tags.load(post.id),
    comments: async (post, { first }) => ({ nodes: (await database.comments([post.id], first))[0] }),
  },
  Comment: {
    author: (comment, _, { users }) => users.load(comment.authorId),
  },
};

const context = () => ({
  users: new DataLoader(database.users),
  categories: new DataLoader(database.categories),
  tags: new DataLoader(database.tags),
});

const schema = createSchema({ typeDefs, resolvers });
const yoga = createYoga({ schema, context, plugins: [useGraphQlJit()], logging: "error" });
createServer(yoga).listen(Number(process.env.PORT), "127.0.0.1");
