// The chat: what happens when the user does something and when the server says something.
//
//   connection.js     the Socket.IO client: requests, reconnection, transport
//   conversations.js  messages in order, each only once
//   outbox.js         messages that wait to be sent
//   files.js          files and pictures
//   composer.js       the field for writing
//   view.js, dom.js   the page

import { Connection } from "./connection.js";
import { Conversations, randomKey } from "./conversations.js";
import { setUpComposer } from "./composer.js";
import { $ } from "./dom.js";
import { collectFiles, preview, sizeInWords } from "./files.js";
import { Outbox } from "./outbox.js";
import * as view from "./view.js";

const MAX_FILE = Number(document.body.dataset.maxFile);
const TYPING_FOR = 4000;
const FILE_TIMEOUT = 60_000;

const conversations = new Conversations();
let connection = null;
let state = { phase: "connecting", attempt: 0, transport: null };
let me = "";
let rooms = []; // as the server lists them: [{name, members}]
let current = conversations.get("room", roomFromAddress());

const outbox = new Outbox({
  connection: () => connection,
  ready: (conversation) => connection.online && (conversation.kind === "private" || conversation.entered),
  answered: sent,
});

// ---------------------------------------------------------------- coming and going

// The token proves to the server that a new connection is the same person's as an older one with that name.
function saved() {
  return JSON.parse(sessionStorage.getItem("chat") ?? "null");
}

function start() {
  if (typeof io === "undefined") {
    view.showWelcome("", "The Socket.IO client could not be loaded. Offline? Start the server with --client-js.");
    return;
  }
  const credentials = saved();
  if (credentials) enter(credentials);
  else view.showWelcome("");
}

function enter(credentials) {
  connection?.close();
  me = credentials.name;
  sessionStorage.setItem("chat", JSON.stringify(credentials));
  connection = new Connection(credentials, {
    state: stateChanged,
    connected,
    refused: (error) => signOut(error),
    events: {
      post: (message) => receive(conversations.get("room", message.room), message),
      file: (message) => receive(conversations.get("room", message.room), message),
      whisper: (message) => receive(privateWith(message), { ...message, kind: "text", id: null, at: Date.now() }),
      typing: ({ room, name, active }) => setTyping(conversations.get("room", room), name, active),
      members: ({ room, members }) => setMembers(conversations.get("room", room), members),
      rooms: setRooms,
    },
  });
}

function signOut(error = "") {
  connection.close();
  sessionStorage.removeItem("chat");
  view.showWelcome(me, error);
}

function stateChanged(next) {
  state = next;
  if (next.phase !== "online") {
    for (const room of conversations.of("room")) room.entered = false;
    if (next.phase === "connecting" && next.attempt) {
      if ($("chat").hidden && $("welcome").hidden) view.showWelcome(me);
      view.showEnterError(`The server can't be reached. Trying again (attempt ${next.attempt})…`);
    }
  }
  showState();
}

function showState() {
  view.showState(state, outbox.size);
}

// Runs after every connection: rooms are the connection's, so a new one has to enter them again.
async function connected() {
  const wanted = conversations.of("room").filter((room) => room.wanted);
  if (!wanted.length) wanted.push(current);
  await Promise.all(wanted.map((room) => enterRoom(room.name)));
  if ($("chat").hidden && me) {
    view.showChat(me);
    choose(current);
  }
}

// ---------------------------------------------------------------- rooms

/** Enter a room and read what was said there since its last message that is here. Gives it, or null. */
async function enterRoom(name) {
  const after = conversations.get("room", name).lastId;
  const reply = await connection.request("join", { room: name, after });
  if (!reply.ok) {
    if (!reply.lost) note(current, reply.error);
    return null;
  }
  me = reply.you;
  const room = conversations.get("room", reply.room);
  if (reply.more && room.loaded) note(room, "There was more than this. The oldest of it is not shown.");
  const unseen = room.loaded && room !== current;
  for (const message of reply.messages) receive(room, message, { unseen });
  Object.assign(room, { wanted: true, entered: true, loaded: true });
  setMembers(room, reply.members);
  setRooms(reply.rooms);
  outbox.flush();
  return room;
}

async function visitRoom(name) {
  const room = conversations.get("room", name);
  if (room.entered || room.wanted) return choose(room);
  const entered = await enterRoom(name);
  if (entered) choose(entered);
}

async function leaveRoom() {
  const room = current;
  const reply = await connection.request("leave", { room: room.name });
  if (!reply.ok) return;
  Object.assign(room, { wanted: false, entered: false });
  choose(conversations.of("room").find(({ wanted }) => wanted));
}

function choose(conversation) {
  stopTyping();
  current = conversation;
  conversation.unread = 0;
  if (conversation.kind === "room") history.replaceState(null, "", `#${encodeURIComponent(conversation.name)}`);
  closeDrawers();
  refresh();
  view.scrollToEnd(conversation);
  if (matchMedia("(hover: hover)").matches) $("text").focus();
}

function setRooms(list) {
  rooms = list;
  refresh();
}

function setMembers(room, members) {
  room.members = members;
  for (const name of room.typing.keys()) if (!members.includes(name)) setTyping(room, name, false);
  refresh();
}

function setTyping(room, name, active) {
  if (name === me) return;
  clearTimeout(room.typing.get(name));
  room.typing.delete(name);
  if (active) room.typing.set(name, setTimeout(() => setTyping(room, name, false), TYPING_FOR));
  if (room === current) view.showTyping([...room.typing.keys()]);
}

function refresh() {
  const listed = rooms.map((room) => {
    const { entered, unread } = conversations.get("room", room.name);
    return { ...room, entered, unread };
  });
  view.showRooms(listed, current, visitRoom);
  view.showPrivates(conversations.of("private"), current, (name) => choose(conversations.get("private", name)));
  view.showMembers(current.members, me, (name) => choose(conversations.get("private", name)));
  view.showConversation(current, conversations.of("room").filter(({ wanted }) => wanted).length > 1);
  view.showTyping([...current.typing.keys()]);
  document.title = conversations.unread ? `(${conversations.unread}) Parlour` : "Parlour";
}

function roomFromAddress() {
  try {
    return decodeURIComponent(location.hash.slice(1)) || document.body.dataset.room;
  } catch {
    return document.body.dataset.room;
  }
}

function privateWith({ author, to }) {
  return conversations.get("private", author === me ? to : author);
}

// ---------------------------------------------------------------- messages

function receive(conversation, message, { unseen = conversation !== current || document.hidden } = {}) {
  const known = conversation.find(message.key);
  if (known) return alreadyKnown(conversation, known, message);
  const mine = message.author === me;
  const entry = { ...message, data: null, mine, state: mine ? "sent" : null };
  if (message.data) Object.assign(entry, preview(message.data, message.type));
  view.drawEntry(conversation, conversation.insert(entry));
  setTyping(conversation, message.author, false);
  if (!unseen || mine) return;
  conversation.unread += 1;
  refresh();
}

// It was sent from here and the ack got lost; or it is a file of which only the history's note was here.
function alreadyKnown(conversation, entry, message) {
  if (entry.id === null && message.id !== null) view.drawEntry(conversation, conversation.settle(entry, message));
  if (!message.data || entry.url) return;
  Object.assign(entry, preview(message.data, message.type));
  view.drawEntry(conversation, conversation.entries.indexOf(entry));
}

function own(kind, text, more = {}) {
  const at = Date.now();
  return { key: randomKey(), id: null, kind, author: me, text, at, mine: true, state: "waiting", ...more };
}

function write(text) {
  const entry = own("text", text);
  view.drawEntry(current, current.insert(entry));
  outbox.put(current, entry);
  if (state.phase !== "online") showState();
}

function sent({ conversation, entry }, reply) {
  settle(conversation, entry, reply);
  showState();
}

function settle(conversation, entry, reply) {
  if (reply.ok && reply.message) return view.drawEntry(conversation, conversation.settle(entry, reply.message));
  Object.assign(entry, reply.ok ? { state: "sent" } : { state: "failed", error: reply.error });
  view.drawEntry(conversation, conversation.entries.indexOf(entry));
}

function note(conversation, text) {
  const entry = { key: randomKey(), id: null, kind: "note", text, at: Date.now() };
  entry.id = conversation.kind === "room" ? conversation.lastId : null;
  view.drawEntry(conversation, conversation.insert(entry));
}

async function sendFile(file) {
  const room = current;
  if (room.kind !== "room") return note(room, "Files can be sent to rooms only.");
  if (file.size > MAX_FILE) return note(room, `${file.name} is larger than ${sizeInWords(MAX_FILE)}.`);
  const data = await file.arrayBuffer();
  const entry = own("file", file.name, { size: file.size, ...preview(data, file.type) });
  view.drawEntry(room, room.insert(entry));
  const payload = { room: room.name, name: file.name, type: file.type, data, key: entry.key };
  settle(room, entry, await connection.request("file", payload, FILE_TIMEOUT));
}

// ---------------------------------------------------------------- the page's controls

const closeDrawers = view.setUpDrawers();
const stopTyping = setUpComposer({
  onText: write,
  onTyping: (active) => {
    if (current.entered) connection.signal("typing", { room: current.name, active });
  },
});
collectFiles({ input: $("file"), target: $("logs"), text: $("text") }, sendFile);

$("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  view.showEnterError("");
  const name = $("name").value;
  const token = saved()?.token ?? randomKey();
  enter({ name, token });
});
$("new-room").addEventListener("submit", (event) => {
  event.preventDefault();
  visitRoom($("new-room-name").value.trim().toLowerCase().replace(/\s+/g, "-"));
  $("new-room-name").value = "";
});
$("leave-room").addEventListener("click", leaveRoom);
$("sign-out").addEventListener("click", () => {
  signOut();
  location.reload();
});
$("reconnect").addEventListener("click", () => connection.reopen());
document.addEventListener("visibilitychange", () => {
  if (document.hidden || !current.unread) return;
  current.unread = 0;
  refresh();
});

start();
