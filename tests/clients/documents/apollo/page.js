import { gql } from "@apollo/client";

export const PAGE = gql`
  query Page($slug: String) {
    post(slug: $slug) {
      ...Item
    }
  }
  fragment Item on Post {
    title
    author {
      name
    }
  }
`;
