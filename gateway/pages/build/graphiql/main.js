import "./style.js";
import "./workers.js";
import { GraphiQL, HISTORY_PLUGIN } from "graphiql";
import { createElement } from "react";
import { createRoot } from "react-dom/client";
import { fetcher } from "./fetcher.js";
import { tabs } from "./tabs.js";

const home = createElement("a", { className: "graphiql-logo-link", href: "/" }, "Dovetail");
const logo = createElement(GraphiQL.Logo, null, home);
const options = { fetcher, defaultTabs: tabs, defaultEditorToolsVisibility: true, plugins: [HISTORY_PLUGIN] };

createRoot(document.getElementById("graphiql")).render(createElement(GraphiQL, options, logo));
