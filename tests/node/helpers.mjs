// What the test files share. The server under test is in the environment:
//   SERVER_URL  where tests/apps/contract.py (or engine_echo.py for engine.test.mjs) listens
//   TRANSPORT   polling, websocket or upgrade
//   SERIALIZER  msgpack for socket.io-msgpack-parser
//   WEBSOCKET   0 where the server has none
//   LEAVE_OUT   names of tests that are not to be run, a JSON array

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import http from "node:http";
import https from "node:https";
import net from "node:net";
import { afterEach, test as nodeTest } from "node:test";
import { io } from "socket.io-client";
import msgpackParser from "socket.io-msgpack-parser";

export const URL_UNDER_TEST = process.env.SERVER_URL ?? "http://127.0.0.1:5000";
export const TRANSPORT = process.env.TRANSPORT ?? "upgrade";
export const TRANSPORTS = {
  polling: ["polling"],
  websocket: ["websocket"],
  upgrade: ["polling", "websocket"],
};
export const FINAL_TRANSPORT = TRANSPORT === "polling" || process.env.WEBSOCKET === "0" ? "polling" : "websocket";
const PARSER = process.env.SERIALIZER === "msgpack" ? { parser: msgpackParser } : {};
const LEAVE_OUT = JSON.parse(process.env.LEAVE_OUT ?? "[]");
const PATIENCE = 10_000;

const cleanups = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

export function cleanUp(callback) {
  cleanups.push(callback);
}

/** A test that fails when it takes too long. */
export function test(name, body) {
  if (LEAVE_OUT.includes(name)) return;
  nodeTest(name, { timeout: 25_000 }, body);
}

export function within(milliseconds, promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${milliseconds} ms: ${what}`)), milliseconds);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export async function until(condition, what, milliseconds = PATIENCE) {
  const deadline = Date.now() + milliseconds;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`not within ${milliseconds} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export function once(emitter, event, milliseconds = PATIENCE) {
  const arrived = new Promise((resolve) => emitter.once(event, (...args) => resolve(args)));
  return within(milliseconds, arrived, `event ${event}`);
}

/** The body of the app's answer, over a connection that is used once: some servers close theirs without saying so. */
export function request(path, method = "GET") {
  const url = new URL(URL_UNDER_TEST + path);
  const client = url.protocol === "https:" ? https : http;
  const answered = new Promise((resolve, reject) => {
    const asked = client.request(url, { method, agent: false }, (reply) => {
      const chunks = [];
      reply.on("data", (chunk) => chunks.push(chunk));
      reply.on("error", reject);
      reply.on("end", () => {
        const body = Buffer.concat(chunks).toString();
        if (reply.statusCode === 200) resolve(body);
        else reject(new Error(`${reply.statusCode}: ${body}`));
      });
    });
    asked.on("error", reject);
    asked.end();
  });
  return within(PATIENCE, answered, path);
}

/** The events of a socket, in order, to be asked for one by one. */
export class Events {
  constructor(socket) {
    this.received = [];
    this.waiting = [];
    socket.onAny((...event) => {
      const waiter = this.waiting.shift();
      if (waiter) waiter(event);
      else this.received.push(event);
    });
  }

  next(milliseconds = PATIENCE) {
    if (this.received.length) return Promise.resolve(this.received.shift());
    const arrived = new Promise((resolve) => this.waiting.push(resolve));
    return within(milliseconds, arrived, "next event");
  }

  async take(count) {
    const events = [];
    while (events.length < count) events.push(await this.next());
    return events;
  }
}

/** A socket that has not been waited for, with its events recorded from the beginning. */
export function newClient({ namespace = "/", url = URL_UNDER_TEST, transport = TRANSPORT, ...options } = {}) {
  const socket = io(url + namespace, {
    transports: TRANSPORTS[transport],
    forceNew: true,
    reconnectionDelay: 100,
    reconnectionDelayMax: 500,
    ...PARSER,
    ...options,
  });
  socket.events = new Events(socket);
  cleanUp(() => socket.io._close());
  return socket;
}

/** A connected socket, past the event "auth". */
export async function client(options = {}) {
  const socket = newClient(options);
  await connected(socket);
  assert.deepEqual(await socket.events.next(), ["auth", options.auth ?? {}]);
  return socket;
}

export function connected(socket) {
  if (socket.connected) return Promise.resolve();
  const result = new Promise((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("connect_error", reject);
  });
  return within(PATIENCE, result, "connect");
}

/** One client on every transport, or two that poll where the final transport is polling. */
export function oneOnEach() {
  const names = FINAL_TRANSPORT === "polling" ? ["polling", "polling"] : Object.keys(TRANSPORTS);
  return Promise.all(names.map((transport) => client({ transport })));
}

export function call(socket, event, ...args) {
  return socket.timeout(PATIENCE).emitWithAck(event, ...args);
}

/** Nothing is under way to these sockets: an ack that was asked for last is what arrives first. */
export async function assertNothingWaits(...sockets) {
  for (const socket of sockets) {
    assert.equal(await call(socket, "echo-ack", 1), 1);
    assert.deepEqual(socket.events.received, []);
  }
}

export async function disconnectOf(observer, sid) {
  return until(async () => {
    const entries = await call(observer, "last-disconnects");
    return entries.find((entry) => entry.sid === sid);
  }, `disconnect of ${sid}`);
}

export function sha1(data) {
  return createHash("sha1").update(data).digest("hex");
}

export function bytes(length) {
  return Buffer.from(Array.from({ length }, (_, i) => i % 256));
}

/** A TCP relay whose connections can be cut. */
export class CuttingProxy {
  static async to(url) {
    const proxy = new CuttingProxy();
    const target = new URL(url);
    proxy.sockets = new Set();
    proxy.server = net.createServer((near) => {
      const far = net.connect(target.port, target.hostname);
      near.pipe(far);
      far.pipe(near);
      for (const [socket, peer] of [[near, far], [far, near]]) {
        proxy.sockets.add(socket);
        socket.on("error", () => {});
        socket.on("close", () => {
          proxy.sockets.delete(socket);
          peer.destroy();
        });
      }
    });
    await new Promise((resolve) => proxy.server.listen(0, "127.0.0.1", resolve));
    proxy.url = `${new URL(url).protocol}//127.0.0.1:${proxy.server.address().port}`;
    cleanUp(() => {
      proxy.server.close();
      proxy.cut();
    });
    return proxy;
  }

  cut() {
    for (const socket of this.sockets) socket.destroy();
  }
}
