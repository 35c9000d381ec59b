// One by one, because `graphiql/style.css` brings 400 kB of fonts along; Monaco's own sheets come with its modules.
import "@graphiql/react/style.css";
import "@graphiql/plugin-doc-explorer/style.css";
import "@graphiql/plugin-history/style.css";
import "graphiql/graphiql.css";
import "./page.css";
