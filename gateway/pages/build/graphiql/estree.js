// In place of Prettier's 220 kB ESTree printer and 320 kB Babel parser, which GraphiQL loads only to lay out the JSON of
// its variables and headers: the same two slots, filled by the JSON formatter that is in the bundle already.
import { applyEdits, format } from "jsonc-parser";

export const parsers = {
  jsonc: { astFormat: "dovetail-json", locStart: () => 0, locEnd: (text) => text.length, parse: (text) => ({ text }) },
};

export const printers = { "dovetail-json": { print: (path) => laidOut(path.node.text) } };

const laidOut = (text) => applyEdits(text, format(text, undefined, { tabSize: 2, insertSpaces: true }));
