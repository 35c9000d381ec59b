import { graphql } from "relay-runtime";

export const post = graphql`
  fragment Page_post on Post {
    title
    author {
      name
    }
  }
`;

export const query = graphql`
  query PageQuery($slug: String) {
    post(slug: $slug) {
      ...Page_post
    }
  }
`;
