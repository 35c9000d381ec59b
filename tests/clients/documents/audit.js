// graphql-http's audits of a server: `node audit.js ADDRESS` prints each of them, as JSON.
import { auditServer } from "graphql-http";

const [address] = process.argv.slice(2);
const results = await auditServer({ url: address, fetchFn: fetch });
console.log(JSON.stringify(results.map(({ id, name, status, reason }) => ({ id, name, status, reason }))));
