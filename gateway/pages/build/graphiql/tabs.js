const posts = `# The newest posts, with their authors.
# Ctrl+Enter runs this; Ctrl+Space completes.
query Posts {
  posts(first: 5) {
    totalCount
    nodes {
      title
      excerpt
      publishedAt
      likeCount
      commentCount
      author {
        name
      }
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
}
`;

const signIn = `# Signing in sets this browser's session cookie:
# what runs next, runs as this user. Or send a token
# with Headers, below: {"Authorization": "Bearer …"}
mutation SignIn($input: LoginInput!) {
  login(input: $input) {
    accessToken
    user {
      name
      role
    }
  }
}
`;

const credentials = JSON.stringify({ input: { email: "", password: "" } }, null, 2);

/** What a first visitor finds open. */
export const tabs = [{ query: posts }, { query: signIn, variables: credentials }];
