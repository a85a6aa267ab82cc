// socket.io-client with much data and many clients.

import assert from "node:assert/strict";
import { bytes, call, client, newClient, sha1, test } from "./helpers.mjs";

const range = (length) => Array.from({ length }, (_, i) => i);

test("2 MB of binary in both directions", async () => {
  const socket = await client();
  const data = bytes(2_000_000);
  const [described] = await call(socket, "describe", data);
  assert.deepEqual(described, { t: "binary", len: data.length, sha1: sha1(data) });
  socket.emit("big-binary", 2_000_000);
  const [event, back] = await socket.events.next();
  assert.equal(event, "big-back");
  assert.equal(sha1(back), sha1(Buffer.alloc(2_000_000, 7)));
  assert.equal(sha1(await call(socket, "echo-ack", data)), sha1(data));
});

test("2 MB of text in both directions", async () => {
  const socket = await client();
  const text = "é".repeat(1_000_000);
  const [described] = await call(socket, "describe", text);
  assert.deepEqual(described, { t: "string", len: text.length, sha1: sha1(text) });
  socket.emit("big", 2_000_000);
  assert.deepEqual(await socket.events.next(), ["big-back", "x".repeat(2_000_000)]);
});

test("a burst of 1,000 arrives in order", async () => {
  const socket = await client();
  socket.emit("burst", 1000);
  assert.deepEqual(
    await socket.events.take(1000),
    range(1000).map((i) => ["burst-item", i]),
  );
});

test("1,000 events of a client are handled in order", async () => {
  const socket = await client();
  for (const i of range(1000)) socket.emit("echo", i);
  assert.deepEqual(
    await socket.events.take(1000),
    range(1000).map((i) => ["echo-back", i]),
  );
});

test("300 acks at once find their way", async () => {
  const socket = await client();
  const answers = await Promise.all(range(300).map((i) => call(socket, "echo-ack", i)));
  assert.deepEqual(answers, range(300));
});

test("parallel clients do not mix", async () => {
  const sockets = await Promise.all(range(20).map(() => client()));
  await Promise.all(
    sockets.map(async (socket, number) => {
      for (const i of range(50)) socket.emit("echo", number, i, i % 10 ? "text" : bytes(100));
      for (const i of range(50)) {
        assert.deepEqual(await socket.events.next(), ["echo-back", number, i, i % 10 ? "text" : bytes(100)]);
      }
      assert.deepEqual(await call(socket, "whoami"), { sid: socket.id, nsp: "/" });
    }),
  );
  assert.equal(new Set(sockets.map((socket) => socket.id)).size, 20);
});

test("100 clients in ten rooms", async () => {
  const sockets = await Promise.all(range(100).map(() => client()));
  const name = (i) => `${sockets[0].id}-${i % 10}`;
  await Promise.all(sockets.map(async (socket, i) => assert.equal(await call(socket, "join", name(i)), "ok")));
  for (const i of range(10)) sockets[i].emit("to-room", name(i), i);
  await Promise.all(
    sockets.map(async (socket, i) => assert.deepEqual(await socket.events.next(), ["room-msg", i % 10])),
  );
  sockets[0].emit("broadcast", bytes(50));
  await Promise.all(
    sockets.map(async (socket) => assert.deepEqual(await socket.events.next(), ["broadcast-msg", bytes(50)])),
  );
  for (const socket of sockets) assert.deepEqual(socket.events.received, []);
});

test("clients that come and go leave nothing behind", async () => {
  const observer = await client();
  for (const round of range(3)) {
    const sockets = await Promise.all(range(10).map(() => client()));
    const answers = await Promise.all(sockets.map((socket) => call(socket, "echo-ack", round)));
    assert.deepEqual(answers, Array(10).fill(round));
    for (const socket of sockets) socket.disconnect();
    const impatient = range(10).map(() => newClient());
    for (const socket of impatient) socket.disconnect();
  }
  assert.equal(await call(observer, "echo-ack", "alive"), "alive");
});
