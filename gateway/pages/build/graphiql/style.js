// Imported one by one, because `graphiql/style.css` includes 400 kB of fonts. Monaco's modules include their own style sheets.
import "@graphiql/react/style.css";
import "@graphiql/plugin-doc-explorer/style.css";
import "@graphiql/plugin-history/style.css";
import "graphiql/graphiql.css";
import "./page.css";
