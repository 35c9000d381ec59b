// Builds the pages into ../html, ../static (gzipped) and ../LICENCES.txt, where the server reads them.
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { build } from "vite";

const NOTICES = ["monaco-editor/ThirdPartyNotices.txt", "swagger-ui-dist/NOTICE", "swagger-ui-dist/swagger-ui-es-bundle.js.LICENSE.txt"];

await build({ logLevel: "warn" });
await replaceFolders("../html", "../static");

const licences = await Promise.all(["out/licences.md", ...NOTICES.map((path) => `node_modules/${path}`)].map(text));
await writeFile("../LICENCES.txt", licences.map((part) => part.trim().replaceAll(/[ \t\r]+$/gm, "")).join("\n\n\n") + "\n");

let total = 0;
for (const name of (await readdir("out")).filter((name) => name !== "licences.md")) {
  total += await place(name);
}
await rm("out", { recursive: true });
console.log(`${(total / 1e6).toFixed(2)} MB of assets, gzipped`);

async function place(name) {
  const content = await readFile(`out/${name}`);
  if (name.endsWith(".html")) {
    await writeFile(`../html/${name}`, content);
    return 0;
  }
  const packed = gzipSync(content, { level: 9 });
  await writeFile(`../static/${name}.gz`, packed);
  return packed.length;
}

async function replaceFolders(...paths) {
  for (const path of paths) {
    await rm(path, { recursive: true, force: true });
    await mkdir(path);
  }
}

function text(path) {
  return readFile(path, "utf8");
}
