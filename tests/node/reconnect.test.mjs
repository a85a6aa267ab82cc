// socket.io-client when the network fails.

import assert from "node:assert/strict";
import {
  CuttingProxy,
  URL_UNDER_TEST,
  assertNothingWaits,
  call,
  client,
  connected,
  disconnectOf,
  newClient,
  test,
  until,
} from "./helpers.mjs";

/** Cut until the client has noticed: a cut between two polls goes unnoticed. */
async function cutOff(proxy, socket) {
  let reason;
  socket.once("disconnect", (why) => (reason = why));
  await until(() => {
    proxy.cut();
    return reason;
  }, "the client notices the cut");
  return reason;
}

test("a client comes back after the connection was cut", async () => {
  const observer = await client();
  const proxy = await CuttingProxy.to(URL_UNDER_TEST);
  const socket = await client({ url: proxy.url });
  const { id } = socket;
  assert.equal(await call(socket, "join", "kept-room"), "ok");

  assert.match(await cutOff(proxy, socket), /^transport (close|error)$/);
  assert.equal(socket.active, true);
  await connected(socket);

  assert.notEqual(socket.id, id);
  assert.deepEqual(await socket.events.next(), ["auth", {}]);
  socket.emit("to-room", "kept-room", "rooms do not outlive a connection");
  await assertNothingWaits(socket);
  const { reason } = await disconnectOf(observer, id);
  assert.match(reason, /^((client|server) disconnect|transport (close|error)|ping timeout)$/);
});

test("what is emitted while the connection is down arrives later, in order", async () => {
  const proxy = await CuttingProxy.to(URL_UNDER_TEST);
  const socket = await client({ url: proxy.url });
  await cutOff(proxy, socket);
  for (let i = 0; i < 10; i++) socket.emit("echo", i);
  assert.deepEqual(await socket.events.next(), ["auth", {}]);
  const expected = Array.from({ length: 10 }, (_, i) => ["echo-back", i]);
  assert.deepEqual(await socket.events.take(10), expected);
});

test("every namespace comes back", async () => {
  const proxy = await CuttingProxy.to(URL_UNDER_TEST);
  const main = await client({ url: proxy.url });
  const a = main.io.socket("/a");
  await connected(a);
  const ids = [main.id, a.id];
  await cutOff(proxy, main);
  await Promise.all([connected(main), until(() => a.connected && a.id !== ids[1], "/a is back")]);
  assert.notEqual(main.id, ids[0]);
  assert.deepEqual(await call(a, "whoami"), { sid: a.id, nsp: "/a" });
});

test("a connection that dies again and again ends well", async () => {
  const proxy = await CuttingProxy.to(URL_UNDER_TEST);
  const socket = await client({ url: proxy.url });
  for (let round = 0; round < 3; round++) {
    await cutOff(proxy, socket);
    await until(() => socket.connected, "the client is back");
    assert.equal(await call(socket, "echo-ack", round), round);
  }
});

test("a client that is cut off while it connects tries again", async () => {
  const proxy = await CuttingProxy.to(URL_UNDER_TEST);
  const socket = newClient({ url: proxy.url });
  for (let round = 0; round < 5; round++) {
    proxy.cut();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await until(() => socket.connected, "the client is connected");
  assert.equal(await call(socket, "echo-ack", 1), 1);
});
