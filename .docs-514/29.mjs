// <stdin>
import assert from "node:assert/strict";
import Fastify from "fastify";
import websock, { topic } from "fastify-websock";
import { connect } from "fastify-websock/testing";
import { Type } from "typebox";
var Notice = Type.Object({ event: Type.Literal("notice"), text: Type.String() });
var user = (id) => topic(`user ${id}`);
var app = Fastify().withTypeProvider();
await app.register(websock);
app.get("/ws", {
  schema: {
    querystring: Type.Object({ id: Type.String() }),
    websocket: { send: Notice }
  },
  websocketHandler: {
    init({ query }, ws) {
      ws.subscribe(user(query.id));
    }
  }
});
app.post("/notices/:id", {
  schema: {
    params: Type.Object({ id: Type.String() }),
    body: Type.Object({ text: Type.String({ maxLength: 500 }) })
  }
}, async ({ params, body }, reply) => {
  app.websock.broadcast(user(params.id), { event: "notice", text: body.text });
  return reply.code(202).send();
});
var phone = await connect(app, "/ws?id=ann");
var laptop = await connect(app, "/ws?id=ann");
var answer = await app.inject({ method: "POST", url: "/notices/ann", body: { text: "hello" } });
assert.equal(answer.statusCode, 202);
assert.deepEqual(await phone.next(), { event: "notice", text: "hello" });
assert.deepEqual(await laptop.next(), { event: "notice", text: "hello" });
await app.close();
