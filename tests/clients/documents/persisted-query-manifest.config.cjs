module.exports = { documents: ["apollo/*.js"], output: "persisted-query-manifest.json" };
