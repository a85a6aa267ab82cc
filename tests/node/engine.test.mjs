// engine.io-client against the Engine.IO echo app.

import assert from "node:assert/strict";
import { Socket } from "engine.io-client";
import { FINAL_TRANSPORT, TRANSPORT, TRANSPORTS, URL_UNDER_TEST, bytes, cleanUp, once, request, test, until, within } from "./helpers.mjs";

async function open() {
  const socket = new Socket(URL_UNDER_TEST, { path: "/engine.io/", transports: TRANSPORTS[TRANSPORT] });
  socket.binaryType = "nodebuffer";
  cleanUp(() => socket.close());
  socket.received = [];
  socket.on("message", (message) => socket.received.push(message));
  socket.on("close", (reason) => (socket.closeReason = reason));
  await once(socket, "open");
  return socket;
}

async function receive(socket, count) {
  const enough = () => socket.received.length >= count;
  await until(() => enough() || socket.closeReason, `${count} messages`);
  assert.ok(enough(), `${socket.received.length} of ${count} messages, then closed: ${socket.closeReason}`);
  return socket.received.splice(0, count);
}

test("opens on the chosen transport", async () => {
  const socket = await open();
  await until(() => socket.transport.name === FINAL_TRANSPORT, FINAL_TRANSPORT);
  assert.match(socket.id, /^[\w-]{16,}$/);
});

test("text and binary come back as they went", async () => {
  const socket = await open();
  const messages = ["hello", "é€😀", bytes(300), bytes(0), "2probe", bytes(70_000), "x".repeat(500_000)];
  for (const message of messages) socket.send(message);
  assert.deepEqual(await receive(socket, messages.length), messages);
});

test("1,000 messages stay in order through the upgrade", async () => {
  const socket = await open();
  const messages = Array.from({ length: 1000 }, (_, i) => (i % 5 ? `message ${i}` : bytes(i % 256)));
  for (const message of messages) socket.send(message);
  assert.deepEqual(await receive(socket, 1000), messages);
});

test("messages that flow during the upgrade are neither lost nor doubled", async () => {
  const socket = await open();
  for (let i = 0; i < 200; i++) {
    socket.send(String(i));
    if (i % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  assert.deepEqual(
    await receive(socket, 200),
    Array.from({ length: 200 }, (_, i) => String(i)),
  );
  assert.deepEqual(socket.received, []);
});

test("close by the client ends the session", async () => {
  const socket = await open();
  const { id } = socket;
  socket.close();
  const gone = until(async () => {
    const disconnects = JSON.parse(await request("/disconnects"));
    return disconnects.find((entry) => entry.sid === id);
  }, "on_disconnect ran");
  const entry = await within(5_000, gone, "on_disconnect ran");
  assert.match(entry.reason, /^(client disconnect|transport close)$/);
});

test("close by the server reaches the client", async () => {
  const socket = await open();
  const closed = once(socket, "close");
  assert.equal(await request(`/close/${socket.id}`, "POST"), "ok");
  assert.equal((await closed)[0], "transport close");
});

test("an idle session lives through many heartbeats", async () => {
  const socket = await open();
  let pings = 0;
  socket.on("heartbeat", () => (pings += 1));
  await until(() => pings >= 3, "three heartbeats");
  socket.send("still here");
  assert.deepEqual(await receive(socket, 1), ["still here"]);
});
