import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const ours = (path) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  base: "/assets/",
  resolve: {
    alias: [
      { find: "monaco-graphql/esm/monaco-editor.js", replacement: ours("graphiql/monaco.js") },
      { find: /^prettier\/(plugins\/estree|parser-babel)$/, replacement: ours("graphiql/estree.js") },
    ],
  },
  build: {
    outDir: "out",
    assetsDir: "",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
    chunkSizeWarningLimit: 4000,
    license: { fileName: "licences.md" },
    rolldownOptions: {
      input: ["landing.html", "graphiql.html", "docs.html"].map(ours),
      checks: { moduleLevelDirective: false }, // "use client" in React libraries
      output: { codeSplitting: { groups: [{ name: "monaco", test: /node_modules\/monaco-/ }] } },
    },
  },
  worker: { format: "es" },
});
