// Print the breaking changes between two releases: `node breaking.js OLD NEW`, two folders that each have a
// schema.graphql and an openapi.json. The output is a JSON list of pairs: location and message.
//
// A location is a path in the schema, such as `Post.excerpt`, or an operation, such as `GET /api/posts`.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import { CriticalityLevel, diff as schemaChanges } from "@graphql-inspector/core";
import { buildSchema } from "graphql";

const require = createRequire(import.meta.url);
const { dereferenceOpenApi } = require("@useoptic/openapi-io");
const { diff: documentChanges } = require("@useoptic/openapi-utilities");
const { RuleRunner } = require("@useoptic/rulesets-base");
const { BreakingChangesRuleset } = require("@useoptic/standard-rulesets");

async function findGraphQLChanges(before, after) {
  const [old, next] = [before, after].map((folder) => buildSchema(readFileSync(`${folder}/schema.graphql`, "utf8")));
  return (await schemaChanges(old, next))
    .filter((change) => change.criticality.level === CriticalityLevel.Breaking)
    .map((change) => [change.path, change.message]);
}

async function findOpenApiChanges(before, after) {
  const read = async (folder) => (await dereferenceOpenApi(`${folder}/openapi.json`)).jsonLike;
  const [fromSpec, toSpec] = [await read(before), await read(after)];
  const compared = { context: {}, diffs: documentChanges(fromSpec, toSpec), fromSpec, toSpec };
  const results = await new RuleRunner([new BreakingChangesRuleset()]).runRules(compared);
  return results
    .filter((result) => !result.passed && !result.exempted)
    .map(({ where, error }) => [where.split(" ").slice(0, 2).join(" "), `${where}: ${error}`]);
}

const folders = process.argv.slice(2);
console.log(JSON.stringify([...(await findGraphQLChanges(...folders)), ...(await findOpenApiChanges(...folders))]));
