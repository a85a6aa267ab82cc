// socket.io-client against the contract app: every event, namespaces, acks, rooms, disconnects.

import assert from "node:assert/strict";
import {
  FINAL_TRANSPORT,
  assertNothingWaits,
  bytes,
  call,
  client,
  connected,
  disconnectOf,
  newClient,
  once,
  oneOnEach,
  request,
  sha1,
  test,
  until,
} from "./helpers.mjs";

test("connects on the chosen transport", async () => {
  const socket = await client();
  await until(() => socket.io.engine.transport.name === FINAL_TRANSPORT, FINAL_TRANSPORT);
  assert.deepEqual(await call(socket, "whoami"), { sid: socket.id, nsp: "/" });
  assert.notEqual(socket.id, socket.io.engine.id);
});

test("the event auth follows connect, with what the client sent", async () => {
  const auth = { token: "t", deep: [1, { n: null }] };
  const socket = await client({ auth });
  assert.equal(socket.events.received.length, 0);
});

test("several namespaces share a connection", async () => {
  const main = await client();
  const sockets = ["/a", "/b", "/custom"].map((name) => main.io.socket(name));
  await Promise.all(sockets.map((socket) => once(socket, "auth")));
  assert.equal(new Set([main.id, ...sockets.map((socket) => socket.id)]).size, 4);
  for (const socket of sockets.slice(0, 2)) {
    assert.deepEqual(await call(socket, "whoami"), { sid: socket.id, nsp: socket.nsp });
  }
  sockets[0].disconnect();
  assert.equal(await call(sockets[1], "echo-ack", "b"), "b");
  assert.equal(await call(main, "echo-ack", "main"), "main");
});

test("an unknown namespace is refused with a message", async () => {
  const socket = newClient({ namespace: "/random" });
  const [error] = await once(socket, "connect_error");
  assert.equal(error.message, "Invalid namespace");
  assert.equal(error.data, undefined);
});

test("a refusal carries message and data, and a second try can succeed", async () => {
  const socket = newClient({ namespace: "/auth", auth: { token: "wrong" } });
  const [error] = await once(socket, "connect_error");
  assert.equal(error.message, "not authorized");
  assert.deepEqual(error.data, { code: 42 });
  assert.equal(socket.connected, false);
  assert.deepEqual(socket.events.received, []);

  socket.auth = { token: "secret" };
  socket.connect();
  await connected(socket);
  assert.deepEqual(await socket.events.next(), ["auth", { token: "secret" }]);
  assert.equal(await call(socket, "echo-ack", 1), 1);
});

test("message and echo give back what they get", async () => {
  const socket = await client();
  const values = [[], ["héllo 😀 \u2028"], [1, "2", { 3: [true, null] }], [null], [[1, [2, []]]], [0, false, ""]];
  for (const args of values) {
    socket.emit("message", ...args);
    assert.deepEqual(await socket.events.next(), ["message-back", ...args]);
    socket.emit("echo", ...args);
    assert.deepEqual(await socket.events.next(), ["echo-back", ...args]);
  }
});

test("binary comes back as binary, wherever it is", async () => {
  const socket = await client();
  const data = bytes(300);
  for (const args of [[data], [{ a: data, b: [Buffer.alloc(0), { c: data }] }, "text", data]]) {
    socket.emit("echo", ...args);
    assert.deepEqual(await socket.events.next(), ["echo-back", ...args]);
    const back = await new Promise((resolve) => socket.emit("echo-ack", ...args, (...values) => resolve(values)));
    assert.deepEqual(back, args);
  }
  socket.emit("make-binary", 300);
  assert.deepEqual(await socket.events.next(), ["binary", { a: data, b: [data, { c: data }], n: 300 }]);
});

test("acks carry any number of values", async () => {
  const socket = await client();
  for (const args of [[], [1], ["a", { b: [null] }], [[1, 2]], [null]]) {
    for (const event of ["echo-ack", "message-with-ack"]) {
      const back = await new Promise((resolve) => socket.emit(event, ...args, (...values) => resolve(values)));
      assert.deepEqual(back, args);
    }
  }
});

test("emitWithAck resolves", async () => {
  const socket = await client();
  assert.equal(await call(socket, "ack-delay", 100, "late"), "late");
  const [first, second] = await Promise.all([call(socket, "echo-ack", 1), call(socket, "echo-ack", 2)]);
  assert.deepEqual([first, second], [1, 2]);
});

test("timeout().emit gives an error where nobody acks", async () => {
  const socket = await client();
  for (const event of ["no-such-event", "raise"]) {
    const error = await new Promise((resolve) => socket.timeout(300).emit(event, resolve));
    assert.match(error.message, /timed out/);
  }
  const [error, value] = await new Promise((resolve) =>
    socket.timeout(10_000).emit("echo-ack", 7, (...result) => resolve(result)),
  );
  assert.deepEqual([error, value], [null, 7]);
});

test("what arrives is what was sent, to the last byte", async () => {
  const socket = await client();
  const text = "aé€😀\u2028";
  const data = bytes(1000);
  assert.deepEqual(await call(socket, "describe", null, true, 1.5, text, data, [1], { k: "v" }), [
    { t: "null" },
    { t: "bool", v: true },
    { t: "number", v: 1.5 },
    { t: "string", len: text.length, sha1: sha1(text) },
    { t: "binary", len: 1000, sha1: sha1(data) },
    { t: "array", v: [1] },
    { t: "object", v: { k: "v" } },
  ]);
});

test("the server's callbacks get what the client answers", async () => {
  const socket = await client();
  const answers = [[], ["one"], [1, { two: 2 }], [bytes(10), "text"]];
  for (const answer of answers) {
    socket.once("request", (value, acknowledge) => {
      assert.deepEqual(value, { q: 1 });
      acknowledge(...answer);
    });
    socket.emit("call-me", { q: 1 });
    assert.equal((await socket.events.next())[0], "request");
    assert.deepEqual(await socket.events.next(), ["call-result", ...answer]);
  }
});

test("a slow handler holds back nobody else", async () => {
  const [slow, ...others] = await oneOnEach();
  let done = false;
  const late = call(slow, "ack-delay", 1500, "late").then((value) => {
    done = true;
    return value;
  });
  for (const socket of others) assert.equal(await call(socket, "echo-ack", 1), 1);
  assert.equal(done, false);
  assert.equal(await late, "late");
});

test("rooms reach their members on every transport", async () => {
  const [sender, ...others] = await oneOnEach();
  const everyone = [sender, ...others];
  const room = `room-${sender.id}`;
  for (const socket of everyone) assert.equal(await call(socket, "join", room), "ok");

  sender.emit("to-room", room, { data: bytes(10) });
  for (const socket of everyone) {
    assert.deepEqual(await socket.events.next(), ["room-msg", { data: bytes(10) }]);
  }
  sender.emit("to-room-others", room, "others");
  for (const socket of others) assert.deepEqual(await socket.events.next(), ["room-msg", "others"]);
  await assertNothingWaits(sender);

  const leaver = others.at(-1);
  assert.equal(await call(leaver, "leave", room), "ok");
  sender.emit("to-room", room, "left");
  for (const socket of everyone.filter((socket) => socket !== leaver)) {
    assert.deepEqual(await socket.events.next(), ["room-msg", "left"]);
  }
  assert.equal(await call(sender, "close-room", room), "ok");
  sender.emit("to-room", room, "closed");
  await assertNothingWaits(...everyone);
});

test("a broadcast reaches everyone as it was sent", async () => {
  const sockets = await oneOnEach();
  for (const value of ["text", bytes(100), { deep: [bytes(3), { more: bytes(0) }] }]) {
    sockets[0].emit("broadcast", value);
    for (const socket of sockets) assert.deepEqual(await socket.events.next(), ["broadcast-msg", value]);
  }
  await assertNothingWaits(...sockets);
});

test("an HTTP route emits to all of the main namespace", async () => {
  const sockets = await oneOnEach();
  const other = sockets[0].io.socket("/a");
  const strays = [];
  other.onAny((event) => strays.push(event));
  await once(other, "auth");
  await request("/emit?event=from-http&data=D%C3%A9");
  for (const socket of sockets) assert.deepEqual(await socket.events.next(), ["from-http", "Dé"]);
  assert.equal(await call(other, "echo-ack", 1), 1);
  assert.deepEqual(strays, ["auth"]);
});

test("disconnect by the client is told apart", async () => {
  const [socket, observer] = await oneOnEach();
  const { id } = socket;
  socket.disconnect();
  assert.deepEqual(await disconnectOf(observer, id), { sid: id, nsp: "/", reason: "client disconnect" });
});

test("disconnect by the server is final for the client", async () => {
  const [socket, observer] = await oneOnEach();
  const { id } = socket;
  socket.emit("disconnect-me");
  const [reason] = await once(socket, "disconnect");
  assert.equal(reason, "io server disconnect");
  assert.equal(socket.active, false);
  assert.deepEqual(await disconnectOf(observer, id), { sid: id, nsp: "/", reason: "server disconnect" });

  socket.connect();
  await connected(socket);
  assert.notEqual(socket.id, id);
});

test("what is sent before the connection is closed arrives, wherever the upgrade has got to", async () => {
  const closings = Array.from({ length: 20 }, async (_, milliseconds) => {
    const socket = await client({ reconnection: false });
    socket.emit("close-me", milliseconds / 1000);
    const [reason] = await once(socket, "disconnect");
    assert.match(reason, /^transport close$/);
    assert.deepEqual(socket.events.received, [["goodbye"]]);
  });
  await Promise.all(closings);
});

test("one namespace can go and come back while the other stays", async () => {
  const main = await client();
  const a = main.io.socket("/a");
  await once(a, "auth");
  const { id } = a;
  a.emit("disconnect-me");
  assert.deepEqual((await once(a, "disconnect"))[0], "io server disconnect");
  assert.equal(await call(main, "echo-ack", "still here"), "still here");
  a.connect();
  await once(a, "auth");
  assert.notEqual(a.id, id);
  a.disconnect().connect();
  await once(a, "auth");
  assert.equal(await call(a, "echo-ack", 1), 1);
});

test("what is emitted before connect arrives after it, in order", async () => {
  const socket = newClient();
  for (let i = 0; i < 20; i++) socket.emit("echo", i);
  assert.deepEqual(await socket.events.next(), ["auth", {}]);
  const expected = Array.from({ length: 20 }, (_, i) => ["echo-back", i]);
  assert.deepEqual(await socket.events.take(20), expected);
});

test("volatile events arrive while the connection is up", async () => {
  const socket = await client();
  await until(async () => {
    socket.volatile.emit("echo", "now");
    await call(socket, "echo-ack", 1);
    return socket.events.received.length > 0;
  }, "a volatile event comes back");
  assert.deepEqual(await socket.events.next(), ["echo-back", "now"]);

  const idle = newClient({ autoConnect: false });
  idle.volatile.emit("echo", "dropped");
  idle.connect();
  await connected(idle);
  assert.deepEqual(await idle.events.next(), ["auth", {}]);
  await assertNothingWaits(idle);
});

test("an idle client stays connected through the heartbeat", async () => {
  const socket = await client();
  const { id } = socket;
  await once(socket.io.engine, "ping");
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.deepEqual(await call(socket, "whoami"), { sid: id, nsp: "/" });
});
