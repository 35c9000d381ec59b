// The part of the gateway's schema that is measured, for servers that are built from a schema.
export const typeDefs = /* GraphQL */ `
  scalar DateTime
  enum PostStatus { DRAFT PUBLISHED ARCHIVED }
  type User { id: ID! name: String! image: String }
  type Category { id: ID! name: String! slug: String! }
  type Tag { id: ID! name: String! slug: String! }
  type Comment { id: ID! content: String! createdAt: DateTime! author: User! }
  type CommentConnection { nodes: [Comment!]! }
  type Post {
    id: ID! title: String! slug: String! content: String! excerpt: String status: PostStatus! publishedAt: DateTime
    author: User! category: Category tags: [Tag!]! comments(first: Int = 20): CommentConnection!
    commentCount: Int! likeCount: Int!
  }
  type PostPage { data: [Post!]! total: Int! }
  type Query { post(id: ID): Post postPage(page: Int = 1, limit: Int = 20): PostPage! }
`;
