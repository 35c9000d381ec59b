// GraphiQL loads Prettier's ESTree printer (220 kB) and Babel parser (320 kB) only to format the JSON of variables and
// headers. This replaces both with the JSON formatter that is in the bundle already.
import { applyEdits, format } from "jsonc-parser";

export const parsers = {
  jsonc: { astFormat: "dovetail-json", locStart: () => 0, locEnd: (text) => text.length, parse: (text) => ({ text }) },
};

export const printers = { "dovetail-json": { print: (path) => laidOut(path.node.text) } };

const laidOut = (text) => applyEdits(text, format(text, undefined, { tabSize: 2, insertSpaces: true }));
