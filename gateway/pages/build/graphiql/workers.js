import EditorWorker from "monaco-editor/esm/vs/editor/editor.worker.js?worker";
import JsonWorker from "monaco-editor/esm/vs/language/json/json.worker.js?worker";
import GraphQLWorker from "monaco-graphql/esm/graphql.worker.js?worker";

const workers = { graphql: GraphQLWorker, json: JsonWorker };

globalThis.MonacoEnvironment = { getWorker: (_, label) => new (workers[label] ?? EditorWorker)() };
