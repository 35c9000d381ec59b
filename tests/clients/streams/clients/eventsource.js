import { EventSource } from "eventsource";

export function follow({ address, token, since }, heard) {
  const source = new EventSource(`${address}/api/events?since=${since}`, {
    fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, ...(token && { Authorization: `Bearer ${token}` }) } }),
  });
  source.onmessage = ({ data, lastEventId }) => {
    const said = JSON.parse(data);
    if (said.type === "error") return heard.failed(said.code);
    if (said.type === "reset") return heard.failed("reset");
    if (said.type === "connected") return undefined;
    return heard.event({ id: lastEventId, type: said.type.replace("post.", "").toUpperCase() });
  };
  source.onerror = ({ code }) => (source.readyState === source.CLOSED ? heard.failed(code) : heard.closed(code ?? null));
}
