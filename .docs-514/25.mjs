// <stdin>
import assert from "node:assert/strict";
import Fastify from "fastify";
import websock from "fastify-websock";
import { connect } from "fastify-websock/testing";
var app = Fastify();
await app.register(websock);
app.get("/ws", {
  websocketHandler: {
    init: (_args, ws) => ws.push(ws.id, {})
  }
});
app.post("/kick/:id", async ({ params }) => ({
  kicked: app.websock.ref(params.id).close(4001, "kicked")
}));
var client = await connect(app, "/ws", { codec: "raw" });
var id = await client.next();
var answer = await app.inject({ method: "POST", url: `/kick/${String(id)}` });
assert.deepEqual(answer.json(), { kicked: true });
assert.deepEqual(await client.closed, { code: 4001, reason: "kicked" });
await app.close();
