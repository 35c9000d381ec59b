const posts = `# Lists the newest posts and their authors.
# Press Ctrl+Enter to run, Ctrl+Space to complete.
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

const login = `# Logs in and sets the session cookie, so that later
# operations run as this user. Or send the token as a
# header (below): {"Authorization": "Bearer …"}
mutation Login($input: LoginInput!) {
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

/** Tabs for new visitors. */
export const tabs = [{ query: posts }, { query: login, variables: credentials }];
