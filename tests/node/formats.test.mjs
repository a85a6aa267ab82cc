// socket.io-client against tests/apps/formats.py: which values arrive as what. With SERIALIZER=msgpack the answers
// differ where MessagePack says more than JSON does.

import assert from "node:assert/strict";
import { bytes, call, connected, newClient, test } from "./helpers.mjs";

const MSGPACK = process.env.SERIALIZER === "msgpack";
const MOMENT = 1_700_000_000_123;
const DAY = 1_699_920_000_000;

async function client() {
  const socket = newClient();
  await connected(socket);
  return socket;
}

/** What Python says of the values. */
function show(socket, ...values) {
  return call(socket, "show", ...values);
}

async function made(socket, name) {
  const [value] = await call(socket, "make", name);
  return value;
}

test("dates of the server are the same moment here, whatever their zone", async () => {
  const socket = await client();
  for (const [name, expected] of [["aware", MOMENT], ["east", MOMENT], ["naive", MOMENT], ["day", DAY], ["long ago", Date.UTC(1583, 9, 15)]]) {
    const value = await made(socket, name);
    assert.equal(value instanceof Date, MSGPACK, name);
    // An HTTP date, as Flask's JSON writes it, has no fractions.
    const moment = MSGPACK ? expected : Math.floor(expected / 1000) * 1000;
    assert.equal(new Date(value).getTime(), moment, name);
  }
  assert.equal(await made(socket, "uuid"), "00000000-0000-0000-0000-000000000001");
  assert.equal(await made(socket, "decimal"), "1.50");
});

test("dates of a client", async () => {
  const socket = await client();
  const dates = [new Date(MOMENT), new Date(0), new Date(-1500)];
  const expected = MSGPACK
    ? [
        "datetime.datetime(2023, 11, 14, 22, 13, 20, 123000, tzinfo=datetime.timezone.utc)",
        "datetime.datetime(1970, 1, 1, 0, 0, tzinfo=datetime.timezone.utc)",
        "datetime.datetime(1969, 12, 31, 23, 59, 58, 500000, tzinfo=datetime.timezone.utc)",
      ]
    : ["'2023-11-14T22:13:20.123Z'", "'1970-01-01T00:00:00.000Z'", "'1969-12-31T23:59:58.500Z'"];
  assert.deepEqual(await show(socket, ...dates), expected);
  const back = await call(socket, "echo", { dates });
  assert.deepEqual(back, MSGPACK ? { dates } : { dates: dates.map((date) => date.toJSON()) });
});

test("undefined is None", async () => {
  const socket = await client();
  assert.deepEqual(await show(socket, undefined, [undefined, 1], null), ["None", "[None, 1]", "None"]);
  // JSON leaves such a key out.
  assert.deepEqual(await show(socket, { a: undefined, b: 1 }), [MSGPACK ? "{'a': None, 'b': 1}" : "{'b': 1}"]);
  const back = await new Promise((resolve) => socket.emit("echo", undefined, [undefined], (...values) => resolve(values)));
  assert.deepEqual(back, [null, [null]]);
});

test("undefined as an acknowledgement", async () => {
  const socket = await client();
  for (const [answer, expected] of [[[], []], [[undefined], ["None"]], [[1, undefined], ["1", "None"]]]) {
    socket.once("question", (acknowledge) => acknowledge(...answer));
    socket.emit("ask");
    await socket.events.next();
    assert.deepEqual(await socket.events.next(), ["answered", expected]);
  }
});

test("numbers are exact as far as JavaScript's are", async () => {
  const socket = await client();
  const integers = [0, 127, 128, 255, 256, 2 ** 16, 2 ** 31, 2 ** 32, 2 ** 53 - 1, -1, -32, -33, -129, 1 - 2 ** 53];
  assert.deepEqual(await made(socket, "integers"), integers);
  assert.deepEqual(await show(socket, ...integers), integers.map(String));
  assert.deepEqual(await call(socket, "echo", integers), integers);
  assert.deepEqual(await made(socket, "too large for JavaScript"), [2 ** 63, -(2 ** 63)]);

  assert.deepEqual(await made(socket, "floats"), [0.1, 1e300, -5e-324, 3.0]);
  // Without 1e300: the official MessagePack parser takes it for an integer of 64 bits, and sends 0.
  const floats = [0.1, 1.5e15, -5e-324, 3.0];
  assert.deepEqual(await call(socket, "echo", floats), floats);
  assert.deepEqual(await show(socket, 0.1, -5e-324, 3.0), ["0.1", "-5e-324", "3"]);
});

test("what is no number is null, both ways", async () => {
  const socket = await client();
  assert.deepEqual(await made(socket, "not a number"), [null, null, null]);
  assert.deepEqual(await show(socket, NaN, [Infinity, { a: -Infinity }]), ["None", "[None, {'a': None}]"]);
});

test("binary data in every form that a client has for it", async () => {
  const socket = await client();
  for (const length of [0, 1, 8, 255, 256, 70_000]) {
    const buffer = bytes(length);
    const arrayBuffer = new Uint8Array(buffer).buffer;
    const forms = [Buffer.from(buffer), arrayBuffer, new Uint8Array(arrayBuffer), new DataView(arrayBuffer)];
    for (const form of forms) {
      assert.deepEqual(await call(socket, "echo", { form }), { form: buffer }, `${length} ${form.constructor.name}`);
    }
  }
  const floats = new Float32Array([1.5, -2]);
  assert.deepEqual(await call(socket, "echo", floats), Buffer.from(floats.buffer));
  const back = await made(socket, "binary");
  assert.deepEqual(back, [Buffer.alloc(0), Buffer.alloc(1), bytes(8), Buffer.alloc(300), Buffer.from("12"), Buffer.from("135")]);
});

test("strings of every length", async () => {
  const socket = await client();
  for (const length of [0, 1, 31, 32, 255, 256, 65_535, 65_536, 300_000]) {
    for (const character of ["x", "é", "€"]) {
      const text = character.repeat(length);
      assert.equal(await call(socket, "echo", text), text);
    }
  }
  const text = "😀\u0000\u2028\u007f\ufffd".repeat(100);
  assert.equal(await call(socket, "echo", text), text);
  assert.deepEqual(await call(socket, "echo", { [text]: text }), { [text]: text });
});

test("lists and objects of every length, and as deep as allowed", async () => {
  const socket = await client();
  for (const length of [0, 15, 16, 65_536]) {
    const list = Array.from({ length }, (_, i) => i);
    assert.deepEqual(await call(socket, "echo", list), list);
    const object = Object.fromEntries(list.map((i) => [`k${i}`, i]));
    assert.deepEqual(await call(socket, "echo", object), object);
  }
  let deep = 1;
  for (let level = 0; level < 98; level++) deep = level % 2 ? [deep] : { deep };
  assert.deepEqual(await call(socket, "echo", deep), deep);
});

test("what is nested too deeply ends the connection", async () => {
  const socket = newClient({ reconnection: false });
  await connected(socket);
  let deep = 1;
  for (let level = 0; level < 101; level++) deep = [deep];
  const gone = new Promise((resolve) => socket.once("disconnect", resolve));
  socket.emit("show", deep);
  assert.match(await gone, /^transport (close|error)$/);
});

test("keys are text", async () => {
  const socket = await client();
  assert.deepEqual(await made(socket, "keys"), { 2: "int", null: "null", true: "bool", ["__proto__x"]: "text" });
  assert.deepEqual(await show(socket, { 1: 2, null: 3 }), ["{'1': 2, 'null': 3}"]);
});

test("nothing, empty and null are told apart", async () => {
  const socket = await client();
  assert.deepEqual(await made(socket, "nothing"), [null, { a: null }, [], {}]);
  const back = await new Promise((resolve) => socket.emit("echo", (...values) => resolve(values)));
  assert.deepEqual(back, []);
});

test("objects that know how to be JSON", async () => {
  const socket = await client();
  const own = { toJSON: () => ({ own: true }) };
  assert.deepEqual(await call(socket, "echo", own, 1), { own: true });
  assert.deepEqual(await show(socket, new Map([[1, 2]]), new Set([1])), ["{}", "{}"]);
});
