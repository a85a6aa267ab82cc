// What has been said, without any DOM: a conversation's messages, in order and each only once.

/** A random name for a message or a token. (crypto.randomUUID is not there where the page comes over plain HTTP.) */
export function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * A room or the private messages with one person.
 *
 * An entry is {key, id, kind: "text" | "file" | "note", author, text, size, at, mine, state, error, url, picture}.
 * The key is its sender's random name for it. The id is the server's number: entries that have none yet, because
 * they wait to be sent, stand at the end. Private messages never get one and stay where they are.
 */
export class Conversation {
  constructor(kind, name) {
    this.kind = kind;
    this.name = name;
    this.entries = [];
    this.keys = new Map(); // key -> entry
    this.members = [];
    this.lastId = 0;
    this.unread = 0;
    this.entered = false; // whether this connection is in the room
    this.wanted = false; // whether the user is, and so wants to be again after a reconnection
    this.loaded = false; // whether the history has been read before
    this.typing = new Map(); // name -> timer
  }

  find(key) {
    return this.keys.get(key);
  }

  /** Put a new entry where it belongs. Gives its index. */
  insert(entry) {
    this.keys.set(entry.key, entry);
    this.lastId = Math.max(this.lastId, entry.id ?? 0);
    const index = entry.id === null ? this.entries.length : this.#indexFor(entry.id);
    this.entries.splice(index, 0, entry);
    return index;
  }

  /** The server has stored the user's own entry as this message. Gives the index at which it now belongs. */
  settle(entry, message) {
    Object.assign(entry, { id: message.id, at: message.at, state: "sent", error: null });
    this.lastId = Math.max(this.lastId, entry.id);
    this.entries.splice(this.entries.indexOf(entry), 1);
    const index = this.#indexFor(entry.id);
    this.entries.splice(index, 0, entry);
    return index;
  }

  #indexFor(id) {
    let index = this.entries.length;
    while (index > 0 && (this.entries[index - 1].id ?? Infinity) > id) index -= 1;
    return index;
  }
}

/** All conversations of the page, by kind and name. */
export class Conversations {
  #all = new Map();

  get(kind, name) {
    const key = `${kind}:${name}`;
    if (!this.#all.has(key)) this.#all.set(key, new Conversation(kind, name));
    return this.#all.get(key);
  }

  of(kind) {
    return [...this.#all.values()].filter((conversation) => conversation.kind === kind);
  }

  get unread() {
    return [...this.#all.values()].reduce((sum, conversation) => sum + conversation.unread, 0);
  }
}
