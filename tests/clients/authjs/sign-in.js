// Signs people in as front ends do: `node sign-in.js REQUESTS` prints, for each of a list, the cookies that came of it.
//
//   {"user", "secret", "secure"}                  Auth.js itself answers a sign-in; the cookies are those that it sets
//   {"user", "secret", "named": true}             the same with the callback of docs/authentication.md
//   {"token", "secret", "salt", "name", "maxAge"} only its `encode`, for cookies that no sign-in would set
//   {"token", "secret", "version": 4}             the same of NextAuth.js 4
import { createRequire } from "node:module";
import { Auth, skipCSRFCheck } from "@auth/core";
import { encode } from "@auth/core/jwt";
import Credentials from "@auth/core/providers/credentials";

const { encode: encodeOld } = createRequire(import.meta.url)("next-auth/jwt");
const NAME = "authjs.session-token";
const OLD_NAME = "next-auth.session-token";

const callbacks = {
  jwt({ token, account }) {
    if (account) token.sub = `${account.provider}:${account.providerAccountId}`;
    return token;
  },
};

async function signIn({ user, secret, secure = false, named = false }) {
  const response = await Auth(
    new Request("https://www.example.com/auth/callback/credentials", { method: "POST", body: new URLSearchParams() }),
    {
      secret,
      skipCSRFCheck,
      trustHost: true,
      basePath: "/auth",
      useSecureCookies: secure,
      session: { strategy: "jwt" },
      providers: [Credentials({ authorize: () => user })],
      ...(named && { callbacks }),
    },
  );
  const set = response.headers.getSetCookie().map((line) => line.split(";")[0].split("="));
  return Object.fromEntries(set.filter(([name]) => name.includes("session-token")));
}

async function cookiesOf(asked) {
  if (asked.user) return signIn(asked);
  if (asked.version === 4) return { [OLD_NAME]: await encodeOld(asked) };
  const { name = NAME, salt = name, ...rest } = asked;
  return { [name]: await encode({ ...rest, salt }) };
}

const requests = JSON.parse(process.argv[2]);
console.log(JSON.stringify(await Promise.all(requests.map(cookiesOf))));
