// <stdin>
import assert from "node:assert/strict";
import cookie from "@fastify/cookie";
import jwt from "@fastify/jwt";
import Fastify from "fastify";
import websock, { typed } from "fastify-websock";
import { connect } from "fastify-websock/testing";
import { Type } from "typebox";
var app = Fastify().withTypeProvider();
await app.register(websock);
await app.register(cookie);
await app.register(jwt, {
  secret: "a secret of at least 32 characters, from the environment",
  cookie: { cookieName: "token", signed: false }
});
app.get("/ws", {
  onRequest: async (request) => {
    await request.jwtVerify();
  },
  schema: {
    websocket: {
      receive: Type.Object({ event: Type.Literal("whoami") }),
      send: Type.Object({ event: Type.Literal("you"), user: Type.String() }),
      info: typed()
    }
  },
  websocketHandler: {
    init({ request }, ws) {
      const { sub, exp } = request.user;
      ws.postAfter("expired", Math.min(Math.max(0, exp * 1e3 - Date.now()), 2147483647));
      return ws.ok({ user: sub });
    },
    handleIn: (_message, { user }, ws) => ws.push({ event: "you", user }),
    handleInfo: (_expired, _state, ws) => ws.stop("normal", [4403, "the session has expired"])
  }
});
var refused = await connect(app, "/ws");
assert.equal(refused.refused?.statusCode, 401);
var token = app.jwt.sign({ sub: "ann" }, { expiresIn: "2s" });
var ann = await connect(app, "/ws", { headers: { cookie: `token=${token}` } });
ann.send({ event: "whoami" });
assert.deepEqual(await ann.next(), { event: "you", user: "ann" });
assert.deepEqual(await ann.closed, { code: 4403, reason: "the session has expired" });
await app.close();
