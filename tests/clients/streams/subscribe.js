// One follower: `node subscribe.js CLIENT OPTIONS`. Each line that it prints is JSON: what happened, and more of it.
//
//   {"event": {"id", "type"}}    something that the log told of
//   {"closed": CODE}             the connection ended; the client may come back by itself
//   {"failed": CODE or text}     the client gave up
//
// Options: address, token, since, and `wait`, the milliseconds until a client comes back, where it can be told; null
// for never.
const [client, given] = process.argv.slice(2);
const { follow } = await import(`./clients/${client}.js`);

follow(JSON.parse(given), {
  event: ({ id, type }) => say({ event: { id: Number(id), type } }),
  closed: (code) => say({ closed: code }),
  failed: (code) => say({ failed: code }),
});

function say(what) {
  console.log(JSON.stringify(what));
}
